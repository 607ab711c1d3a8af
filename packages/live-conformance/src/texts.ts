import { type LiveCursor, LiveError, type LiveEvent, type LiveReplayStore } from "@tidemark/live";

/** Appends texts that are numbers, one after another. */
export async function appendTexts(
  store: LiveReplayStore,
  session: string,
  count: number,
  from: number = 1,
): Promise<LiveEvent[]> {
  const events: LiveEvent[] = [];
  for (let number = from; number < from + count; number++)
    events.push(await store.append(session, 1, { kind: "turn_activity", activity: `${number}` }));
  return events;
}

/**
 * Appends a text, again until a store that is away for a while says that it was done: it may be there more than once.
 *
 * @throws whatever is not `STORE_UNAVAILABLE` and retryable.
 */
export async function appendAgain(store: LiveReplayStore, session: string, text: string): Promise<LiveEvent> {
  for (;;) {
    try {
      return await store.append(session, 1, { kind: "turn_activity", activity: text });
    } catch (error) {
      const away = error instanceof LiveError && error.code === "STORE_UNAVAILABLE" && error.retryable;
      if (!away) throw error;
    }
  }
}

/** The events behind a cursor. @throws `Error` where there is a gap. */
export async function eventsBehind(
  store: LiveReplayStore,
  cursor: LiveCursor,
): Promise<AsyncIterableIterator<LiveEvent>> {
  const subscription = await store.subscribeAfter(cursor);
  if (subscription.kind === "subscribed") return subscription.events;
  throw new Error(`There is a gap: ${subscription.gap.reason}`);
}

/** The activities of steps of a subscription. */
export function textsOf(steps: readonly IteratorResult<LiveEvent>[]): unknown[] {
  return steps.map(({ done, value }) => {
    const payload = done === true ? undefined : value.payload;
    return payload?.kind === "turn_activity" ? payload.activity : payload;
  });
}
