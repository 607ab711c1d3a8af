import type { Timers } from "@tidemark/wal";

/** Pauses between attempts of something that keeps failing: doubled each time, with a floor and a ceiling. */
export class Backoff {
  readonly #timers: Timers;
  readonly #range: { readonly min: number; readonly max: number };
  #attempt: number = 0;

  constructor(timers: Timers, range: { readonly min: number; readonly max: number }) {
    this.#timers = timers;
    this.#range = range;
  }

  /** It worked: the next pause is short again. */
  reset(): void {
    this.#attempt = 0;
  }

  /** How long to wait before the next attempt. */
  nextMs(): number {
    const pauseMs = Math.min(this.#range.max, this.#range.min * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 30);
    return pauseMs;
  }

  /** Resolves after the next pause, or at once when the signal aborts. */
  pause(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = this.#timers.setTimer(this.nextMs(), end);
      signal.addEventListener("abort", end);
    });
  }
}
