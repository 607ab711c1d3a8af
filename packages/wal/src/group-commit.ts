import type { Hasher } from "@tidemark/core";
import { BatchBuilder, Carry } from "./batch-builder.ts";
import type { CommitQueue } from "./commit-queue.ts";
import { WalError } from "./errors.ts";
import { writeErrorCode, type LogTail, type StoredBatch } from "./log-tail.ts";
import type { SegmentWriter } from "./segment-writer.ts";
import type { Timers } from "./timers.ts";

/** A batch this small is filled up with what has come since it was packed. */
const TOP_UP_BYTES = 16 * 1024;
/** What waits while a sync runs is packed and hashed at once from this size on. */
const PACK_AHEAD_BYTES = 32 * 1024;
/** A lone writer whose syncs hold the thread longer than this is moved to the thread pool... */
const SYNC_HERE_MS_MAX = 2;
/** ...for this many batches. */
const SYNC_AWAY_BATCHES = 64;
/** Most bytes a weak mode leaves unsynced. */
const UNSYNCED_BYTES_MAX = 4 * 1024 * 1024;

/** How a {@link GroupCommit} works. */
export interface GroupCommitOptions {
  readonly hasher: Hasher;
  readonly batchBytesMax: number;
  readonly timers: Timers | undefined;
  /** `undefined`: callers wait for the sync. Otherwise the sync follows the write after this long. */
  readonly syncDelayMs: number | undefined;
}

/**
 * Group commit: one writer, one batch in flight, everything queued meanwhile is the next batch.
 *
 * A lone caller gets write and sync at once on this thread, which is the quickest there is. With several callers
 * the sync goes to the thread pool and the next batch is packed and hashed while it runs; it is written only after
 * that sync succeeded, and void if it failed.
 */
export class GroupCommit {
  readonly #tail: LogTail;
  readonly #queue: CommitQueue;
  readonly #options: GroupCommitOptions;
  /** The batch in flight, and the one packed while it is. */
  #current: BatchBuilder;
  #ahead: BatchBuilder;
  #packed = false;
  readonly #carry: Carry = new Carry();
  #running = false;
  #syncing = false;
  #lastRecords = 1;
  #syncAway = 0;
  /** Written, acknowledged by a weak mode, and not synced. */
  #unsynced: StoredBatch[] = [];
  #unsyncedBytes = 0;
  #syncDue = false;
  #cancelSync: (() => void) | undefined;
  #idle: (() => void)[] = [];
  #held = false;

  constructor(tail: LogTail, queue: CommitQueue, options: GroupCommitOptions) {
    this.#tail = tail;
    this.#queue = queue;
    this.#options = options;
    this.#current = new BatchBuilder(options.batchBytesMax);
    this.#ahead = new BatchBuilder(options.batchBytesMax);
  }

