/** The clocks and timers of a stream log; a test drives its own. */
export interface StreamClock {
  /** Milliseconds since 1970: only compared with the stamps of what was written before anyone looked. */
  wallMs(): number;
  /** Milliseconds that never go back. */
  monotonicMs(): number;
  /** Runs something once after a delay; gives what calls it off. */
  schedule(delayMs: number, run: () => void): () => void;
}

/** The clocks and timers of the platform. */
export const platformClock: StreamClock = {
  wallMs: () => globalThis.Date.now(),
  monotonicMs: () => globalThis.performance.now(),
  schedule(delayMs, run) {
    const timer = globalThis.setTimeout(run, delayMs);
    return () => globalThis.clearTimeout(timer);
  },
};
