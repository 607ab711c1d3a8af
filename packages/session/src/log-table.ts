import { compareLogIds, formatLogId, type LogId } from "@tidemark/core";
import { StabilityQueue } from "./unstable-op.ts";

/** The logs a fold has heard of, numbered: state holds the number. */
export class LogTable {
  readonly ids: LogId[] = [];
  readonly queues: StabilityQueue[] = [];
  readonly #numbers: Map<string, number> = new Map();
  #last: LogId | undefined;
  #lastNumber: number = -1;

  /** The number of a log; the same object twice in a row is not looked up again. */
  numberOf(id: LogId): number {
    if (id === this.#last) return this.#lastNumber;
    const text = formatLogId(id);
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.ids.length;
      this.#numbers.set(text, number);
      this.ids.push(id);
      this.queues.push(new StabilityQueue());
    }
    this.#last = id;
    this.#lastNumber = number;
    return number;
  }

  /** The number of a log, if anything of it was applied. */
  find(id: LogId): number | undefined {
    return this.#numbers.get(formatLogId(id));
  }

  /** Whether one log sorts before another, by their numbers. */
  isBefore(a: number, b: number): boolean {
    return compareLogIds(this.ids[a] as LogId, this.ids[b] as LogId) < 0;
  }

  /** Forgets every log. */
  clear(): void {
    this.ids.length = 0;
    this.queues.length = 0;
    this.#numbers.clear();
    this.#last = undefined;
  }
}
