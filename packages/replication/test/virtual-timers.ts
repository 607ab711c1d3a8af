import type { Timers } from "@tidemark/wal";

/** Time that stands still until it is advanced. */
export class VirtualTimers implements Timers {
  #now = 0;
  #next = 0;
  readonly #timers = new Map<number, { atMs: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  setTimer(ms: number, run: () => void): () => void {
    const id = this.#next++;
    this.#timers.set(id, { atMs: this.#now + Math.max(0, ms), run });
    return () => this.#timers.delete(id);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Moves time forward, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.settle();
    for (;;) {
      let next: { id: number; atMs: number; run: () => void } | undefined;
      for (const [id, timer] of this.#timers) {
        if (timer.atMs <= end && (next === undefined || timer.atMs < next.atMs)) next = { id, ...timer };
      }
      if (next === undefined) break;
      this.#timers.delete(next.id);
      this.#now = Math.max(this.#now, next.atMs);
      next.run();
      await this.settle();
    }
    this.#now = end;
  }

  /** Moves time forward until a promise settles, at most `ms`. */
  async until<T>(promise: Promise<T>, ms: number = 20_000): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    await this.settle();
    for (let spent = 0; !settled && spent < ms; spent += 5) await this.advance(5);
    if (!settled) throw new Error(`Nothing happened in ${ms} ms`);
    return promise;
  }
}
