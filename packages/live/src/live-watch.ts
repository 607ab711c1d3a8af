import { handleClosed, type LiveChannel } from "./live-channel.ts";
import type { LiveCursor } from "./live-cursor.ts";
import { LiveReading } from "./live-reading.ts";
import type { LiveItem, LiveWatchOptions } from "./live.ts";

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Tells watches that their handle was closed: a signal would warn of so many listeners. */
export class LiveClosing {
  #closed = false;
  readonly #listeners: Set<() => void> = new Set();

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener();
  }

  add(listener: () => void): void {
    this.#listeners.add(listener);
    if (this.#closed) listener();
  }

  remove(listener: () => void): void {
    this.#listeners.delete(listener);
  }
}

/** The iterator of a watch: see {@link LiveSession.watch}. */
export class LiveWatch<View> implements AsyncIterableIterator<LiveItem<View>> {
  readonly #items: AsyncGenerator<LiveItem<View>, void, undefined>;
  readonly #stop: AbortController = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #closing: LiveClosing;
  readonly #channel: LiveChannel<View>;
  readonly #abort = (): void => this.#stop.abort();
  #state: "new" | "open" | "ended" = "new";

  /** @param after - Checked already. */
  constructor(
    channel: LiveChannel<View>,
    after: LiveCursor | undefined,
    { signal, onLag = "gap" }: LiveWatchOptions,
    closing: LiveClosing,
  ) {
    this.#channel = channel;
    this.#signal = signal;
    this.#closing = closing;
    const reading = new LiveReading(channel, after, onLag, this.#stop.signal);
    this.#items = channel.context.source.committedAfter === undefined ? reading.ofStore() : reading.ofBoth();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<LiveItem<View>, undefined>> {
    if (this.#state === "new") this.#open();
    try {
      const step = this.#state === "ended" ? DONE : await this.#items.next();
      if (step.done !== true) return step;
    } catch (error) {
      // What fails because it was ended is no failure.
      if (!this.#stop.signal.aborted) {
        this.#end();
        throw error;
      }
    }
    if (this.#end() && this.#closing.closed && this.#signal?.aborted !== true) throw handleClosed();
    return DONE;
  }

  async return(): Promise<IteratorResult<LiveItem<View>, undefined>> {
    this.#end();
    await this.#items.return().catch(() => undefined);
    return DONE;
  }

  #open(): void {
    this.#state = "open";
    this.#channel.watching += 1;
    this.#closing.add(this.#abort);
    this.#signal?.addEventListener("abort", this.#abort);
    if (this.#signal?.aborted === true) this.#abort();
  }

  /** Whether it was this call that ended it. */
  #end(): boolean {
    const was = this.#state;
    if (was === "ended") return false;
    this.#state = "ended";
    this.#abort();
    if (was === "open") this.#channel.watching -= 1;
    this.#closing.remove(this.#abort);
    this.#signal?.removeEventListener("abort", this.#abort);
    return true;
  }
}
