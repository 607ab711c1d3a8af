import { LiveCursor } from "./live-cursor.ts";
import type { LiveGap, LiveGapReason } from "./live-event.ts";

/** Where a buffer is, for who writes a store. */
export interface LiveBufferPlace {
  readonly incarnation: string;
  /** The number of its last event, 0 before the first. */
  readonly tail: number;
  /** The first event that can be replayed; the tail + 1 when none can. */
  readonly first: number;
  /** Of the last event; none before the first. */
  readonly revision: number | undefined;
  /** The session cursor of the last event. */
  readonly committed: string | undefined;
}

/** The gap behind a cursor, by the table of `LiveReplayStore`; `undefined` where events can go on. */
export function replayGap(requested: LiveCursor, place: LiveBufferPlace): LiveGap | undefined {
  const { session, position } = requested;
  const { incarnation, tail, first, committed, revision: latestRevision = requested.revision } = place;
  const reason = reasonOf(position, requested.incarnation === incarnation, tail, first);
  if (reason === undefined) return undefined;
  const found = { session, revision: latestRevision, position: tail, incarnation };
  const latest = LiveCursor.of(committed === undefined ? found : { ...found, committed });
  return { session, requested, latest, latestRevision, reason };
}

function reasonOf(position: number, same: boolean, tail: number, first: number): LiveGapReason | undefined {
  // Without the incarnation an old position would match new events, and an empty replay would prove nothing.
  if (!same || position > tail) return "unavailable";
  return position + 1 < first ? "trimmed" : undefined;
}
