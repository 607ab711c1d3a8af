import { CHANNEL_CODE, HASH_CONTEXTS, channelOf, logId, type Hasher, type LogId } from "@tidemark/core";
import { WalError } from "./errors.ts";

/** Bytes of a batch header, in both versions. */
export const BATCH_HEADER_BYTES = 64;
/** Bytes of a batch digest. */
export const BATCH_DIGEST_BYTES = 16;
/** The most payload a batch may declare. Own batches stay far below it, so that one fits a transport's frame. */
export const BATCH_PAYLOAD_BYTES_MAX: number = 16 * 1024 * 1024;
/** The version written. */
export const BATCH_VERSION = 2;

const MAGIC = 0x4c574d54; // "TMWL" when read as little-endian bytes.
const HASHED_BYTES = 48;
const OFFSET = {
  magic: 0,
  version: 4,
  channel: 5,
  flags: 6,
  firstLsn: 8,
  recordCount: 16,
  payloadBytes: 20,
  shard: 24,
  region: 26,
  epoch: 28,
  previous: 32,
  digest: 48,
} as const;

/**
 * A batch header: 64 bytes, little-endian, then the payload.
 *
 * | offset | bytes | field          | notes                                                             |
 * | -----: | ----: | :------------- | :---------------------------------------------------------------- |
 * |      0 |     4 | `magic`        | ASCII "TMWL"                                                      |
 * |      4 |     1 | `version`      | 2; 1 is still read                                                |
 * |      5 |     1 | `channel`      | 1 signals, 2 sessions                                             |
 * |      6 |     2 | `flags`        | zero; unknown bits are refused                                    |
 * |      8 |     8 | `firstLsn`     | u64                                                               |
 * |     16 |     4 | `recordCount`  | at least 1                                                        |
 * |     20 |     4 | `payloadBytes` | at most {@link BATCH_PAYLOAD_BYTES_MAX}                           |
 * |     24 |     2 | `shard`        | zero in version 1                                                 |
 * |     26 |     2 | `region`       | zero in version 1                                                 |
 * |     28 |     4 | `epoch`        | zero in version 1                                                 |
 * |     32 |    16 | `previous`     | digest of the batch before; zero in the first and in version 1    |
 * |     48 |    16 | `digest`       | BLAKE3 `derive_key` over [0, 48) and the payload: damage, not forgery |
 */
export interface BatchHeader {
  readonly version: number;
  readonly log: LogId;
  readonly firstLsn: number;
  readonly recordCount: number;
  readonly payloadBytes: number;
}

/** Reads and checks a header, in the order of the table. @throws {@link WalError} with the offset. */
export function decodeBatchHeader(bytes: Uint8Array, offset: number = 0): BatchHeader {
  const fail = (message: string, at: number): never => {
    throw new WalError("WAL_BAD_BATCH", message, { offset: offset + at });
  };
  if (bytes.length - offset < BATCH_HEADER_BYTES) {
    fail(`Cannot read a header of 64 bytes: ${Math.max(0, bytes.length - offset)} remain`, 0);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, BATCH_HEADER_BYTES);
  if (view.getUint32(OFFSET.magic, true) !== MAGIC) fail("Cannot find the magic of a batch", OFFSET.magic);
  const version = view.getUint8(OFFSET.version);
  if (version > BATCH_VERSION) {
    throw new WalError(
      "WAL_VERSION_UNSUPPORTED",
      `Cannot read batch version ${version}: the newest known is 2`,
      {
        offset: offset + OFFSET.version,
        version,
      },
    );
  }
  if (version === 0) fail("Cannot read batch version 0", OFFSET.version);
  const channel = channelOf(view.getUint8(OFFSET.channel));
  if (channel === undefined) return fail("Cannot read an unknown channel", OFFSET.channel);
  const flags = view.getUint16(OFFSET.flags, true);
  if (flags !== 0) {
    throw new WalError(
      "WAL_VERSION_UNSUPPORTED",
      `Cannot read batch flags 0x${flags.toString(16)}: none is known`,
      {
        offset: offset + OFFSET.flags,
        version,
      },
    );
  }
  const high = view.getUint32(OFFSET.firstLsn + 4, true);
  const firstLsn = high * 0x1_0000_0000 + view.getUint32(OFFSET.firstLsn, true);
  if (high > 0x1f_ffff || firstLsn === 0) fail("Cannot read an LSN outside 1 to 2^53-1", OFFSET.firstLsn);
  const recordCount = view.getUint32(OFFSET.recordCount, true);
  const payloadBytes = view.getUint32(OFFSET.payloadBytes, true);
  if (payloadBytes > BATCH_PAYLOAD_BYTES_MAX) {
    fail(`Cannot accept ${payloadBytes} bytes: the limit is ${BATCH_PAYLOAD_BYTES_MAX}`, OFFSET.payloadBytes);
  }
  // A record takes two bytes at least: its length and its type.
  if (recordCount === 0 || recordCount * 2 > payloadBytes) {
    fail(`Cannot hold ${recordCount} records in ${payloadBytes} bytes`, OFFSET.recordCount);
  }
  if (!Number.isSafeInteger(firstLsn + recordCount - 1)) fail("Cannot count past 2^53-1", OFFSET.firstLsn);
  const shard = view.getUint16(OFFSET.shard, true);
  const region = view.getUint16(OFFSET.region, true);
  const epoch = view.getUint32(OFFSET.epoch, true);
  if (version === 1) {
    for (let at: number = OFFSET.shard; at < OFFSET.digest; at++) {
      if (view.getUint8(at) !== 0) fail("Cannot accept version 1 with a field of version 2", at);
    }
  }
  return { version, log: logId(region, shard, epoch, channel), firstLsn, recordCount, payloadBytes };
}

