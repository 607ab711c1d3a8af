import type { ConnectionOptions, NatsConnection } from "@nats-io/nats-core";
import type { NatsReplayStoreOptions } from "./options.ts";

/** A connection, and whether it is ours to close. */
export interface Held {
  readonly connection: NatsConnection;
  readonly own: boolean;
}

/** The connection that was lent, or one of our own that never gives up. */
export async function hold({ connection }: NatsReplayStoreOptions): Promise<Held> {
  if (typeof connection !== "string" && isConnection(connection)) return { connection, own: false };
  const given: ConnectionOptions = typeof connection === "string" ? { servers: connection } : connection;
  // Only here, so that whoever lends a connection needs no sockets of Node.
  const { connect } = await import("@nats-io/transport-node");
  const defaults = {
    maxReconnectAttempts: -1,
    pingInterval: 20_000,
    name: "tidemark-live",
    noAsyncTraces: true,
  };
  return { connection: await connect({ ...defaults, ...given }), own: true };
}

function isConnection(given: NatsConnection | ConnectionOptions): given is NatsConnection {
  return typeof (given as Partial<NatsConnection>).drain === "function";
}
