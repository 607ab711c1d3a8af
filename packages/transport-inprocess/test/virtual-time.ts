/** Time that stands still until it is moved. */
export class VirtualTime {
  #nowMs: number = 0;
  readonly #timers: Set<{ readonly atMs: number; readonly run: () => void }> = new Set();

  readonly setTimer = (ms: number, run: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  get pendingCount(): number {
    return this.#timers.size;
  }

  /** Runs what is due, in order. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs);
      const [first] = due.sort((left, right) => left.atMs - right.atMs);
      if (first === undefined) break;
      this.#timers.delete(first);
      this.#nowMs = first.atMs;
      first.run();
    }
    this.#nowMs = endMs;
  }
}
