import type { LiveCursor, LiveEvent, LiveReplayStore } from "@tidemark/live";
import { connect } from "@nats-io/transport-node";
import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import { findServer, startNats, type NatsOptions, type NatsServer } from "@tidemark/servers";
import { onTestFinished } from "vitest";

/** For connections in tests: back within a moment. */
export const RECONNECT = { maxReconnectAttempts: -1, reconnectTimeWait: 20, reconnectJitter: 20 };

/** Whether a server can be had. Where it cannot, the tests are skipped with one line; in CI that is a failure. */
export async function haveNats(): Promise<boolean> {
  try {
    await findServer("nats");
    return true;
  } catch (error) {
    if (process.env["CI"] !== undefined) throw error;
    process.stderr.write(`Skipped: ${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}

export async function serverFor(options: NatsOptions = {}): Promise<NatsServer> {
  const server = await startNats(options);
  onTestFinished(() => server.remove());
  return server;
}

/** A connection of a test's own. */
export async function directTo(port: number, login: ConnectionOptions = {}): Promise<NatsConnection> {
  const connection = await connect({ servers: `nats://127.0.0.1:${port}`, ...RECONNECT, ...login });
  onTestFinished(() => connection.close());
  return connection;
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
