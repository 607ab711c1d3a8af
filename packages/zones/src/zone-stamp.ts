import { compareHlc, type Hlc, stepHlc } from "@tidemark/core";

/** Where a state of a zone stands among all its states, wherever they were written: the later revision, then the later stamp. */
export interface ZoneOrder {
  /** Of the session's head that the snapshot shows; absent in a foreign file. */
  readonly revision?: number;
  readonly stamp: Hlc;
}

/** Negative when `a` is earlier. Revisions count only if both have one. */
export function compareOrder(a: ZoneOrder, b: ZoneOrder): number {
  const revisions = a.revision === undefined || b.revision === undefined ? 0 : a.revision - b.revision;
  return revisions || compareHlc(a.stamp, b.stamp);
}

/** The stamp of a change made now, after all that was changed before, wherever a clock stands. */
export function nextStamp(after: Hlc | undefined, nowMs: number, clockId: number): Hlc {
  const now: Hlc = { wallMs: nowMs, counter: 0, clockId };
  return after === undefined || compareHlc(now, after) > 0 ? now : stepHlc(after, clockId);
}

/** A stamp as text that names it. */
export function formatStamp({ wallMs, counter, clockId }: Hlc): string {
  return `${wallMs}-${counter}-${clockId}`;
}
