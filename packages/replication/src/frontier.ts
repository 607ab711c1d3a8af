import { formatLogId, type LogId } from "@tidemark/core";

/** What is known to be applied by every member. It only moves forward. */
export interface Frontier {
  /** The highest stable LSN of a log, 0 if none. */
  lsnOf(log: LogId): number;
  /** Whether a position is stable. */
  covers(log: LogId, lsn: number): boolean;
  /** The lowest fold version of the members; 0 while one was not heard under this list. */
  readonly foldVersionMin: number;
}

/** A frontier that {@link Stability} moves. */
export class MovingFrontier implements Frontier {
  foldVersionMin: number = 0;
  readonly #lsns: Map<string, number> = new Map();

  lsnOf(log: LogId): number {
    return this.#lsns.get(formatLogId(log)) ?? 0;
  }

  covers(log: LogId, lsn: number): boolean {
    return lsn <= this.lsnOf(log);
  }

  /** @returns whether it moved. */
  raise(log: LogId, lsn: number): boolean {
    if (lsn <= this.lsnOf(log)) return false;
    this.#lsns.set(formatLogId(log), lsn);
    return true;
  }
}
