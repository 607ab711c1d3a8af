import { LiveError } from "./errors.ts";
import type { BufferReader, EventBuffer } from "./event-buffer.ts";
import type { LiveEvent } from "./live-event.ts";

type Step = IteratorResult<LiveEvent, undefined>;

interface Waiter {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: unknown) => void;
}

const DONE: Step = { done: true, value: undefined };

/** A place in a buffer, read as an iterator: see {@link LiveSubscription}. */
export class BufferSubscription implements AsyncIterableIterator<LiveEvent>, BufferReader {
  readonly #buffer: EventBuffer;
  readonly #onEnd: () => void;
  readonly #signal: AbortSignal | undefined;
  /** Its own: the buffer may trim what was promised to it. */
  #replay: readonly LiveEvent[];
  #replayed = 0;
  #position: number;
  #waiting: Waiter[] = [];
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
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    const missed = this.#buffer.oldest - 1 - this.#position;
    if (missed > 0) {
      this.#position += missed;
      return Promise.reject(
        new LiveError("SUBSCRIBER_LAGGED", `Cannot go on without a hole: ${missed} events were missed`, {
          missed,
        }),
      );
    }
    this.#position += 1;
    return Promise.resolve({ done: false, value: this.#buffer.at(this.#position) });
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
  }

  fail(): void {
    if (this.#ended) return;
    const [first, ...others] = this.#waiting;
    this.#waiting = others;
    this.#end();
    if (first === undefined) this.#closed = true;
    else first.reject(closed());
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#buffer.readers.delete(this);
    this.#forgetReplay();
    for (const { resolve } of this.#waiting.splice(0)) resolve(DONE);
    this.#onEnd();
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
