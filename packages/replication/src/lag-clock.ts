import { formatLogId, type LogId } from "@tidemark/core";

const MARKS_MAX = 256;

/** Remembers, roughly and in bounded space, when each part of each log was first heard of. */
export class LagClock {
  readonly #marks: Map<string, { last: number; atMs: number }[]> = new Map();

  /** The log now reaches to `last`. */
  note(log: LogId, last: number, now: number): void {
    const key = formatLogId(log);
    let marks = this.#marks.get(key);
    if (marks === undefined) this.#marks.set(key, (marks = []));
    const newest = marks.at(-1);
    // Within one millisecond one mark is enough.
    if (newest !== undefined && now - newest.atMs < 1) newest.last = last;
    else marks.push({ last, atMs: now });
    // Thinned out from the odd places, a position is taken for older than it is, never for younger.
    if (marks.length > MARKS_MAX) {
      this.#marks.set(
        key,
        marks.flatMap((mark, at) => {
          const after = (marks as { last: number; atMs: number }[])[at + 1];
          return at % 2 === 1 ? [] : [{ last: after?.last ?? mark.last, atMs: mark.atMs }];
        }),
      );
    }
  }

  /** When the record after `lsn` was first heard of, as far as is remembered. */
  heardAfter(log: LogId, lsn: number): number | undefined {
    return this.#marks.get(formatLogId(log))?.find(({ last }) => last > lsn)?.atMs;
  }
}
