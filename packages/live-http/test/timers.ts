import type { SetTimer } from "../src/index.ts";

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** Time that stands still until a test moves it. */
export class Timers {
  readonly #timers = new Set<Timer>();
  #nowMs = 0;

  readonly setTimer: SetTimer = (ms, run) => {
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Timers that are set now. */
  get count(): number {
    return this.#timers.size;
  }

  /** Runs what falls due, in order, and what that leads to. */
  async advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= until).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.run();
      await settle();
    }
    this.#nowMs = until;
  }

  /** Moves on bit by bit until a promise settles: what keys of the platform take is no time of ours. */
  async until<Value>(promise: Promise<Value>): Promise<Value> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    while (!settled) await this.advance(1);
    return promise;
  }
}

/** Everything that needs no time. Streams and keys of the platform take turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}
