/** Time as an argument, so that a simulator can own it. */
export interface Timers {
  /** Milliseconds since some fixed moment; fractions are welcome. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
  setTimer(ms: number, run: () => void): () => void;
}
