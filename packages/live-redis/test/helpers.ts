import type { LiveCursor, LiveEvent, LiveReplayStore } from "@tidemark/live";
import { startRedis, type RedisServer } from "@tidemark/servers";
import { onTestFinished } from "vitest";

export async function serverFor(args: readonly string[] = []): Promise<RedisServer> {
  const server = await startRedis({ args });
  onTestFinished(() => server.remove());
  return server;
}

/** Appends texts that are numbers. */
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

/** Subscribes where there must be no gap; ends with the test. */
export async function subscribe(
  store: LiveReplayStore,
  cursor: LiveCursor,
): Promise<AsyncIterableIterator<LiveEvent>> {
  const subscription = await store.subscribeAfter(cursor);
  if (subscription.kind === "gap") throw new Error(`There is a gap: ${subscription.gap.reason}`);
  return subscription.events;
}

export function textsOf(steps: readonly IteratorResult<LiveEvent>[]): unknown[] {
  return steps
    .map(({ value }) => (value as LiveEvent | undefined)?.payload)
    .map((payload) => (payload?.kind === "turn_activity" ? payload.activity : payload));
}
