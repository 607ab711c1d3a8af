/** Counts the clients' answers for whoever waits for some more of them. */
export class Progress {
  #answers = 0;
  #waiting: { readonly at: number; readonly resolve: () => void }[] = [];

  note(): void {
    this.#answers += 1;
    for (const { at, resolve } of this.#waiting) if (at <= this.#answers) resolve();
    this.#waiting = this.#waiting.filter(({ at }) => at > this.#answers);
  }

  /** Resolves once there were so many more. */
  after(answers: number): Promise<void> {
    const at = this.#answers + answers;
    return new Promise((resolve) => this.#waiting.push({ at, resolve }));
  }
}