/** Puts the version that is written, and no flags, into a header. */
export function writeVersion(bytes: Uint8Array): void {
  bytes[OFFSET.version] = BATCH_VERSION;
  bytes[OFFSET.flags] = 0;
  bytes[OFFSET.flags + 1] = 0;
}

/** What goes into a header besides what the payload says. */
export interface BatchHeaderFields {
  readonly log: LogId;
  readonly firstLsn: number;
  readonly recordCount: number;
  readonly previous: Uint8Array;
}

/**
 * Completes a batch in place: `bytes` has room for the header in [0, 64) and the payload from there on.
 * Returns the digest, a copy of its own.
 */
export function sealBatch(bytes: Uint8Array, fields: BatchHeaderFields, hasher: Hasher): Uint8Array {
  // The digest covers the header up to itself, then the payload: written 16 bytes late, both lie side by side.
  const view = new DataView(bytes.buffer, bytes.byteOffset + BATCH_DIGEST_BYTES, HASHED_BYTES);
  view.setUint32(OFFSET.magic, MAGIC, true);
  view.setUint8(OFFSET.version, BATCH_VERSION);
  view.setUint8(OFFSET.channel, CHANNEL_CODE[fields.log.channel]);
  view.setUint16(OFFSET.flags, 0, true);
  view.setUint32(OFFSET.firstLsn, fields.firstLsn >>> 0, true);
  view.setUint32(OFFSET.firstLsn + 4, Math.floor(fields.firstLsn / 0x1_0000_0000), true);
  view.setUint32(OFFSET.recordCount, fields.recordCount, true);
  view.setUint32(OFFSET.payloadBytes, bytes.length - BATCH_HEADER_BYTES, true);
  view.setUint16(OFFSET.shard, fields.log.shard, true);
  view.setUint16(OFFSET.region, fields.log.region, true);
  view.setUint32(OFFSET.epoch, fields.log.epoch, true);
  bytes.set(fields.previous, BATCH_DIGEST_BYTES + OFFSET.previous);
  const digest = hasher.digest(
    HASH_CONTEXTS.walBatchV2,
    bytes.subarray(BATCH_DIGEST_BYTES),
    BATCH_DIGEST_BYTES,
  );
  bytes.copyWithin(0, BATCH_DIGEST_BYTES, BATCH_HEADER_BYTES);
  bytes.set(digest, OFFSET.digest);
  return digest;
}

/**
 * Whether the digest of the batch at `offset` is right. The bytes are rearranged while it is computed and put
 * back before the call returns, so they must not be shared with another thread.
 */
export function verifyBatch(bytes: Uint8Array, offset: number, header: BatchHeader, hasher: Hasher): boolean {
  const end = offset + BATCH_HEADER_BYTES + header.payloadBytes;
  const stored = bytes.slice(offset + OFFSET.digest, offset + BATCH_HEADER_BYTES);
  bytes.copyWithin(offset + BATCH_DIGEST_BYTES, offset, offset + HASHED_BYTES);
  const context = header.version === 1 ? HASH_CONTEXTS.walBatchV1 : HASH_CONTEXTS.walBatchV2;
  const digest = hasher.digest(context, bytes.subarray(offset + BATCH_DIGEST_BYTES, end), BATCH_DIGEST_BYTES);
  bytes.copyWithin(offset, offset + BATCH_DIGEST_BYTES, offset + BATCH_HEADER_BYTES);
  bytes.set(stored, offset + OFFSET.digest);
  return equalBytes(digest, stored);
}

/** The `previous` field of the batch at `offset`, as a view. */
export function batchPrevious(bytes: Uint8Array, offset: number = 0): Uint8Array {
  return bytes.subarray(offset + OFFSET.previous, offset + OFFSET.digest);
}

/** The `digest` field of the batch at `offset`, as a view. */
export function batchDigest(bytes: Uint8Array, offset: number = 0): Uint8Array {
  return bytes.subarray(offset + OFFSET.digest, offset + BATCH_HEADER_BYTES);
}

/** Whether two digests are the same bytes. Not constant-time: digests here are not secret. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
