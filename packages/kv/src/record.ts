import { HASH_CONTEXTS, type Hasher, preimage } from "@tidemark/core";
import { KvError } from "./errors.ts";
import type { KvKey, Partition } from "./kv.ts";

/** Where a record lies. Its checksum covers this, so that a record read at another place is noticed. */
export interface RecordPlace {
  readonly partition: Partition;
  readonly key: KvKey;
}

/** What a record is. */
export interface RecordHeader {
  /** Short text that names what the body holds: 1 to {@link RECORD_KIND_BYTES_MAX} bytes of UTF-8. */
  readonly kind: string;
  /** The version of the body's schema: 0 to 65,535. */
  readonly version: number;
}

/** What a reader takes. */
export interface RecordExpected {
  readonly kind: string;
  /** The schema versions it can read; at least one. */
  readonly versions: readonly number[];
}

/** A record as it was read. */
export interface DecodedRecord {
  readonly version: number;
  /** A view into the bytes that were given. */
  readonly body: Uint8Array;
}

/** The longest kind in bytes of UTF-8. */
export const RECORD_KIND_BYTES_MAX: number = 64;

const FORMAT = 1;
const CHECKSUM_BYTES = 8;
const OFFSET = { format: 0, version: 1, kindBytes: 3, kind: 4 } as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Encodes a record: a header that says what it is and guards it against damage, then the body. Little-endian.
 *
 * | offset | bytes | type  | field       | notes                                                                 |
 * | -----: | ----: | :---- | :---------- | :-------------------------------------------------------------------- |
 * |      0 |     1 | u8    | `format`    | 1                                                                     |
 * |      1 |     2 | u16   | `version`   | of the body's schema                                                  |
 * |      3 |     1 | u8    | `kindBytes` | n: 1 to 64                                                            |
 * |      4 |     n | bytes | `kind`      | UTF-8                                                                 |
 * |    4+n |     8 | bytes | `checksum`  | BLAKE3, context `tidemark 2026 kv-record v1`, of partition, key, the 4+n bytes before and the body. Detects damage, not forgery |
 * |   12+n |       | bytes | `body`      |                                                                       |
 *
 * @throws `RangeError` if the kind or version is not what a header holds.
 */
export function encodeRecord(
  { kind, version }: RecordHeader,
  body: Uint8Array,
  place: RecordPlace,
  hasher: Hasher,
): Uint8Array {
  const name = nameBytes(kind);
  if (name.length === 0 || name.length > RECORD_KIND_BYTES_MAX) {
    throw new RangeError(`kind must have 1 to ${RECORD_KIND_BYTES_MAX} bytes: ${name.length}`);
  }
  if (!Number.isInteger(version) || version < 0 || version > 0xffff) {
    throw new RangeError(`version must be an integer from 0 to 65,535: ${version}`);
  }
  const headerBytes = OFFSET.kind + name.length;
  const bytes = new Uint8Array(headerBytes + CHECKSUM_BYTES + body.length);
  bytes[OFFSET.format] = FORMAT;
  new DataView(bytes.buffer).setUint16(OFFSET.version, version, true);
  bytes[OFFSET.kindBytes] = name.length;
  bytes.set(name, OFFSET.kind);
  bytes.set(checksumOf(bytes.subarray(0, headerBytes), body, place, hasher), headerBytes);
  bytes.set(body, headerBytes + CHECKSUM_BYTES);
  return bytes;
}

/**
 * Reads a record. The checksum is judged before kind and version, so that damage is never taken for a record of
 * another version.
 *
 * @throws {@link KvError} `KV_CORRUPT` if the bytes are no whole record of that kind written for this place,
 * `KV_RECORD_VERSION` if its version is not one of those expected. Nothing else, whatever the bytes.
 */
export function decodeRecord(
  bytes: Uint8Array,
  expected: RecordExpected,
  place: RecordPlace,
  hasher: Hasher,
): DecodedRecord {
  const format = bytes[OFFSET.format];
  if (format !== FORMAT) throw corrupt(expected, `its header is of format ${format ?? "none"}`);
  const kindBytes = bytes[OFFSET.kindBytes] ?? 0;
  if (kindBytes === 0 || kindBytes > RECORD_KIND_BYTES_MAX) throw corrupt(expected, "its header is damaged");
  const headerBytes = OFFSET.kind + kindBytes;
  const bodyAt = headerBytes + CHECKSUM_BYTES;
  if (bytes.length < bodyAt) throw corrupt(expected, `it ends after ${bytes.length} bytes`);
  const body = bytes.subarray(bodyAt);
  const checksum = checksumOf(bytes.subarray(0, headerBytes), body, place, hasher);
  for (let index = 0; index < CHECKSUM_BYTES; index++) {
    if (checksum[index] === bytes[headerBytes + index]) continue;
    throw corrupt(expected, "its checksum does not hold: it is damaged, or was written for another key");
  }
  const kind = kindOf(bytes.subarray(OFFSET.kind, headerBytes));
  if (kind !== expected.kind) throw corrupt(expected, `it is of kind ${kind ?? "that is not UTF-8"}`);
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint16(OFFSET.version, true);
  if (!expected.versions.includes(version)) throw otherVersion(expected, version);
  return { version, body };
}

/** The checksum of a record: its first 8 bytes of a hash of all that must not change. */
function checksumOf(
  header: Uint8Array,
  body: Uint8Array,
  { partition, key }: RecordPlace,
  hasher: Hasher,
): Uint8Array {
  const fields = [nameBytes(partition), key, header, body];
  return hasher.digest(HASH_CONTEXTS.kvRecord, preimage(fields), CHECKSUM_BYTES);
}

/** Names that were encoded lately: kinds are few, and records are written and read many to a partition. */
const names = new Map<string, Uint8Array>();
const NAMES_MAX = 256;

/** The UTF-8 of a kind or a partition; not to be changed. */
function nameBytes(name: string): Uint8Array {
  const known = names.get(name);
  if (known !== undefined) return known;
  const bytes = encoder.encode(name);
  if (names.size === NAMES_MAX) names.clear();
  names.set(name, bytes);
  return bytes;
}

function kindOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function corrupt({ kind }: RecordExpected, what: string): KvError {
  return new KvError("KV_CORRUPT", `Cannot read a record of kind ${kind}: ${what}`, { kind });
}

function otherVersion({ kind, versions }: RecordExpected, actual: number): KvError {
  const expected = Math.max(...versions);
  return new KvError(
    "KV_RECORD_VERSION",
    `Cannot read a record of kind ${kind} of version ${actual}: the versions read are ${versions.join(", ")}`,
    { kind, actual, expected },
  );
}
