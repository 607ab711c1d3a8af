import { readStreamEntry } from "./stream-log-entry.ts";
import { compareOrder, type EntryOrder } from "./stream-log-fold.ts";
import type { StreamJournal } from "./stream-log-journal.ts";
import { REGISTER } from "./stream-log-places.ts";

/** The stream whose first claim is the last of those in a session. */
export function latestStream(journal: StreamJournal, session: string): string | undefined {
  const claims = new Map<string, EntryOrder>();
  for (const { bytes, stamp, effectId } of journal.read(session, REGISTER, () => false)) {
    const entry = readStreamEntry(bytes);
    if (entry?.kind !== "open") continue;
    const order = { stamp, effectId };
    const first = claims.get(entry.stream);
    if (first === undefined || compareOrder(order, first) < 0) claims.set(entry.stream, order);
  }
  let latest: { readonly stream: string; readonly order: EntryOrder } | undefined;
  for (const [stream, order] of claims)
    if (latest === undefined || compareOrder(order, latest.order) > 0) latest = { stream, order };
  return latest?.stream;
}
