import { encodeHashTag } from "@tidemark/redis-connection";

/** The keys of one session: they share a hash tag, so a cluster keeps them in one slot. */
export interface SessionKeys {
  /** A hash: what is known of the buffer. */
  readonly buffer: string;
  /** A stream: its events. */
  readonly events: string;
}

export function sessionKeys(prefix: string, session: string): SessionKeys {
  const place = `${prefix}:{${encodeHashTag(session)}}`;
  return { buffer: `${place}:buffer`, events: `${place}:events` };
}

/** The stream that wakes a reader: of a handle alone, or in a cluster of all of them. */
export function wakeKey(prefix: string, handle: string | undefined): string {
  return handle === undefined ? `${prefix}:{bell}:bell` : `${prefix}:{wake}:${handle}`;
}
