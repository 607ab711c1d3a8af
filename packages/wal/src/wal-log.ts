import { guardSafe, guardUpTo, type Hasher, type LogId } from "@tidemark/core";
import { decodeBatches, type WalBatch } from "./batch.ts";
import {
  CommitQueue,
  recordBytes,
  type AppendOptions,
  type NewRecord,
  type QueueEntry,
  type RecordEncoder,
} from "./commit-queue.ts";
import { WalError } from "./errors.ts";
import type { WalFs } from "./file-system.ts";
import { GroupCommit, logFailed, type GroupCommitOptions } from "./group-commit.ts";
import { LogKeeping, type LogSegment, type RepairOptions, type RetentionResult } from "./log-keeping.ts";
import type { RepairFetch, RepairResult } from "./log-repair.ts";
import { LogReader } from "./log-reader.ts";
import { writeErrorCode, type LogTail } from "./log-tail.ts";
import {
  continuesDigest,
  sameLog,
  type Log,
  type LogPosition,
  type QueueState,
  type ReadOptions,
} from "./log.ts";
import type { NotResumableReason } from "./recovery.ts";
import { RunIntentFile } from "./run-intent.ts";
import type { SegmentWriter } from "./segment-writer.ts";
import type { WatermarkEntry } from "./watermark.ts";

/** What a {@link WalLog} is made of. */
export interface WalLogOptions extends GroupCommitOptions {
  readonly fs: WalFs;
  readonly dir: string;
  readonly segmentBytes: number;
  /** Why its owner may not append, if so. */
  readonly ended: NotResumableReason | undefined;
  readonly queueBytesMax: number;
  readonly queueRecordsMax: number;
}

