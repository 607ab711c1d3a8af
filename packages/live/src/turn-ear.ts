import type { LiveEvent } from "./live-event.ts";
import { LiveError } from "./errors.ts";
import type { LiveTimers } from "./live-timers.ts";
import type { LiveReplayStore } from "./replay-store.ts";

/** How long a store that failed is left alone. */
const RETRY_MS = 1_000;

/** What a {@link TurnEar} needs. */
export interface TurnEarOptions {
  readonly session: string;
  readonly store: LiveReplayStore;
  readonly timers: LiveTimers;
  readonly hear: (event: LiveEvent) => void;
  readonly report: (error: unknown) => void;
}

/** Listens to a session while a turn of it is produced here, for those who end it elsewhere over the same store. */
export class TurnEar {
  readonly #options: TurnEarOptions;
  #stop: AbortController | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(options: TurnEarOptions) {
    this.#options = options;
  }

  /** Hears what is appended from this call on. */
  open(): void {
    if (this.#stop !== undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    void this.#listen(stop.signal);
  }

  close(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { session, store, timers, hear, report } = this.#options;
    try {
      while (!signal.aborted) {
        const cursor = await store.currentCursor(session, 0);
        const subscription = await store.subscribeAfter(cursor, { signal });
        if (subscription.kind === "gap") continue;
        await listenTo(subscription.events, hear);
      }
    } catch (error) {
      if (signal.aborted) return;
      report(error);
      if (error instanceof LiveError && error.code === "CLOSED") return;
      this.#cancelRetry = timers.setTimer(RETRY_MS, () => void this.#listen(signal));
    }
  }
}

/** Resolves when the events end; a lag is passed over, as every sign of life comes again. */
async function listenTo(
  events: AsyncIterableIterator<LiveEvent>,
  hear: (event: LiveEvent) => void,
): Promise<void> {
  for (;;) {
    try {
      for await (const event of events) hear(event);
      return;
    } catch (error) {
      if (!(error instanceof LiveError) || error.code !== "SUBSCRIBER_LAGGED") throw error;
    }
  }
}
