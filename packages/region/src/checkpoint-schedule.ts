import type { Timers } from "@tidemark/wal";

/** When a checkpoint is written. */
export interface CheckpointScheduleOptions {
  readonly timers: Timers;
  /** How often it is looked whether one is due. */
  readonly checkMs: number;
  /** One is due so long after the last. */
  readonly everyMs: number;
  /** One is due when logs have grown by so much. */
  readonly everyBytes: number;
  /** What the logs hold now. */
  readonly bytes: () => number;
  /** Writes one and lets go what nobody needs; it never rejects. */
  readonly write: () => Promise<void>;
}

/** Writes checkpoints while a region runs, by time and by bytes: so that little is replayed, and old segments can go. */
export class CheckpointSchedule {
  readonly #options: CheckpointScheduleOptions;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  #lastMs: number;
  #lastBytes: number;
  #due: boolean = false;
  #closed: boolean = false;

  constructor(options: CheckpointScheduleOptions) {
    this.#options = options;
    this.#lastMs = options.timers.now();
    this.#lastBytes = options.bytes();
  }

  start(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.timers.setTimer(this.#options.checkMs, () => {
      this.#check();
      this.start();
    });
  }

  /** One is due: what is on disk says something else than what is in memory. */
  now(): void {
    this.#due = true;
    this.#check();
  }

  /** Resolves once none is being written. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#writing;
  }

  #check(): void {
    const { timers, everyMs, everyBytes, bytes, write } = this.#options;
    if (this.#closed || this.#writing !== undefined) return;
    const grown = bytes() - this.#lastBytes >= everyBytes;
    if (!this.#due && !grown && timers.now() - this.#lastMs < everyMs) return;
    this.#due = false;
    this.#writing = write().then(() => {
      this.#writing = undefined;
      this.#lastMs = timers.now();
      // After the old segments went: what is counted is growth.
      this.#lastBytes = bytes();
    });
  }
}
