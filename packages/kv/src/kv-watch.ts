/** Options of a {@link KvWatch}. */
export interface KvWatchOptions {
  /** Ends a watch with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Puts the watch in place, and resolves once every later commit will ring it. Called once an iteration begins. */
  readonly begin: (bell: KvBell) => Promise<void> | void;
  /** Takes the watch away: called once for each `begin`, after it has settled, also if it failed. */
  readonly end: (bell: KvBell) => void;
}

/** The side of a watch that a backend holds. */
export interface KvBell {
  /** Says that something may have changed. Never waits. */
  ring(): void;
  /** Ends the iteration, with the error if one is given. */
  finish(error?: unknown): void;
}

/**
 * The iterable that `watch` returns, for backends: it rings once when the watch is in place, makes one of several
 * rings while nobody is asking, and ends with the signal. Each iteration is a watch of its own.
 */
export class KvWatch implements AsyncIterable<void> {
  readonly #options: KvWatchOptions;

  constructor(options: KvWatchOptions) {
    this.#options = options;
  }

  [Symbol.asyncIterator](): AsyncIterator<void, undefined> {
    return new Watching(this.#options);
  }
}

type Step = IteratorResult<void, undefined>;
const RUNG: Step = { done: false, value: undefined };
const DONE: Step = { done: true, value: undefined };

class Watching implements AsyncIterator<void, undefined>, KvBell {
  readonly #options: KvWatchOptions;
  #state: "new" | "open" | "ended" = "new";
  #rung = false;
  #error: { readonly reason: unknown } | undefined;
  readonly #waiting: { resolve: (step: Step) => void; reject: (reason: unknown) => void }[] = [];
  /** Settles with `begin`, however it went. */
  #begun: Promise<void> | undefined;
  readonly #abort = (): void => this.finish(this.#options.signal?.reason);

  constructor(options: KvWatchOptions) {
    this.#options = options;
  }

  next(): Promise<Step> {
    if (this.#state === "new") this.#open();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#settle();
    });
  }

  return(): Promise<Step> {
    this.finish();
    this.#error = undefined;
    return Promise.resolve(DONE);
  }

  ring(): void {
    this.#rung = true;
    this.#settle();
  }

  finish(...error: unknown[]): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#options.signal?.removeEventListener("abort", this.#abort);
    if (error.length > 0) this.#error = { reason: error[0] };
    void this.#begun?.then(() => this.#options.end(this));
    this.#settle();
  }

  #open(): void {
    const { signal, begin } = this.#options;
    if (signal?.aborted === true) return this.finish(signal.reason);
    signal?.addEventListener("abort", this.#abort);
    this.#state = "open";
    this.#begun = (async () => begin(this))().then(
      () => this.ring(),
      (error: unknown) => this.finish(error),
    );
  }

  /** Answers who is waiting: an end before a ring, and an error once. */
  #settle(): void {
    if (this.#state === "ended") {
      for (const { resolve, reject } of this.#waiting.splice(0)) {
        const error = this.#error;
        this.#error = undefined;
        if (error === undefined) resolve(DONE);
        else reject(error.reason);
      }
    } else if (this.#rung && this.#waiting.length > 0) {
      this.#rung = false;
      this.#waiting.shift()!.resolve(RUNG);
    }
  }
}
