import type { LogId } from "@tidemark/core";
import { batchPrevious } from "./batch-header.ts";
import type { WalBatch } from "./batch.ts";
import type { AppendOptions, NewRecord, RecordEncoder } from "./commit-queue.ts";
import type { WalError } from "./errors.ts";

/** A place between two batches of a log. */
export interface LogPosition {
  /** 0 before the first batch. */
  readonly lsn: number;
  /** 16 bytes: the digest of the batch that ends at `lsn`; zeros before the first. */
  readonly digest: Uint8Array;
}

/** How {@link Log.read} reads. */
export interface ReadOptions {
  /** Wait for more at the end instead of ending. @defaultValue false */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
  /**
   * Check digests. Off, reading is as quick as the disk: for the replay right after {@link openWal}, which has
   * just verified the same bytes. @defaultValue true
   */
  readonly verify?: boolean;
}

/** What waits before a log. */
export interface QueueState {
  readonly records: number;
  readonly bytes: number;
  /** Callers that wait for room now. */
  readonly waiting: number;
  /** Callers that have had to wait for room so far. */
  readonly waited: number;
}

/**
 * One single-writer log. Its owner calls `append`, everybody else `appendVerbatim` with what the owner wrote.
 */
export interface Log {
  readonly id: LogId;
  /** The first LSN held here. */
  readonly first: number;
  readonly durable: LogPosition;
  /** Set once and for good when a write or sync has failed, or when recovery refused damage. */
  readonly failed: WalError | undefined;
  readonly queue: QueueState;
  /**
   * Appends a record of the owner and resolves with its LSN once it is durable (see `Durability`).
   *
   * @throws {@link WalError} `WAL_SYNC_FAILED`, `WAL_NO_SPACE`, `WAL_WRITE_FAILED` (this batch failed),
   * `WAL_LOG_FAILED` (never written), `WAL_RECORD_TOO_LARGE`, `WAL_QUEUE_FULL`, `WAL_EPOCH_ENDED`, `WAL_CLOSED`.
   */
  append(type: number, body: Uint8Array | RecordEncoder, options?: AppendOptions): Promise<number>;
  /**
   * Appends records with LSNs that follow each other, in one batch if they fit. The array and the bodies belong to
   * the log until the promise settles.
   */
  appendMany(
    records: readonly NewRecord[],
    options?: AppendOptions,
  ): Promise<{ first: number; last: number }>;
  /**
   * Stores whole batches of this log as they are, under one sync. They must continue it exactly.
   *
   * @throws {@link WalError} `WAL_BAD_BATCH`, `WAL_VERSION_UNSUPPORTED`, `WAL_NOT_CONTIGUOUS` (nothing was written).
   */
  appendVerbatim(batches: Uint8Array): Promise<void>;
  /**
   * Calls `listener` with every batch, in order, after its sync and before the promises of its callers settle.
   *
   * @returns Stops it.
   */
  onCommit(listener: (batch: WalBatch) => void): () => void;
  /**
   * Reads durable batches from the one that covers `from`. Leaving the loop ends it.
   *
   * @throws {@link WalError} `WAL_NOT_HELD` below `first`, `WAL_CORRUPT` at damage (with `nextLsn`, from which one
   * may read on).
   */
  read(from: number, options?: ReadOptions): AsyncIterable<WalBatch>;
  /** Whole batches that cover [from, to]: at least one, at most `bytesMax` unless the first alone is larger. */
  readBatches(from: number, to: number, bytesMax: number): Promise<Uint8Array>;
  /** The digest (16 bytes) of the batch that ends at `lsn`; `undefined` if none does. */
  digestAt(lsn: number): Promise<Uint8Array | undefined>;
  /** Writes what is queued, then closes. */
  close(): Promise<void>;
}

/** Whether two logs are one. */
export function sameLog(a: LogId, b: LogId): boolean {
  return (
    a === b ||
    (a.epoch === b.epoch && a.region === b.region && a.shard === b.shard && a.channel === b.channel)
  );
}

/** Whether a batch names the digest (8 bytes of it will do) of the one before it. */
export function continuesDigest(batch: WalBatch, lsn: number, digest: Uint8Array): boolean {
  if ((batch.bytes[4] as number) === 1) return true;
  // A base that nobody remembers is taken on trust of the chain that follows.
  if (lsn > 0 && digest.every((byte) => byte === 0)) return true;
  return batchPrevious(batch.bytes)
    .subarray(0, digest.length)
    .every((byte, at) => byte === digest[at]);
}
