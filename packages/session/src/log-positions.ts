/** The number of a log to an LSN there, in few bytes: there are two of these for every session and user, and few logs. */
export class LogPositions {
  /** Log and LSN in turn, ascending by log. */
  #cells: number[] | undefined;

  get size(): number {
    return (this.#cells?.length ?? 0) / 2;
  }

  get(log: number): number | undefined {
    const at = this.#find(log);
    return at < 0 ? undefined : this.#cells?.[at + 1];
  }

  set(log: number, lsn: number): void {
    const at = this.#find(log);
    if (at >= 0) (this.#cells as number[])[at + 1] = lsn;
    else if (this.#cells === undefined) this.#cells = [log, lsn];
    else {
      let after = this.#cells.length;
      while (after > 0 && (this.#cells[after - 2] as number) > log) after -= 2;
      this.#cells.splice(after, 0, log, lsn);
    }
  }

  /** An LSN only grows. */
  raise(log: number, lsn: number): void {
    const known = this.get(log);
    if (known === undefined || known < lsn) this.set(log, lsn);
  }

  *[Symbol.iterator](): IterableIterator<[log: number, lsn: number]> {
    const cells = this.#cells ?? [];
    for (let at = 0; at < cells.length; at += 2) yield [cells[at] as number, cells[at + 1] as number];
  }

  #find(log: number): number {
    const cells = this.#cells;
    if (cells === undefined) return -1;
    for (let at = 0; at < cells.length; at += 2) if (cells[at] === log) return at;
    return -1;
  }
}
