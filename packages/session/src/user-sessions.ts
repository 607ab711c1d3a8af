/** The ids of a user's sessions: a list, because most users have few, and what they are lies elsewhere. */
export class UserSessions implements Iterable<string> {
  readonly #ids: string[] = [];

  get size(): number {
    return this.#ids.length;
  }

  /** Adds an id that is not in it. */
  add(id: string): void {
    this.#ids.push(id);
  }

  delete(id: string): void {
    const at = this.#ids.lastIndexOf(id);
    if (at < 0) return;
    const last = this.#ids.pop() as string;
    if (at < this.#ids.length) this.#ids[at] = last;
  }

  [Symbol.iterator](): IterableIterator<string> {
    return this.#ids.values();
  }
}
