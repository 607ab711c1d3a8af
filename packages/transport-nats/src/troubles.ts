/** What is wrong at the moment, by what it is about: the first of it is the reason a status gives. */
export class Troubles {
  readonly #reasons: Map<string, string> = new Map();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get first(): string | undefined {
    return this.#reasons.values().next().value;
  }

  set(about: string, reason: string): void {
    const before = this.first;
    this.#reasons.set(about, reason);
    if (before !== this.first) this.#changed();
  }

  clear(about: string): void {
    const before = this.first;
    this.#reasons.delete(about);
    if (before !== this.first) this.#changed();
  }
}
