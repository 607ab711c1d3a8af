/** Runs something later; returns how to cancel. */
export type SetTimer = (ms: number, run: () => void) => () => void;

/** Above it `setTimeout` fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Timers of the platform. */
export const platformTimer: SetTimer = (ms, run) => {
  const timer = globalThis.setTimeout(run, Math.min(ms, TIMEOUT_MS_MAX));
  return () => globalThis.clearTimeout(timer);
};

/** A number from 0 to below 1 that nobody can guess. */
export function platformRandom(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
}
