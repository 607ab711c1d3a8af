/** How long a snapshot may be in bytes of UTF-8, if the store takes that much in one commit. */
export const SNAPSHOT_BYTES_MAX: number = 16 * 1024 * 1024;

/** How many bytes a log may hold behind the last snapshot, if nothing else is asked for. */
export const LOG_BYTES_MAX: number = 32 * 1024 * 1024;

/** How many bytes one append may have. */
export const APPEND_BYTES_MAX: number = 1024 * 1024;

/** How many archives a list has if nothing is asked for, and at most. */
export const LIST_DEFAULT = 20;
export const LIST_MAX = 100;

/** A record of a log is filled up to this many bytes before the next is begun. */
export const SEGMENT_BYTES: number = 8 * 1024;

/** A snapshot lies in records of this many bytes. */
export const CHUNK_BYTES: number = 128 * 1024;
