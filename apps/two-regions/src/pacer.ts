/** Offers operations at a steady rate, whoever asks: `wait` resolves when the next one is due. */
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
  wait(): Promise<void> | undefined {
    if (this.#intervalMs === 0) return undefined;
    const delayMs = this.#dueMs - this.#nowMs();
    this.#dueMs += this.#intervalMs;
    return delayMs < 1 ? undefined : sleep(delayMs);
  }
}

/** A timer holds at most 2^31 - 1 ms. */
async function sleep(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= TIMER_MS_MAX) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, TIMER_MS_MAX)));
  }
}

const TIMER_MS_MAX = 2 ** 31 - 1;
