import type { Timers } from "@tidemark/wal";

/** How long something may be waited for, and what else ends the waiting. */
export interface WaitForOptions {
  readonly timers: Timers;
  readonly timeoutMs: number;
  /** The caller's, if there is one, and the region's own. */
  readonly signals: readonly (AbortSignal | undefined)[];
}

/**
 * Waits until `done` is called: true; at the deadline: false.
 *
 * @param begin - Starts to watch, and returns how to stop; `done` may be called at once.
 * @throws the reason of the signal that was aborted.
 */
export function waitFor(options: WaitForOptions, begin: (done: () => void) => () => void): Promise<boolean> {
  const { timers, timeoutMs } = options;
  const signals = options.signals.filter((signal) => signal !== undefined);
  return new Promise((resolve, reject) => {
    let settled = false;
    const cleanups: (() => void)[] = [];
    const settle = (then: () => void): void => {
      if (settled) return;
      settled = true;
      for (const cleanup of cleanups) cleanup();
      then();
    };
    for (const signal of signals) {
      const abort = (): void => settle(() => reject(signal.reason as Error));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      cleanups.push(() => signal.removeEventListener("abort", abort));
    }
    const stop = begin(() => settle(() => resolve(true)));
    if (settled) return stop();
    cleanups.push(stop);
    if (timeoutMs <= 0) return settle(() => resolve(false));
    // A timer cannot wait for ever.
    if (Number.isFinite(timeoutMs))
      cleanups.push(timers.setTimer(timeoutMs, () => settle(() => resolve(false))));
  });
}
