import type { LiveCursor, LiveItem, LiveObservation } from "@tidemark/live";
import { formatSseEvent } from "./sse-event.ts";

/** One item of a watch as it goes over the wire. */
export interface SessionFrame {
  /** Where a reader stands that has got it. */
  readonly cursor: LiveCursor;
  readonly text: string;
}

/** Writes a cursor for clients. */
export type WriteCursor = (cursor: LiveCursor) => Promise<string>;

/**
 * Formats an item as a server-sent event.
 *
 * | item        | `event:`      | `id:`                 | `data:`, JSON                                                |
 * | :---------- | :------------ | :-------------------- | :----------------------------------------------------------- |
 * | event       | none          | of the event          | `session`, `revision`, `payload`                             |
 * | observation | `observation` | of the observation    | `session`, `revision`, `view`                                |
 * | gap         | `gap`         | of the observation    | `session`, `reason`, `requested`, `latest`, `latestRevision`, `missed` where known, `observation` as above |
 *
 * A plain `EventSource` gets events with `onmessage`, and comes back with the id of the last of any kind.
 */
export async function formatItem(item: LiveItem<unknown>, writeCursor: WriteCursor): Promise<SessionFrame> {
  if (item.kind === "event") {
    const { session, revision, cursor, payload } = item.event;
    const data = JSON.stringify({ session, revision, payload });
    return { cursor, text: formatSseEvent({ id: await writeCursor(cursor), data }) };
  }
  const { cursor } = item.observation;
  const id = await writeCursor(cursor);
  const observation = seenOf(item.observation);
  if (item.kind === "observation")
    return { cursor, text: formatSseEvent({ id, event: "observation", data: JSON.stringify(observation) }) };
  const { session, reason, requested, latest, latestRevision, missed } = item.gap;
  const data = JSON.stringify({
    session,
    reason,
    requested: await writeCursor(requested),
    latest: await writeCursor(latest),
    latestRevision,
    missed,
    observation,
  });
  return { cursor, text: formatSseEvent({ id, event: "gap", data }) };
}

/** What an observation shows, without its cursor. */
export function seenOf({ session, revision, view }: LiveObservation<unknown>): {
  readonly session: string;
  readonly revision: number;
  readonly view: unknown;
} {
  return { session, revision, view: view ?? null };
}
