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