  /** Starts working if there is something to do and nobody does. */
  kick(): void {
    if (!this.#running) {
      if (this.#held) return;
      this.#running = true;
      // Not at once: callers of the same turn share a batch.
      queueMicrotask(() => void this.#run());
    } else if (this.#syncing && !this.#packed && this.#queue.bytes >= PACK_AHEAD_BYTES) {
      this.#packAhead();
    }
  }

  /** Resolves once nothing is queued and nothing in flight, or the log has failed. */
  async drained(): Promise<void> {
    while (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Syncs what a weak mode has left. Resolves once nothing is queued either. */
  async flush(): Promise<void> {
    this.#syncDue = true;
    this.kick();
    await this.drained();
  }

  /** Waits for what is in flight and writes nothing more until the returned function is called. */
  async hold(): Promise<() => void> {
    this.#held = true;
    await this.drained();
    await this.#syncWritten();
    return () => {
      this.#held = false;
      if (this.#packed || !this.#queue.empty) this.kick();
    };
  }

  /** Rejects everything that is not on disk. Called when the log has failed or is closed. */
  void(error: WalError): void {
    this.#cancelSync?.();
    this.#cancelSync = undefined;
    if (this.#packed) this.#ahead.reject(error);
    this.#packed = false;
    this.#unsynced = [];
    this.#unsyncedBytes = 0;
    // An entry in progress is still in the queue.
    this.#carry.entry = undefined;
    this.#carry.bytes = undefined;
    this.#carry.records = 0;
    this.#queue.rejectAll(error);
  }

  async #run(): Promise<void> {
    try {
      while (this.#tail.failed === undefined && !this.#held) {
        if (this.#syncDue) await this.#syncWritten();
        const builder = this.#take();
        if (builder === undefined) break;
        await this.#store(builder);
      }
    } finally {
      this.#running = false;
      for (const idle of this.#idle) idle();
      this.#idle = [];
    }
    if ((this.#syncDue || !this.#queue.empty) && this.#tail.failed === undefined) this.kick();
  }

  /** The next batch, sealed; `undefined` if nothing is to be written. */
  #take(): BatchBuilder | undefined {
    const builder = this.#ahead;
    if (!this.#packed) {
      builder.begin(this.#tail.written.lsn + 1, this.#carry);
      this.#fill(builder);
    } else if (builder.length < TOP_UP_BYTES && !this.#queue.empty && this.#carry.entry === undefined) {
      // An entry that moved on begins the batch after this one.
      this.#fill(builder);
    }
    this.#packed = false;
    this.#ahead = this.#current;
    this.#current = builder;
    return builder.recordCount > 0 ? builder : undefined;
  }

  #packAhead(): void {
    const inFlight = this.#current;
    const builder = this.#ahead;
    builder.begin(inFlight.firstLsn + inFlight.recordCount, this.#carry);
    this.#fill(builder, inFlight.digest);
    this.#packed = builder.recordCount > 0;
  }

  #fill(builder: BatchBuilder, previous: Uint8Array = this.#tail.written.digest): void {
    const before = builder.recordCount;
    for (
      let entry = this.#queue.peek();
      entry !== undefined && (!builder.full || this.#carry.packed);
      entry = this.#queue.peek()
    ) {
      if (builder.add(entry, this.#carry) === "full") break;
      this.#queue.shift();
    }
    if (this.#queue.waiting > 0) this.#queue.admit();
    const filled = builder.recordCount > before || builder.digest === undefined;
    if (builder.recordCount > 0 && filled) builder.seal(this.#tail.id, previous, this.#options.hasher);
  }

  async #store(builder: BatchBuilder): Promise<void> {
    const { syncDelayMs } = this.#options;
    const bytes = builder.bytes;
    try {
      if (!this.#tail.ready(bytes.length)) {
        // Nothing unsynced is left behind in a segment: only the last can be torn.
        await this.#syncWritten();
        if (this.#tail.failed === undefined) await this.#tail.prepare(bytes.length, builder.firstLsn);
      }
      if (this.#tail.failed !== undefined) {
        builder.reject(logFailed(this.#tail));
        return;
      }
      (this.#tail.segment as SegmentWriter).write(bytes);
    } catch (error) {
      builder.reject(this.#tail.fail(error, writeErrorCode(error)));
      return;
    }
    const digest = builder.digest as Uint8Array;
    const stored = { firstLsn: builder.firstLsn, recordCount: builder.recordCount, digest, bytes };
    this.#tail.written = { lsn: builder.firstLsn + builder.recordCount - 1, digest };
    if (syncDelayMs !== undefined) {
      this.#unsynced.push({ ...stored, bytes: bytes.slice() });
      this.#unsyncedBytes += bytes.length;
      builder.resolve();
      if (this.#unsyncedBytes >= UNSYNCED_BYTES_MAX) await this.#syncWritten();
      else this.#syncLater(syncDelayMs);
      return;
    }
    await this.#sync(builder, stored);
  }

  async #sync(builder: BatchBuilder, stored: StoredBatch): Promise<void> {
    const segment = this.#tail.segment as SegmentWriter;
    try {
      const lone = stored.recordCount === 1 && this.#lastRecords === 1 && this.#queue.empty;
      this.#lastRecords = stored.recordCount;
      if (lone && this.#syncAway === 0) {
        const before = this.#options.timers?.now() ?? 0;
        segment.syncNow();
        if ((this.#options.timers?.now() ?? 0) - before > SYNC_HERE_MS_MAX)
          this.#syncAway = SYNC_AWAY_BATCHES;
      } else {
        if (this.#syncAway > 0) this.#syncAway -= 1;
        this.#syncing = true;
        const synced = segment.sync();
        if (this.#queue.bytes >= PACK_AHEAD_BYTES) this.#packAhead();
        await synced;
      }
    } catch (error) {
      builder.reject(this.#tail.fail(error, "WAL_SYNC_FAILED"));
      return;
    } finally {
      this.#syncing = false;
    }
    // A failed sync of zeros meanwhile may have been about these bytes.
    if (this.#tail.failed !== undefined) {
      builder.reject(this.#tail.failed);
      return;
    }
    this.#tail.commit(stored);
    builder.resolve();
    segment.lookAhead();
  }

  #syncLater(delayMs: number): void {
    if (this.#cancelSync !== undefined || this.#options.timers === undefined) return;
    this.#cancelSync = this.#options.timers.setTimer(delayMs, () => {
      this.#cancelSync = undefined;
      void this.flush();
    });
  }

  async #syncWritten(): Promise<void> {
    this.#syncDue = false;
    if (this.#unsynced.length === 0) return;
    this.#cancelSync?.();
    this.#cancelSync = undefined;
    const batches = this.#unsynced;
    this.#unsynced = [];
    this.#unsyncedBytes = 0;
    try {
      await (this.#tail.segment as SegmentWriter).sync();
    } catch (error) {
      this.#tail.fail(error, "WAL_SYNC_FAILED");
    }
    if (this.#tail.failed !== undefined) return;
    for (const batch of batches) this.#tail.commit(batch);
    this.#tail.segment?.lookAhead();
  }
}

/** The error of callers that were never written: they may be judged again in the next epoch. */
export function logFailed(tail: LogTail): WalError {
  return new WalError("WAL_LOG_FAILED", "Cannot append: the log has failed and nothing of this was written", {
    log: tail.id,
    cause: tail.failed,
    retryable: true,
  });
}
