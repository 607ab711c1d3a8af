/** Timers and randomness, so that nothing here reaches for the platform. */
export interface NatsPlatform {
  /** Runs once, later; returns how to cancel it. */
  readonly setTimer: (ms: number, run: () => void) => () => void;
  /** From 0 to below 1: spreads reconnects and repeats. */
  readonly random: () => number;
}

/** Above it `setTimeout` fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export const DEFAULT_PLATFORM: NatsPlatform = {
  setTimer: (ms, run) => {
    const timer = globalThis.setTimeout(run, Math.min(ms, TIMEOUT_MS_MAX));
    return () => globalThis.clearTimeout(timer);
  },
  random: () => globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
};

/** Resolves after a while, or at once when the signal is aborted. Never rejects. */
export function pause(platform: NatsPlatform, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = platform.setTimer(ms, end);
    signal.addEventListener("abort", end, { once: true });
  });
}

/** A pause that doubles from `firstMs` to `mostMs`; half of it is left to chance. */
export function backoffMs(platform: NatsPlatform, attempt: number, firstMs: number, mostMs: number): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 20));
  return whole / 2 + platform.random() * (whole / 2);
}

/** What came first; a loser that rejects later is nobody's error. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined);
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
