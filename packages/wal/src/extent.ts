import {
  BATCH_HEADER_BYTES,
  batchDigest,
  batchPrevious,
  decodeBatchHeader,
  type BatchHeader,
} from "./batch-header.ts";
import type { WalFile } from "./file-system.ts";

const INDEX_STEP_BYTES = 64 * 1024;
const BLOCK_BYTES = 256 * 1024;

/**
 * Batches that follow each other in one segment. A sound log has one for each segment; damage splits them.
 * Remembers a position every 64 KiB, so that memory stays a small part of what the log weighs.
 */
export class Extent {
  /** The name of the segment file. */
  readonly segment: string;
  readonly firstLsn: number;
  /** `firstLsn - 1` while it is empty. */
  lastLsn: number;
  readonly start: number;
  /** Where the last batch ends (exclusive). */
  end: number;
  /** Where the last batch begins. */
  lastStart: number;
  /** The `previous` of its first batch, unknown until it was read. */
  previous: Uint8Array | undefined;
  /** The digest of its last batch, unknown until it was read. */
  digest: Uint8Array | undefined;
  /** Grows when the file of this name was replaced by another. */
  revision = 0;
  readonly #lsns: number[] = [];
  readonly #offsets: number[] = [];

  constructor(segment: string, firstLsn: number, start: number) {
    this.segment = segment;
    this.firstLsn = firstLsn;
    this.lastLsn = firstLsn - 1;
    this.start = start;
    this.end = start;
    this.lastStart = start;
  }

  /** Takes in the next batch, which lies at the end. */
  add(lastLsn: number, bytes: number): void {
    const last = this.#offsets.at(-1);
    if (last === undefined || this.end - last >= INDEX_STEP_BYTES) {
      this.#lsns.push(this.lastLsn + 1);
      this.#offsets.push(this.end);
    }
    this.lastStart = this.end;
    this.lastLsn = lastLsn;
    this.end += bytes;
  }

  /** A place at or before the batch that covers `lsn`. */
  seek(lsn: number): number {
    let low = 0;
    let high = this.#lsns.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#lsns[middle] as number) <= lsn) low = middle + 1;
      else high = middle;
    }
    return this.#offsets[low - 1] ?? this.start;
  }
}

/** Reads a file forward in blocks; a block grows only for a batch larger than it. */
export class BlockReader {
  /** The bytes read ahead; the next one is at `at`. Free to be rearranged and put back. */
  buffer: Uint8Array;
  at = 0;
  /** Where what was read ends in the buffer. */
  filled = 0;
  readonly #file: WalFile;
  readonly #end: number;
  #position: number;

  constructor(file: WalFile, position: number, end: number, blockBytes: number = BLOCK_BYTES) {
    this.#file = file;
    this.#end = end;
    this.#position = position;
    this.buffer = new Uint8Array(Math.max(BATCH_HEADER_BYTES, Math.min(blockBytes, end - position)));
  }

  get available(): number {
    return this.filled - this.at;
  }

  /** Where in the file `at` is. */
  get offset(): number {
    return this.#position - this.available;
  }

  /** Tries to have `count` bytes at `at`; false at the end of the range. */
  async fill(count: number): Promise<boolean> {
    if (this.available >= count) return true;
    const rest = this.buffer.subarray(this.at, this.filled);
    if (count > this.buffer.length) {
      const grown = new Uint8Array(count);
      grown.set(rest);
      this.buffer = grown;
    } else {
      this.buffer.copyWithin(0, this.at, this.filled);
    }
    this.filled = rest.length;
    this.at = 0;
    while (this.filled < count && this.#position < this.#end) {
      const space = Math.min(this.buffer.length - this.filled, this.#end - this.#position);
      const read = await this.#file.read(
        this.buffer.subarray(this.filled, this.filled + space),
        this.#position,
      );
      if (read === 0) break;
      this.filled += read;
      this.#position += read;
    }
    return this.filled >= count;
  }
}

/** Where a batch lies, from its header alone. */
export interface BatchPlace {
  readonly header: BatchHeader;
  readonly offset: number;
  readonly lastLsn: number;
  /** 16 bytes, a copy. */
  readonly digest: Uint8Array;
  /** 16 bytes, a copy. */
  readonly previous: Uint8Array;
}

/** Walks headers from an indexed place to the batch that covers `lsn`. */
export async function findBatch(file: WalFile, extent: Extent, lsn: number): Promise<BatchPlace | undefined> {
  const bytes = new Uint8Array(BATCH_HEADER_BYTES);
  for (let offset = extent.seek(lsn); offset + BATCH_HEADER_BYTES <= extent.end;) {
    if ((await file.read(bytes, offset)) < BATCH_HEADER_BYTES) return undefined;
    const header = decodeBatchHeader(bytes);
    const lastLsn = header.firstLsn + header.recordCount - 1;
    if (lsn <= lastLsn) {
      return {
        header,
        offset,
        lastLsn,
        digest: batchDigest(bytes).slice(),
        previous: batchPrevious(bytes).slice(),
      };
    }
    offset += BATCH_HEADER_BYTES + header.payloadBytes;
  }
  return undefined;
}
