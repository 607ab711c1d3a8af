import { closed } from "./buffer-subscription.ts";
import { LiveError } from "./errors.ts";
import type { LiveEvent } from "./live-event.ts";

type Step = IteratorResult<LiveEvent, undefined>;

interface Waiter {
  readonly resolve: (step: Step) => void;
  readonly reject: (error: unknown) => void;
}

/** Options of a {@link PushedSubscription}. */
export interface PushedSubscriptionOptions {
  /** Live events held that nobody has read; beyond it the oldest go. */
  readonly bufferedMax: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once, when it has ended in whatever way. */
  readonly onEnd: (subscription: PushedSubscription) => void;
}

const DONE: Step = { done: true, value: undefined };
/** Slots of events that were read or dropped, before the list is cut. */
const SPENT_MAX = 1_024;

/**
 * The iterator of a {@link LiveSubscription} over a medium that pushes, for who writes a store.
 *
 * Events may be pushed before the replay is known: `begin` puts the replay first and leaves out what it repeats. From then on
 * positions say what comes next, so that an event pushed twice is given once, and a hole is a lag of just its size.
 */
export class PushedSubscription implements AsyncIterableIterator<LiveEvent> {
  readonly #options: PushedSubscriptionOptions;
  #replay: readonly LiveEvent[] = [];
  #replayed: number = 0;
  /** What was pushed; those before `#head` are gone. */
  #pushed: LiveEvent[] = [];
  #head: number = 0;
  /** The last event that was pushed or replayed. */
  #tail: number = 0;
  /** The last event that was given out, or told as missed. */
  #position: number = 0;
  #incarnation: string | undefined;
  #waiting: Waiter[] = [];
  #ended: boolean = false;
  /** What the next step is to reject with. */
  #failure: LiveError | undefined;
  readonly #abort = (): void => this.#end();

  constructor(options: PushedSubscriptionOptions) {
    this.#options = options;
    if (options.signal?.aborted === true) this.#ended = true;
    else options.signal?.addEventListener("abort", this.#abort, { once: true });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Of the buffer that it has begun in. */
  get incarnation(): string | undefined {
    return this.#incarnation;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The events behind a position, of this life of the buffer. Called once, before anybody reads. */
  begin(incarnation: string, position: number, replay: readonly LiveEvent[]): void {
    this.#incarnation = incarnation;
    this.#position = position;
    this.#replay = replay;
    this.#tail = replay.at(-1)?.cursor.position ?? position;
    const early = this.#pushed;
    this.#pushed = [];
    for (const event of early) this.push(event);
  }

  /** Hands over an event: whole lives in their order, and one that was pushed before is nothing. */
  push(event: LiveEvent): void {
    if (this.#ended) return;
    const { position, incarnation } = event.cursor;
    if (this.#incarnation !== undefined) {
      if (incarnation !== this.#incarnation) {
        this.lose();
        return;
      }
      if (position <= this.#tail) return;
      this.#tail = position;
    }
    this.#pushed.push(event);
    if (this.#pushed.length - this.#head > this.#options.bufferedMax) this.#head += 1;
    if (this.#head > SPENT_MAX) {
      this.#pushed = this.#pushed.slice(this.#head);
      this.#head = 0;
    }
    this.#serve();
  }

  next(): Promise<Step> {
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (this.#ended) return Promise.resolve(DONE);
    const event = this.#replay[this.#replayed] ?? this.#pushed[this.#head];
    if (event === undefined) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    const { position } = event.cursor;
    const missed = position - 1 - this.#position;
    this.#position = missed > 0 ? position - 1 : position;
    if (missed > 0) {
      const message = `Cannot go on without a hole: ${missed} events were missed`;
      return Promise.reject(new LiveError("SUBSCRIBER_LAGGED", message, { missed }));
    }
    if (this.#replayed < this.#replay.length) this.#replayed += 1;
    else this.#head += 1;
    return Promise.resolve({ done: false, value: event });
  }

  return(): Promise<Step> {
    this.#end();
    this.#failure = undefined;
    return Promise.resolve(DONE);
  }

  /** Ends it with `CLOSED`: the store was closed. */
  close(): void {
    this.#fail(closed());
  }

  /** Ends it with `STORE_UNAVAILABLE`: the buffer was lost. */
  lose(): void {
    const message = "Cannot go on: the buffer was lost, subscribe again behind the last event";
    this.#fail(new LiveError("STORE_UNAVAILABLE", message));
  }

  #fail(error: LiveError): void {
    if (this.#ended) return;
    const [first, ...others] = this.#waiting;
    this.#waiting = others;
    this.#end();
    if (first === undefined) this.#failure = error;
    else first.reject(error);
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#head < this.#pushed.length) {
      const { resolve, reject } = this.#waiting.shift() as Waiter;
      this.next().then(resolve, reject);
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#replay = [];
    this.#pushed = [];
    for (const { resolve } of this.#waiting.splice(0)) resolve(DONE);
    this.#options.onEnd(this);
  }
}
