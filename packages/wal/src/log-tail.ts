import type { LogId } from "@tidemark/core";
import { WalBatch } from "./batch.ts";
import { WalError, type WalErrorCode } from "./errors.ts";
import type { Extent } from "./extent.ts";
import type { Logger } from "./logger.ts";
import type { LogPosition } from "./log.ts";
import { RecentDigests } from "./recent-digests.ts";
import { SegmentWriter, type SegmentWriterOptions } from "./segment-writer.ts";

/** What a {@link LogTail} starts from. */
export interface LogTailState {
  readonly id: LogId;
  readonly first: number;
  readonly extents: Extent[];
  readonly durable: LogPosition;
  readonly failed: WalError | undefined;
  /** The segment to go on in; without one a new one is made. */
  readonly segment: { readonly extent: Extent; readonly size: number } | undefined;
}

/** A batch on its way to the disk. */
export interface StoredBatch {
  readonly firstLsn: number;
  readonly recordCount: number;
  readonly digest: Uint8Array;
  /** Valid at least until the batch is committed. */
  readonly bytes: Uint8Array;
}

/**
 * The end of one log: what is durable, and the only way to add to it. A batch is written, synced, committed; what
 * fails on the way poisons the log for good.
 */
export class LogTail {
  readonly id: LogId;
  /** The first LSN held; what is below was let go. */
  first: number;
  extents: Extent[];
  /** Ends and digests of what was committed last. */
  readonly recent: RecentDigests = new RecentDigests();
  durable: LogPosition;
  /** What the next batch continues: at or above what is durable. */
  written: LogPosition;
  failed: WalError | undefined;
  /** Called once, when the log fails. */
  onFailed: ((error: WalError) => void) | undefined;
  /** Called after each commit. */
  onDurable: (() => void) | undefined;
  /** Called when a new segment was begun. */
  onRotated: (() => void) | undefined;
  readonly #options: Omit<SegmentWriterOptions, "name" | "onSyncError">;
  readonly #logger: Logger | undefined;
  readonly #listeners = new Set<(batch: WalBatch) => void>();
  readonly #wakers = new Set<() => void>();
  #segment: SegmentWriter | undefined;
  /** The segment that was cut after the log had failed. */
  #cut: SegmentWriter | undefined;
  #reopen: LogTailState["segment"];

  constructor(
    state: LogTailState,
    options: Omit<SegmentWriterOptions, "name" | "onSyncError">,
    logger: Logger | undefined,
  ) {
    this.id = state.id;
    this.first = state.first;
    this.extents = state.extents;
    this.durable = state.durable;
    this.written = state.durable;
    this.failed = state.failed;
    this.#reopen = state.segment;
    this.#options = options;
    this.#logger = logger;
  }

  /** The segment in use, once something was written. */
  get segment(): SegmentWriter | undefined {
    return this.#segment;
  }

