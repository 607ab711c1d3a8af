/** Every call that waits, so that an abort, a close and whatever it waits for settle it, each once. */
export class Waits {
  readonly #open: Set<(reason: unknown) => void> = new Set();

  /**
   * Waits for what `begin` starts.
   *
   * @param begin - Returns what to undo once it is settled, whichever way.
   */
  open<T>(
    signal: AbortSignal | undefined,
    begin: (resolve: (value: T) => void, reject: (reason: unknown) => void) => () => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let undo: (() => void) | undefined;
      let settled = false;
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        this.#open.delete(fail);
        signal?.removeEventListener("abort", abort);
        undo?.();
        return true;
      };
      const fail = (reason: unknown): void => {
        if (settle()) reject(reason);
      };
      const abort = (): void => fail(signal?.reason);
      this.#open.add(fail);
      signal?.addEventListener("abort", abort, { once: true });
      const begun = begin((value) => {
        if (settle()) resolve(value);
      }, fail);
      if (settled) begun();
      else undo = begun;
    });
  }

  /** Rejects everything that waits. */
  failAll(reason: unknown): void {
    for (const fail of [...this.#open]) fail(reason);
  }
}
