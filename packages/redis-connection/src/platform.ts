/** Above it `setTimeout` fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** A timer of the platform; returns how to cancel it. */
export function setTimer(ms: number, run: () => void): () => void {
  const timer = globalThis.setTimeout(run, Math.min(ms, TIMEOUT_MS_MAX));
  return () => globalThis.clearTimeout(timer);
}

/** Time that never goes back, in milliseconds. */
export function monotonicMs(): number {
  return globalThis.performance.now();
}

/** A wait before the next try: grows with the attempts, and differs from peer to peer. */
export function jitteredMs(attempt: number, firstMs: number, maxMs: number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 20));
  return ceiling * (0.5 + random() / 2);
}

function random(): number {
  return globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
}