  /** Opens the segment to write to. */
  async open(): Promise<SegmentWriter> {
    if (this.#segment !== undefined) return this.#segment;
    const options: SegmentWriterOptions = {
      ...this.#options,
      name: this.id,
      onSyncError: (error) => this.fail(error, "WAL_SYNC_FAILED"),
    };
    const reopen = this.#reopen;
    if (reopen === undefined) {
      this.#segment = await SegmentWriter.create(options, this.durable.lsn + 1);
      this.extents.push(this.#segment.extent);
    } else {
      this.#segment = await SegmentWriter.reopen(options, reopen.extent, reopen.size);
      if (!this.extents.includes(reopen.extent)) this.extents.push(reopen.extent);
    }
    return this.#segment;
  }

  /** Whether a batch of `bytes` can be written without waiting for anything. */
  ready(bytes: number): boolean {
    return this.#segment !== undefined && this.#segment.ready(bytes);
  }

  /** Makes {@link LogTail.ready} true: opens, waits for zeros, rotates. */
  async prepare(bytes: number, firstLsn: number): Promise<void> {
    const segment = await this.open();
    if (segment.ready(bytes) || !(await segment.prepare(bytes, firstLsn))) return;
    this.extents.push(segment.extent);
    this.onRotated?.();
  }

  /** Makes a batch readable that a sync has covered, and tells the listeners. */
  commit(batch: StoredBatch): void {
    const segment = this.#segment as SegmentWriter;
    const lsn = batch.firstLsn + batch.recordCount - 1;
    const extent = segment.extent;
    extent.previous ??= batch.bytes.slice(32, 48);
    extent.add(lsn, batch.bytes.length);
    extent.digest = batch.digest;
    this.recent.add(lsn, batch.digest);
    this.durable = { lsn, digest: batch.digest };
    if (this.#listeners.size > 0) {
      const { firstLsn, recordCount } = batch;
      this.tell(new WalBatch({ log: this.id, firstLsn, recordCount }, batch.bytes.slice()));
    }
    this.wakeAll();
    this.onDurable?.();
  }

  /** Calls the listeners of commits. */
  tell(batch: WalBatch): void {
    for (const listener of this.#listeners) {
      try {
        listener(batch);
      } catch (error) {
        // The batch is durable whatever a listener makes of it.
        this.#logger?.error("A commit listener threw", { error });
      }
    }
  }

  onCommit(listener: (batch: WalBatch) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `wake` once, at the next commit, failure or close. */
  whenChanged(wake: () => void): () => void {
    this.#wakers.add(wake);
    return () => this.#wakers.delete(wake);
  }

  /** Poisons the log. Returns the error of what was being written. */
  fail(cause: unknown, code: WalErrorCode): WalError {
    if (this.failed !== undefined) return this.failed;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const error = new WalError(code, `Cannot make LSN ${this.durable.lsn + 1} durable: ${reason}`, {
      log: this.id,
      lsn: this.durable.lsn + 1,
      cause,
      ...(this.#segment && { segment: this.#segment.extent.segment, offset: this.#segment.extent.end }),
    });
    this.failed = error;
    this.wakeAll();
    this.onFailed?.(error);
    return error;
  }

  /** Whether {@link LogTail.cut} has something to do. */
  get needsCut(): boolean {
    return this.failed !== undefined && this.#segment !== undefined && this.#segment !== this.#cut;
  }

  /**
   * Takes what a failed log has written and not acknowledged off the disk: whoever wrote it writes it elsewhere now, and
   * it must not be found here after a restart.
   *
   * @throws WalError `WAL_NO_SPACE` or `WAL_WRITE_FAILED` when the disk refuses that, too.
   */
  async cut(): Promise<void> {
    const segment = this.#segment;
    if (!this.needsCut || segment === undefined) return;
    try {
      await segment.cut();
      this.#cut = segment;
    } catch (error) {
      const message = `Cannot take what failed off the disk: ${error instanceof Error ? error.message : String(error)}`;
      throw new WalError(writeErrorCode(error), message, { log: this.id, cause: error });
    }
  }

  wakeAll(): void {
    for (const wake of this.#wakers) wake();
    this.#wakers.clear();
  }

  /**
   * Lets go of the segment in use, so that its file may be replaced. What is written next needs
   * {@link LogTail.install} before.
   */
  async release(): Promise<void> {
    const segment = this.#segment;
    this.#segment = undefined;
    try {
      await segment?.close();
    } catch (error) {
      // A poisoned file may fail once more; nothing of it is used again.
      this.#logger?.warn("A segment could not be closed", { error });
    }
  }

  /** Goes on from another state of the disk, as if the log had been opened just now. */
  install(state: Omit<LogTailState, "id">): void {
    this.first = state.first;
    this.extents = state.extents;
    this.durable = state.durable;
    this.written = state.durable;
    this.failed = state.failed;
    this.#reopen = state.segment;
    this.recent.clear();
    this.wakeAll();
  }

  async close(): Promise<void> {
    await this.#segment?.close();
  }
}

/** The code of a failed write, by what the file system says. */
export function writeErrorCode(error: unknown): WalErrorCode {
  const code = (error as { code?: unknown } | undefined)?.code;
  return code === "ENOSPC" || code === "EDQUOT" ? "WAL_NO_SPACE" : "WAL_WRITE_FAILED";
}
