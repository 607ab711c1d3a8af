import type { Hlc } from "@tidemark/core";
import { decodeRecord, encodeRecord, type KvItem, type KvKey } from "@tidemark/kv";
import { recordCodec, type RecordCodec, type RecordContext } from "@tidemark/session-store";

/** The part of a lease that fences: a `LeaseFence` of `@tidemark/session-store` is one. */
export interface ZoneFence {
  readonly session: string;
  readonly generation: number;
}

/** The register of an agent's pointers: whoever changes which conversation is current checks and rewrites it. */
export interface Pointers {
  readonly version: number;
  /** The time of the latest archive that ever was: no two have one, and none is before another that was made first. */
  readonly archivedMs: number;
  /** The latest lease under which the zone was written. */
  readonly fence?: ZoneFence;
}

/** A conversation that is current. */
export interface CurrentRow {
  readonly conversation: string;
  /** When it became current: of two, which two regions began at once, the later is shown. */
  readonly begun: Hlc;
}

/** What there is of a snapshot. */
export interface SnapshotFacts {
  /** Names the records its bytes lie in. */
  readonly version: string;
  readonly chunks: number;
  readonly bytes: number;
  /** 32 hexadecimal digits. */
  readonly digest: string;
  /** Up to where it covers the log. Absent in one that came from a file without that. */
  readonly logOffset?: number;
  /** When it was written, Unix ms. */
  readonly atMs: number;
}

/** What there is of a log. Offsets count bytes from the beginning of the conversation. */
export interface LogFacts {
  /** Where what is kept begins: what was before is covered by the snapshot. */
  readonly floor: number;
  readonly end: number;
  /** Where the last record of bytes begins. */
  readonly tail: number;
  /** How many bytes of a last line that lacks its end follow. They are dropped by the next append. */
  readonly torn: number;
  readonly atMs: number;
}

/** What there is of a conversation. */
export interface ZoneHead {
  readonly conversation: string;
  /** The conversation this one was copied from, for good: two copies of one are told by it. */
  readonly origin?: string;
  /** The session it is of, in the session store. */
  readonly session?: string;
  /** The revision of that session's head which the snapshot shows. */
  readonly revision: number;
  readonly preview: string;
  readonly nodeCount: number;
  readonly state?: SnapshotFacts;
  readonly log: LogFacts;
  readonly stamp: Hlc;
}

/** The row of an archive. */
export interface ArchiveRow {
  readonly conversation: string;
  readonly archivedAtMs: number;
  readonly preview: string;
  readonly nodeCount: number;
  readonly revision: number;
  readonly session?: string;
  readonly digest: string;
}

/** Where a conversation was archived, for good unless it is restored. */
export interface ArchivedMark {
  readonly archivedAtMs: number;
}

/** The first archive of a content. */
export interface DigestRow {
  readonly archivedAtMs: number;
  readonly conversation: string;
}

export const pointersRecord: RecordCodec<Pointers> = recordCodec("zone-pointers", 1);
export const currentRecord: RecordCodec<CurrentRow> = recordCodec("zone-current", 1);
export const headRecord: RecordCodec<ZoneHead> = recordCodec("zone-head", 1);
export const archiveRecord: RecordCodec<ArchiveRow> = recordCodec("zone-archive", 1);
export const archivedRecord: RecordCodec<ArchivedMark> = recordCodec("zone-archived", 1);
export const digestRecord: RecordCodec<DigestRow> = recordCodec("zone-digest", 1);
export const garbageRecord: RecordCodec<Readonly<Record<string, never>>> = recordCodec("zone-garbage", 1);

const BYTES_KIND = "zone-bytes";
const BYTES_VERSION = 1;

/** The item that keeps raw bytes at a key. */
export function bytesItem(bytes: Uint8Array, key: KvKey, { partition, hasher }: RecordContext): KvItem {
  const header = { kind: BYTES_KIND, version: BYTES_VERSION };
  return { key, value: encodeRecord(header, bytes, { partition, key }, hasher) };
}

/** The raw bytes at a key, or `undefined` if there are none. @throws `KvError` `KV_CORRUPT`, `KV_RECORD_VERSION`. */
export function readBytes(
  value: Uint8Array | undefined,
  key: KvKey,
  { partition, hasher }: RecordContext,
): Uint8Array | undefined {
  if (value === undefined) return undefined;
  const expected = { kind: BYTES_KIND, versions: [BYTES_VERSION] };
  return decodeRecord(value, expected, { partition, key }, hasher).body;
}
