import { ByteReader, CoreError, type Hasher, type LogId } from "@tidemark/core";
import {
  BATCH_HEADER_BYTES,
  batchDigest,
  batchPrevious,
  decodeBatchHeader,
  verifyBatch,
  type BatchHeader,
} from "./batch-header.ts";
import { WalError } from "./errors.ts";

/** The types of records that have a meaning here. Others are kept and forwarded; 0x80 and above are private. */
export const RECORD_TYPE: {
  readonly signal: 0x01;
  readonly sessionOp: 0x02;
  readonly epochOpen: 0x03;
  readonly membership: 0x04;
  readonly purge: 0x05;
} = { signal: 0x01, sessionOp: 0x02, epochOpen: 0x03, membership: 0x04, purge: 0x05 };

/** One entry of a log. */
export interface WalRecord {
  readonly lsn: number;
  readonly type: number;
  /** A view into the batch: valid as long as it is. */
  readonly body: Uint8Array;
}

/** The records of one group commit, as they lie on disk. */
export class WalBatch {
  readonly log: LogId;
  readonly firstLsn: number;
  readonly recordCount: number;
  /** Header and payload: immutable, a buffer of its own, never re-encoded. */
  readonly bytes: Uint8Array;

  constructor(header: Pick<BatchHeader, "log" | "firstLsn" | "recordCount">, bytes: Uint8Array) {
    this.log = header.log;
    this.firstLsn = header.firstLsn;
    this.recordCount = header.recordCount;
    this.bytes = bytes;
  }

  get lastLsn(): number {
    return this.firstLsn + this.recordCount - 1;
  }

  /** 16 bytes. */
  get digest(): Uint8Array {
    return batchDigest(this.bytes);
  }

  /** The digest of the batch before: 16 bytes, zeros in the first. */
  get previous(): Uint8Array {
    return batchPrevious(this.bytes);
  }

  /** Its records. {@link forEachRecord} is the way without objects. */
  *records(): Iterable<WalRecord> {
    const reader = new ByteReader(this.bytes, BATCH_HEADER_BYTES);
    for (let lsn = this.firstLsn; reader.remaining > 0; lsn++) {
      const record = reader.prefixed();
      yield { lsn, type: record[0] as number, body: record.subarray(1) };
    }
  }
}

/** How {@link decodeBatch} looks at bytes. */
export interface DecodeBatchOptions {
  /** Compute the digest as well. @defaultValue true */
  readonly verify?: boolean;
}

/**
 * Reads the batch at `offset` into a buffer of its own. The structure of its records is checked always, the
 * digest by default.
 *
 * @throws {@link WalError} `WAL_BAD_BATCH` with the offset, `WAL_VERSION_UNSUPPORTED`.
 */
export function decodeBatch(
  bytes: Uint8Array,
  offset: number,
  hasher: Hasher,
  options: DecodeBatchOptions = {},
): WalBatch {
  const header = decodeBatchHeader(bytes, offset);
  const length = BATCH_HEADER_BYTES + header.payloadBytes;
  if (bytes.length - offset < length) {
    throw new WalError(
      "WAL_BAD_BATCH",
      `Cannot read a batch of ${length} bytes: ${bytes.length - offset} remain`,
      {
        offset,
        lsn: header.firstLsn,
      },
    );
  }
  const own = new Uint8Array(length);
  own.set(bytes.subarray(offset, offset + length));
  if ((options.verify ?? true) && !verifyBatch(own, 0, header, hasher)) {
    throw new WalError("WAL_BAD_BATCH", `Cannot accept batch ${header.firstLsn}: its digest does not match`, {
      offset,
      lsn: header.firstLsn,
    });
  }
  checkRecords(own, 0, header, offset);
  return new WalBatch(header, own);
}

/**
 * Walks whole batches that follow each other, such as the body of a frame or the answer of a range request.
 *
 * @throws {@link WalError} as {@link decodeBatch}; also for bytes after the last batch.
 */
export function* decodeBatches(
  bytes: Uint8Array,
  hasher: Hasher,
  options: DecodeBatchOptions = {},
): Generator<WalBatch, void, undefined> {
  for (let offset = 0; offset < bytes.length;) {
    const batch = decodeBatch(bytes, offset, hasher, options);
    yield batch;
    offset += batch.bytes.length;
  }
}

/** Checks that the payload is exactly `recordCount` records. `base` is added to offsets in errors. */
export function checkRecords(bytes: Uint8Array, offset: number, header: BatchHeader, base: number = 0): void {
  const end = offset + BATCH_HEADER_BYTES + header.payloadBytes;
  const bad = (at: number): WalError =>
    new WalError("WAL_BAD_BATCH", `Cannot split the payload of batch ${header.firstLsn} into its records`, {
      offset: base + at - offset,
      lsn: header.firstLsn,
    });
  let at = offset + BATCH_HEADER_BYTES;
  for (let index = 0; index < header.recordCount; index++) {
    const start = at;
    if (at >= end) throw bad(start);
    let length = bytes[at++] as number;
    if (length >= 0x80) {
      const reader = new ByteReader(bytes, start, end);
      try {
        length = reader.varint();
      } catch (error) {
        if (error instanceof CoreError) throw bad(start);
        throw error;
      }
      at = reader.offset;
    }
    at += length;
    if (length === 0 || at > end) throw bad(start);
  }
  if (at !== end) throw bad(at);
}

/** Called with the type, the bytes and where the body lies in them. */
export type RecordVisitor = (
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  lsn: number,
) => void;

/** Visits the records of a batch in LSN order without an object for each. */
export function forEachRecord(batch: WalBatch, visit: RecordVisitor): void {
  const bytes = batch.bytes;
  let lsn = batch.firstLsn;
  for (let at = BATCH_HEADER_BYTES; at < bytes.length; lsn++) {
    // The structure was checked when the batch was read.
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] as number;
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    visit(bytes[at] as number, bytes, at + 1, at + length, lsn);
    at += length;
  }
}
