/** Time as an argument: a clock that only goes forward, and calls that come later. */
export interface LiveTimers {
  /** Milliseconds since some fixed moment; it must not jump. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
  setTimer(ms: number, run: () => void): () => void;
}

/** Above it `setTimeout` fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Those of the platform. */
export const platformTimers: LiveTimers = {
  now: () => globalThis.performance.now(),
  setTimer(ms, run) {
    const timer = globalThis.setTimeout(run, Math.min(ms, TIMEOUT_MS_MAX));
    return () => globalThis.clearTimeout(timer);
  },
};
