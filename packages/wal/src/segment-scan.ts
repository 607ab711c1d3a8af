import type { Hasher, LogId } from "@tidemark/core";
import { AheadReader } from "./ahead-reader.ts";
import {
  BATCH_HEADER_BYTES,
  batchDigest,
  batchPrevious,
  decodeBatchHeader,
  equalBytes,
  verifyBatch,
  writeVersion,
  type BatchHeader,
} from "./batch-header.ts";
import { checkRecords } from "./batch.ts";
import { WalError } from "./errors.ts";
import { BlockReader, Extent } from "./extent.ts";
import type { WalFile } from "./file-system.ts";
import { sameLog } from "./log.ts";

/** What the next batch must continue. The digest is unknown after a part that was not scanned. */
export interface ChainEnd {
  readonly lsn: number;
  readonly digest: Uint8Array | undefined;
}

/** An open segment under examination. */
export interface ScannedSegment {
  readonly log: LogId;
  readonly name: string;
  readonly file: WalFile;
  readonly size: number;
  readonly hasher: Hasher;
  /** Called with the bytes scanned since the last call; what it throws ends the scan. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** What a scan found from one place on. */
export interface ScanResult {
  /** Batches that verify and follow each other; `undefined` if not even the first did. */
  readonly extent: Extent | undefined;
  /** Where the scan stopped. */
  readonly offset: number;
  /** Why: nothing but zeros from there on, or bytes that are no batch which continues. */
  readonly damage: WalError | undefined;
  /** With damage: what the damaged batch says of itself, if its header continues the chain. */
  readonly claim: BatchClaim | undefined;
}

/** Where a damaged batch says that it ends, and its digest. */
export interface BatchClaim {
  readonly end: number;
  readonly digest: Uint8Array;
}

/** Scans from `offset` as long as batches verify and continue `after`; without it any first LSN will do. */
export async function scanSegment(
  segment: ScannedSegment,
  offset: number,
  after: ChainEnd | undefined,
): Promise<ScanResult> {
  const reader = new AheadReader(segment.file, offset, segment.size, segment.onBytes);
  try {
    return await scanBatches(segment, reader, after);
  } finally {
    await reader.idle();
  }
}

async function scanBatches(
  segment: ScannedSegment,
  reader: AheadReader,
  after: ChainEnd | undefined,
): Promise<ScanResult> {
  let extent: Extent | undefined;
  let chain = after;
  for (;;) {
    const at = reader.offset;
    const headed = reader.available >= BATCH_HEADER_BYTES || (await reader.fill(BATCH_HEADER_BYTES));
    if (!headed || isZero(reader.buffer, reader.at, BATCH_HEADER_BYTES)) {
      if (await restIsZero(reader)) return { extent, offset: at, damage: undefined, claim: undefined };
      const damage = new WalError("WAL_BAD_BATCH", "Cannot find a batch", { offset: at });
      return { extent, offset: at, damage, claim: undefined };
    }
    let header: BatchHeader | undefined;
    let continues = false;
    try {
      header = decodeBatchHeader(reader.buffer, reader.at);
      const previous = batchPrevious(reader.buffer, reader.at);
      if (!sameLog(header.log, segment.log))
        throw new WalError("WAL_BAD_BATCH", "Cannot accept a batch of another log");
      continues = chain === undefined || continuesChain(header, previous, chain);
      if (!continues) {
        throw new WalError(
          "WAL_NOT_CONTIGUOUS",
          `Cannot accept batch ${header.firstLsn}: it does not continue the chain`,
        );
      }
      const length = BATCH_HEADER_BYTES + header.payloadBytes;
      if (reader.available < length && !(await reader.fill(length)))
        throw new WalError("WAL_BAD_BATCH", "Cannot read a batch past the end");
      if (!verifyBatch(reader.buffer, reader.at, header, segment.hasher)) {
        throw new WalError(
          "WAL_BAD_BATCH",
          `Cannot accept batch ${header.firstLsn}: its digest does not match`,
        );
      }
      checkRecords(reader.buffer, reader.at, header);
      if (extent === undefined) {
        extent = new Extent(segment.name, header.firstLsn, at);
        extent.previous = batchPrevious(reader.buffer, reader.at).slice();
      }
      const digest = batchDigest(reader.buffer, reader.at).slice();
      chain = { lsn: header.firstLsn + header.recordCount - 1, digest };
      extent.add(chain.lsn, length);
      extent.digest = digest;
      reader.at += length;
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      if (error.code === "WAL_VERSION_UNSUPPORTED") {
        const rotten = await rottenVersion(segment, reader, chain);
        if (rotten !== undefined) return { extent, offset: at, ...rotten };
      }
      const claim =
        header !== undefined && continues
          ? {
              end: at + BATCH_HEADER_BYTES + header.payloadBytes,
              digest: batchDigest(reader.buffer, reader.at).slice(),
            }
          : undefined;
      return { extent, offset: at, damage: error, claim };
    }
  }
}

/**
 * Tells a version or flag that has rotted from one that is newer: with the bytes that this version writes there, the
 * batch is what its digest and the chain say.
 */
async function rottenVersion(
  segment: ScannedSegment,
  reader: AheadReader,
  chain: ChainEnd | undefined,
): Promise<Pick<ScanResult, "damage" | "claim"> | undefined> {
  const offset = reader.offset;
  try {
    let length = BATCH_HEADER_BYTES;
    for (;;) {
      const bytes = reader.buffer.slice(reader.at, reader.at + length);
      writeVersion(bytes);
      const header = decodeBatchHeader(bytes);
      if (length === BATCH_HEADER_BYTES) {
        length += header.payloadBytes;
        if (!(await reader.fill(length))) return undefined;
        continue;
      }
      const continues = chain === undefined || continuesChain(header, batchPrevious(bytes), chain);
      if (!continues || !verifyBatch(bytes, 0, header, segment.hasher)) return undefined;
      const message = `Cannot accept batch ${header.firstLsn}: its version or its flags have changed`;
      const damage = new WalError("WAL_BAD_BATCH", message, { offset });
      return { damage, claim: { end: offset + length, digest: batchDigest(bytes).slice() } };
    }
  } catch (error) {
    if (error instanceof WalError) return undefined;
    throw error;
  }
}

/**
 * Looks at every place from `offset` on for a batch of the log that verifies and begins above `aboveLsn`.
 *
 * Inside of what a damaged batch claims to be, only a batch that names its digest counts: a payload can hold bytes
 * that look like a batch, but never the digest that covers them.
 */
export async function findBatchAfter(
  segment: ScannedSegment,
  offset: number,
  aboveLsn: number,
  claim: BatchClaim | undefined,
): Promise<number | undefined> {
  const reader = new BlockReader(segment.file, offset, segment.size);
  while (await reader.fill(BATCH_HEADER_BYTES)) {
    const found = reader.buffer.indexOf(0x54, reader.at); // "T" of "TMWL".
    if (found < 0 || found >= reader.filled) {
      reader.at = reader.filled;
      continue;
    }
    reader.at = found;
    if (!(await reader.fill(BATCH_HEADER_BYTES))) return undefined;
    try {
      const header = decodeBatchHeader(reader.buffer, reader.at);
      const length = BATCH_HEADER_BYTES + header.payloadBytes;
      if (
        sameLog(header.log, segment.log) &&
        header.firstLsn > aboveLsn &&
        (claim === undefined ||
          reader.offset >= claim.end ||
          equalBytes(batchPrevious(reader.buffer, reader.at), claim.digest)) &&
        reader.offset + length <= segment.size &&
        (await reader.fill(length)) &&
        verifyBatch(reader.buffer, reader.at, header, segment.hasher)
      ) {
        return reader.offset;
      }
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
    }
    reader.at += 1;
  }
  return undefined;
}

/** Whether a batch is the one that comes next. Version 1 knows no chain: its LSNs must do. */
export function continuesChain(header: BatchHeader, previous: Uint8Array, chain: ChainEnd): boolean {
  if (header.firstLsn !== chain.lsn + 1) return false;
  return header.version === 1 || chain.digest === undefined || equalBytes(previous, chain.digest);
}

async function restIsZero(reader: AheadReader): Promise<boolean> {
  for (;;) {
    if (!isZero(reader.buffer, reader.at, reader.available)) return false;
    reader.at = reader.filled;
    if (!(await reader.fill(1))) return true;
  }
}

function isZero(bytes: Uint8Array, from: number, count: number): boolean {
  for (let at = from; at < from + count; at++) if (bytes[at] !== 0) return false;
  return true;
}
