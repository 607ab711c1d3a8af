import { LiveError } from "./errors.ts";
import type { BufferReader, EventBuffer } from "./event-buffer.ts";
import type { LiveEvent } from "./live-event.ts";
import type { LiveEvents } from "./replay-store.ts";

type Step = IteratorResult<LiveEvent, undefined>;

interface Waiter {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: unknown) => void;
}

interface BatchWaiter {
  readonly resolve: (batch: readonly LiveEvent[] | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Events that a reader takes at once. */
const EVENTS_A_BATCH_MAX = 256;

const DONE: Step = { done: true, value: undefined };

/** A place in a buffer, read as an iterator: see {@link LiveSubscription}. */
export class BufferSubscription implements LiveEvents, BufferReader {
  readonly #buffer: EventBuffer;
  readonly #onEnd: () => void;
  readonly #signal: AbortSignal | undefined;
  /** Its own: the buffer may trim what was promised to it. */
  #replay: readonly LiveEvent[];
  #replayed = 0;
  #position: number;
  #waiting: Waiter[] = [];
  /** Of those who wait for whatever comes. */
  #waitingForAll: BatchWaiter[] = [];
  #ended = false;
  #closed = false;
  readonly #abort = (): void => this.#end();

  constructor(buffer: EventBuffer, after: number, signal: AbortSignal | undefined, onEnd: () => void) {
    this.#buffer = buffer;
    this.#onEnd = onEnd;
    this.#signal = signal;
    this.#replay = buffer.replay(after);
    this.#position = buffer.tail;
    buffer.readers.add(this);
    signal?.addEventListener("abort", this.#abort);
  }

  get position(): number {
    return this.#position;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#closed) {
      this.#closed = false;
      return Promise.reject(closed());
    }
    if (this.#ended) return Promise.resolve(DONE);
    if (this.#replayed < this.#replay.length) {
      const value = this.#replay[this.#replayed++] as LiveEvent;
      if (this.#replayed === this.#replay.length) this.#forgetReplay();
      return Promise.resolve({ done: false, value });
    }
    if (this.#position === this.#buffer.tail) {
      this.#buffer.wait(this);
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    const lagged = this.#lag();
    if (lagged !== undefined) return Promise.reject(lagged);
    this.#position += 1;
    return Promise.resolve({ done: false, value: this.#buffer.at(this.#position) });
  }

  nextBatch(): Promise<readonly LiveEvent[] | undefined> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      if (!this.#settle(waiter)) this.#waitForAll(waiter);
    });
  }

  return(): Promise<Step> {
    this.#end();
    this.#closed = false;
    return Promise.resolve(DONE);
  }

  offer(step: IteratorYieldResult<LiveEvent>): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) return;
    this.#position += 1;
    waiter.resolve(step);
    if (this.#waiting.length > 0) this.#buffer.wait(this);
  }

  offerAll(): void {
    for (const waiter of this.#waitingForAll.splice(0)) {
      if (!this.#settle(waiter)) this.#waitForAll(waiter);
    }
  }

  fail(): void {
    if (this.#ended) return;
    const first = this.#waiting.shift();
    // Whoever asks first is told.
    this.#closed = first === undefined;
    this.#end();
    first?.reject(closed());
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#buffer.leave(this);
    this.#forgetReplay();
    for (const { resolve } of this.#waiting.splice(0)) resolve(DONE);
    for (const waiter of this.#waitingForAll.splice(0)) this.#settle(waiter);
    this.#onEnd();
  }

  #waitForAll(waiter: BatchWaiter): void {
    this.#waitingForAll.push(waiter);
    this.#buffer.waitForAll(this);
  }

  /** Answers a waiter if there is an answer: events, or an end. */
  #settle({ resolve, reject }: BatchWaiter): boolean {
    if (this.#closed) {
      this.#closed = false;
      reject(closed());
    } else if (this.#ended) resolve(undefined);
    else if (this.#replayed < this.#replay.length) {
      const batch = this.#replay.slice(this.#replayed, this.#replayed + EVENTS_A_BATCH_MAX);
      this.#replayed += batch.length;
      if (this.#replayed === this.#replay.length) this.#forgetReplay();
      resolve(batch);
    } else if (this.#position === this.#buffer.tail) return false;
    else {
      const lagged = this.#lag();
      if (lagged === undefined) {
        const batch = this.#buffer.batchBehind(this.#position, EVENTS_A_BATCH_MAX);
        this.#position += batch.length;
        resolve(batch);
      } else reject(lagged);
    }
    return true;
  }

  /** Passes over what is not held any more; says how much that was. */
  #lag(): LiveError | undefined {
    const missed = this.#buffer.oldest - 1 - this.#position;
    if (missed <= 0) return undefined;
    this.#position += missed;
    const message = `Cannot go on without a hole: ${missed} events were missed`;
    return new LiveError("SUBSCRIBER_LAGGED", message, { missed });
  }

  #forgetReplay(): void {
    this.#replay = [];
    this.#replayed = 0;
  }
}

/** What a store that was closed rejects with. */
export function closed(): LiveError {
  return new LiveError("CLOSED", "Cannot use the store of live events: it was closed");
}