/** The {@link Log} of a directory. */
export class WalLog implements Log {
  readonly #tail: LogTail;
  readonly #queue: CommitQueue;
  readonly #commit: GroupCommit;
  readonly #reader: LogReader;
  readonly #intent: RunIntentFile;
  readonly #hasher: Hasher;
  readonly #keeping: LogKeeping;
  #ended: NotResumableReason | undefined;
  /** What is done one after the other: foreign batches, repair, replacement. */
  #verbatim: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(tail: LogTail, options: WalLogOptions) {
    this.#tail = tail;
    this.#hasher = options.hasher;
    this.#ended = options.ended;
    this.#queue = new CommitQueue(options.queueBytesMax, options.queueRecordsMax, options.timers);
    this.#commit = new GroupCommit(tail, this.#queue, options);
    this.#keeping = new LogKeeping(tail, options);
    this.#reader = new LogReader(tail, options.fs, options.dir, options.hasher);
    this.#intent = new RunIntentFile(options.fs, options.dir, tail.id, options.hasher);
  }

  get id(): LogId {
    return this.#tail.id;
  }

  get first(): number {
    return this.#tail.first;
  }

  get durable(): LogPosition {
    return this.#tail.durable;
  }

  get failed(): WalError | undefined {
    return this.#tail.failed;
  }

  /** The owner may not go on in this epoch. */
  get ended(): boolean {
    return this.#ended !== undefined || this.#tail.failed !== undefined;
  }

  get queue(): QueueState {
    const { records, bytes, waiting, waited } = this.#queue;
    return { records, bytes, waiting, waited };
  }

  append(type: number, body: Uint8Array | RecordEncoder, options?: AppendOptions): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      guardUpTo(type, "record type", 0xff);
      this.#push({ type, body, records: undefined, bytes: recordBytes(body), resolve, reject }, options);
    });
  }

  appendMany(
    records: readonly NewRecord[],
    options?: AppendOptions,
  ): Promise<{ first: number; last: number }> {
    return new Promise((resolve, reject) => {
      if (records.length === 0) throw new RangeError("records must not be empty");
      let bytes = 0;
      for (const record of records) {
        guardUpTo(record.type, "record type", 0xff);
        bytes += recordBytes(record.body);
      }
      const settle = (first: number, last: number): void => resolve({ first, last });
      this.#push({ type: -1, body: undefined, records, bytes, resolve: settle, reject }, options);
    });
  }

  appendVerbatim(batches: Uint8Array): Promise<void> {
    return this.#alone(() => this.#store(batches));
  }

  /** See {@link LogKeeping}. */
  segments(): LogSegment[] {
    return this.#keeping.segments();
  }

  /** See {@link LogKeeping}. */
  retain(lsn: number): Promise<RetentionResult> {
    return this.#alone(() => this.#keeping.retain(lsn));
  }

  /** See {@link LogTail.cut}. */
  async cutFailed(): Promise<void> {
    // A sound log is not waited for: it may be in the middle of a long repair.
    if (this.#tail.needsCut) await this.#alone(() => this.#tail.cut());
  }

  /** See {@link LogKeeping}. What its owner had to give up stays ended. */
  repair(
    fetch: RepairFetch,
    known: WatermarkEntry | undefined,
    options: RepairOptions,
  ): Promise<RepairResult> {
    return this.#quiet(async () => {
      const reason = this.#tail.failed?.code === "WAL_CORRUPT" ? "corrupt" : "ended";
      if (this.#tail.failed !== undefined) this.#ended ??= reason;
      const result = await this.#keeping.repair(fetch, known, options);
      await this.#intent.drop();
      return result;
    });
  }

  /** See {@link LogKeeping}. */
  replace(after: LogPosition, remember: () => Promise<void>): Promise<void> {
    return this.#quiet(async () => {
      await this.#intent.close();
      await this.#keeping.replace(after, remember);
      this.#ended = undefined;
    });
  }

  onCommit(listener: (batch: WalBatch) => void): () => void {
    return this.#tail.onCommit(listener);
  }

  read(from: number, options?: ReadOptions): AsyncIterable<WalBatch> {
    guardSafe(from, "from", 1);
    return this.#reader.read(from, options);
  }

  readBatches(from: number, to: number, bytesMax: number): Promise<Uint8Array> {
    guardSafe(from, "from", 1);
    guardSafe(to, "to", from);
    return this.#reader.readBatches(from, to, bytesMax);
  }

  digestAt(lsn: number): Promise<Uint8Array | undefined> {
    return this.#reader.digestAt(guardSafe(lsn, "lsn"));
  }

  /** Rejects what is queued: the log has failed. */
  onFailed(): void {
    this.#commit.void(logFailed(this.#tail));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#verbatim;
    await this.#commit.flush();
    this.#reader.close();
    await this.#intent.close();
    await this.#tail.close();
  }

  /** While nothing is appended either. */
  #quiet<T>(run: () => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      const release = await this.#commit.hold();
      try {
        return await run();
      } finally {
        release();
      }
    });
  }

  #alone<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#verbatim.then(() => {
      if (this.#closing !== undefined) throw this.#closed();
      return run();
    });
    this.#verbatim = done.catch(() => {});
    return done;
  }

  #push(entry: QueueEntry, options: AppendOptions | undefined): void {
    options?.signal?.throwIfAborted();
    if (this.#closing !== undefined) throw this.#closed();
    if (this.#tail.failed !== undefined) throw logFailed(this.#tail);
    if (this.#ended !== undefined) {
      throw new WalError("WAL_EPOCH_ENDED", `Cannot append to an epoch that has ended: ${this.#ended}`, {
        log: this.id,
      });
    }
    this.#queue.push(entry, options);
    this.#commit.kick();
  }

  async #store(bytes: Uint8Array): Promise<void> {
    const batches = [...decodeBatches(bytes, this.#hasher)];
    await this.#commit.flush();
    const tail = this.#tail;
    if (tail.failed !== undefined) throw logFailed(tail);
    this.#checkChain(batches);
    for (let at = 0; at < batches.length;) {
      at = await this.#storeRun(batches, at);
      if (this.failed !== undefined) throw this.failed;
    }
  }

  #checkChain(batches: readonly WalBatch[]): void {
    let { lsn, digest } = this.#tail.durable;
    for (const batch of batches) {
      const refuse = (message: string): never => {
        throw new WalError("WAL_NOT_CONTIGUOUS", message, { log: this.id, lsn });
      };
      if (!sameLog(batch.log, this.id)) refuse("Cannot store a batch of another log");
      if (batch.firstLsn !== lsn + 1) refuse(`Cannot store batch ${batch.firstLsn}: the log ends at ${lsn}`);
      if (!continuesDigest(batch, lsn, digest))
        refuse(`Cannot store batch ${batch.firstLsn}: another history precedes it`);
      ({ lastLsn: lsn, digest } = batch);
    }
  }

  /** Writes as many batches as the segment takes under one sync; returns where to go on. */
  async #storeRun(batches: readonly WalBatch[], from: number): Promise<number> {
    const tail = this.#tail;
    const first = batches[from] as WalBatch;
    try {
      await tail.prepare(first.bytes.length, first.firstLsn);
      let to = from + 1;
      let bytes = first.bytes.length;
      for (; to < batches.length; to++) {
        const more = (batches[to] as WalBatch).bytes.length;
        if (!tail.ready(bytes + more)) break;
        bytes += more;
      }
      const last = batches[to - 1] as WalBatch;
      if (to - from > 1) await this.#intent.write({ from: first.firstLsn, to: last.lastLsn });
      if (tail.failed !== undefined) return to;
      const segment = tail.segment as SegmentWriter;
      for (let at = from; at < to; at++) segment.write((batches[at] as WalBatch).bytes);
      tail.written = { lsn: last.lastLsn, digest: last.digest };
      await this.#sync(segment);
      if (tail.failed !== undefined) return to;
      for (let at = from; at < to; at++) tail.commit(batches[at] as WalBatch);
      segment.lookAhead();
      return to;
    } catch (error) {
      throw tail.fail(error, writeErrorCode(error));
    }
  }

  async #sync(segment: SegmentWriter): Promise<void> {
    try {
      await segment.sync();
    } catch (error) {
      this.#tail.fail(error, "WAL_SYNC_FAILED");
    }
  }

  #closed(): WalError {
    return new WalError("WAL_CLOSED", "Cannot use a closed log", { log: this.id });
  }
}
