/** What one of two iterators did. */
export type Outcome<One, Other> =
  | { readonly from: "one"; readonly step: IteratorResult<One, unknown> }
  | { readonly from: "other"; readonly step: IteratorResult<Other, unknown> }
  | { readonly from: "one" | "other"; readonly error: unknown };

/**
 * Reads two iterators as they come. Each is asked for one step at a time, and not before the last one was taken, so that
 * nothing piles up; and a step that is waited for is never asked for again.
 */
export class TwoIterators<One, Other> {
  #one: AsyncIterator<One, unknown>;
  #other: AsyncIterator<Other, unknown>;
  readonly #asked: Set<AsyncIterator<unknown, unknown>> = new Set();
  readonly #ready: { readonly of: AsyncIterator<unknown, unknown>; readonly outcome: Outcome<One, Other> }[] =
    [];
  #wake: () => void = () => undefined;

  constructor(one: AsyncIterator<One, unknown>, other: AsyncIterator<Other, unknown>) {
    this.#one = one;
    this.#other = other;
  }

  /** Reads another iterator in the place of one; what the former gives is dropped. */
  replaceOne(one: AsyncIterator<One, unknown>): void {
    this.#one = one;
  }

  /** Reads another iterator in the place of the other; what the former gives is dropped. */
  replaceOther(other: AsyncIterator<Other, unknown>): void {
    this.#other = other;
  }

  async next(): Promise<Outcome<One, Other>> {
    for (;;) {
      const next = this.#ready.shift();
      if (next === undefined) {
        this.#ask();
        if (this.#ready.length === 0) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        continue;
      }
      this.#asked.delete(next.of);
      if (next.of === this.#one || next.of === this.#other) return next.outcome;
    }
  }

  #ask(): void {
    const one = this.#one;
    const other = this.#other;
    if (!this.#asked.has(one)) {
      this.#asked.add(one);
      one.next().then(
        (step) => this.#put(one, { from: "one", step }),
        (error: unknown) => this.#put(one, { from: "one", error }),
      );
    }
    if (!this.#asked.has(other)) {
      this.#asked.add(other);
      other.next().then(
        (step) => this.#put(other, { from: "other", step }),
        (error: unknown) => this.#put(other, { from: "other", error }),
      );
    }
  }

  #put(of: AsyncIterator<unknown, unknown>, outcome: Outcome<One, Other>): void {
    this.#ready.push({ of, outcome });
    this.#wake();
  }
}
