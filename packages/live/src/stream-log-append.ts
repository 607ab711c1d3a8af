import { TidemarkError } from "@tidemark/core";
import type { StreamClock } from "./stream-log-clock.ts";
import { encodeStreamEntry, type StreamEntry } from "./stream-log-entry.ts";
import { StreamLogError } from "./stream-log-errors.ts";
import type { StreamJournal } from "./stream-log-journal.ts";
import { streamOperationId } from "./stream-log-places.ts";

/** How long to wait before an append is tried again: after the last of these it has failed. */
const RETRY_DELAYS_MS: readonly number[] = [100, 500, 2_000];

/** The place an entry goes to. */
export interface AppendPlace {
  readonly session: string;
  readonly stream: string;
  readonly namespace: string;
  /** Unique within the stream: however often it is tried, it is one entry. */
  readonly what: string;
}

/**
 * Appends an entry, and again if the journal failed and may do better.
 *
 * @throws StreamLogError `STREAM_UNAVAILABLE` with the last failure as its cause.
 */
export async function appendStreamEntry(
  journal: StreamJournal,
  clock: StreamClock,
  { session, stream, namespace, what }: AppendPlace,
  entry: StreamEntry,
): Promise<void> {
  const bytes = encodeStreamEntry(entry);
  const operationId = streamOperationId(stream, what);
  for (let attempt = 0; ; attempt++) {
    try {
      return await journal.append(session, namespace, bytes, operationId);
    } catch (cause) {
      const delayMs = RETRY_DELAYS_MS[attempt];
      // A journal that says why it refuses, and that it will go on doing so, is believed.
      const hopeless = cause instanceof TidemarkError && !cause.retryable;
      if (delayMs === undefined || hopeless)
        throw new StreamLogError("STREAM_UNAVAILABLE", `Cannot write to stream ${stream}`, {
          cause,
          stream,
        });
      await new Promise<void>((resolve) => clock.schedule(delayMs, resolve));
    }
  }
}
