/**
 * Offers operations at a steady rate, whoever asks: `wait` resolves when the next one is due.
 *
 * Even at full speed each takes a turn of the event loop, as a request from a socket does: the regions live in
 * this process, and a device that never yields would keep the other region from its disk.
 */
export class Pacer {
  readonly #intervalMs: number;
  readonly #nowMs: () => number;
  #dueMs: number;

  /** @param rate - Operations a second; `undefined` for as fast as they are acknowledged. */
  constructor(rate: number | undefined, nowMs: () => number) {
    this.#intervalMs = rate === undefined ? 0 : 1000 / rate;
    this.#nowMs = nowMs;
    this.#dueMs = nowMs();
  }

  /** Takes the next turn. */
  wait(): Promise<void> {
    const delayMs = this.#intervalMs === 0 ? 0 : this.#dueMs - this.#nowMs();
    this.#dueMs += this.#intervalMs;
    return delayMs < 1 ? new Promise((resolve) => setImmediate(resolve)) : sleep(delayMs);
  }
}

/** A timer holds at most 2^31 - 1 ms. */
async function sleep(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= TIMER_MS_MAX) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, TIMER_MS_MAX)));
  }
}

const TIMER_MS_MAX = 2 ** 31 - 1;
