import type { ByteWriter } from "@tidemark/core";
import { WalError } from "./errors.ts";
import type { Timers } from "./timers.ts";

/**
 * Writes the body of a record. Called when its batch is formed, once: numbers are allotted then. If it throws,
 * only its caller is rejected and nothing of it is written.
 */
export type RecordEncoder = (writer: ByteWriter, lsn: number) => void;

/** A record to append. */
export interface NewRecord {
  /** u8; see `RECORD_TYPE`. */
  readonly type: number;
  readonly body: Uint8Array | RecordEncoder;
}

/** How a caller waits for room in the queue. */
export interface AppendOptions {
  /** Ends the waiting for room. Once queued, the record is written all the same. */
  readonly signal?: AbortSignal;
  /** The longest wait for room, in milliseconds; needs `timers`. */
  readonly timeoutMs?: number;
}

/** What one caller wants written, and how to tell it the outcome. */
export interface QueueEntry {
  /** The type of a single record, or -1 with `records`. */
  readonly type: number;
  readonly body: Uint8Array | RecordEncoder | undefined;
  readonly records: readonly NewRecord[] | undefined;
  readonly bytes: number;
  /** Called with the LSN of the first and of the last record. */
  readonly resolve: (first: number, last: number) => void;
  readonly reject: (error: unknown) => void;
}

interface Waiter {
  readonly entry: QueueEntry;
  /** Drops the deadline and the abort listener. */
  readonly settle: () => void;
}

/** What an encoder is counted as before it has run. */
const ENCODER_BYTES = 256;
/** Length, type and the rest of what a record costs in memory. */
const RECORD_OVERHEAD_BYTES = 9;

/** Bytes an entry is counted as. */
export function recordBytes(body: Uint8Array | RecordEncoder): number {
  return RECORD_OVERHEAD_BYTES + (typeof body === "function" ? ENCODER_BYTES : body.length);
}

/**
 * The queue before a log: bounded in bytes and records. At the bound callers wait in order, nothing is dropped.
 */
export class CommitQueue {
  bytes = 0;
  records = 0;
  /** How many callers wait for room now, and how many have had to so far. */
  waiting = 0;
  waited = 0;
  readonly #bytesMax: number;
  readonly #recordsMax: number;
  readonly #timers: Timers | undefined;
  #entries: QueueEntry[] = [];
  #head = 0;
  readonly #waiters = new Set<Waiter>();

  constructor(bytesMax: number, recordsMax: number, timers: Timers | undefined) {
    this.#bytesMax = bytesMax;
    this.#recordsMax = recordsMax;
    this.#timers = timers;
  }

  get empty(): boolean {
    return this.#head === this.#entries.length;
  }

  /** Queues the entry, or lets it wait for room. */
  push(entry: QueueEntry, options: AppendOptions | undefined): void {
    if (this.#waiters.size === 0 && this.#hasRoom(entry)) {
      this.#take(entry);
      return;
    }
    if (options?.timeoutMs !== undefined && this.#timers === undefined) {
      throw new TypeError("timeoutMs needs timers: give them to openWal");
    }
    this.waiting += 1;
    this.waited += 1;
    const leave = (error: unknown): void => {
      if (!this.#waiters.delete(waiter)) return;
      waiter.settle();
      entry.reject(error);
    };
    const signal = options?.signal;
    const onAbort = (): void => leave(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const cancel =
      options?.timeoutMs === undefined
        ? undefined
        : this.#timers?.setTimer(options.timeoutMs, () => {
            leave(
              new WalError(
                "WAL_QUEUE_FULL",
                `Cannot queue within ${options.timeoutMs} ms: ${this.records} records wait`,
                {
                  retryable: true,
                },
              ),
            );
          });
    const waiter: Waiter = {
      entry,
      settle: () => {
        this.waiting -= 1;
        cancel?.();
        signal?.removeEventListener("abort", onAbort);
      },
    };
    this.#waiters.add(waiter);
  }

  /** The oldest entry, left in the queue. */
  peek(): QueueEntry | undefined {
    return this.#entries[this.#head];
  }

  /** Takes the oldest entry out. */
  shift(): void {
    const entry = this.#entries[this.#head] as QueueEntry;
    this.#entries[this.#head++] = undefined as unknown as QueueEntry;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    }
    this.bytes -= entry.bytes;
    this.records -= entry.records?.length ?? 1;
  }

  /** Lets in those who wait, as far as there is room. */
  admit(): void {
    for (const waiter of this.#waiters) {
      if (!this.#hasRoom(waiter.entry)) return;
      this.#waiters.delete(waiter);
      waiter.settle();
      this.#take(waiter.entry);
    }
  }

  /** Empties the queue and the line before it. */
  rejectAll(error: WalError): void {
    for (; !this.empty;) {
      const entry = this.peek() as QueueEntry;
      this.shift();
      entry.reject(error);
    }
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      waiter.settle();
      waiter.entry.reject(error);
    }
  }

  /** An entry larger than the bounds gets in alone. */
  #hasRoom(entry: QueueEntry): boolean {
    if (this.records === 0) return true;
    const records = entry.records?.length ?? 1;
    return this.bytes + entry.bytes <= this.#bytesMax && this.records + records <= this.#recordsMax;
  }

  #take(entry: QueueEntry): void {
    this.#entries.push(entry);
    this.bytes += entry.bytes;
    this.records += entry.records?.length ?? 1;
  }
}
