import type { LiveCursor } from "./live-cursor.ts";

/**
 * Where a turn stands. `pending`: accepted, nothing streamed yet. `cancelled`: an explicit act; a reader that went away
 * cancels nothing. `orphaned`: its producer was not heard of for as long as its lease lasts.
 */
export type TurnState = "pending" | "streaming" | "done" | "error" | "cancelled" | "orphaned";

/** What happened. Views and activities are JSON values, and are not changed once they were given. */
export type LivePayload<View = unknown, Activity = unknown> =
  /** Something of a turn that is passing: a piece of text, the progress of a tool. */
  | { readonly kind: "turn_activity"; readonly turn?: string; readonly activity: Activity }
  | {
      readonly kind: "turn_state";
      readonly turn: string;
      readonly state: TurnState;
      readonly message?: string;
      /** How long to wait for the next sign of life before the turn is called orphaned. */
      readonly ttlMs?: number;
    }
  /** A commit, with the view to be read from then on. */
  | { readonly kind: "committed"; readonly view: View }
  | { readonly kind: "agent_frame_switched"; readonly frame: string }
  | {
      readonly kind: "queue_changed";
      readonly change: "enqueued" | "cancelled";
      readonly batches: readonly string[];
    }
  | {
      readonly kind: "process_changed";
      readonly change: "started" | "cancelled";
      readonly processes: readonly string[];
    };

/** One event of a session. */
export interface LiveEvent<Payload = LivePayload> {
  readonly session: string;
  /** The committed head it belongs to. */
  readonly revision: number;
  /** Of the event itself: going on behind it leaves the event out. A watch gives it the revision that its reader has seen. */
  readonly cursor: LiveCursor;
  readonly payload: Payload;
}

/**
 * Why events cannot go on behind a cursor. `trimmed`: what followed is not held any more. `unavailable`: it cannot be
 * proven that nothing was missed. `lagged`: the subscriber read too slowly.
 */
export type LiveGapReason = "trimmed" | "unavailable" | "lagged";

/** The answer to a cursor behind which events cannot go on without a hole. */
export interface LiveGap {
  readonly session: string;
  readonly requested: LiveCursor;
  /** Where the events are now. */
  readonly latest: LiveCursor;
  readonly latestRevision: number;
  readonly reason: LiveGapReason;
  /** How many events are left out between `requested` and `latest`, where it is known. */
  readonly missed?: number;
}
