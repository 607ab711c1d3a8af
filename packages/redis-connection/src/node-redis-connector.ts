import { CLIENT_BYTES, clientArgument } from "./bytes.ts";
import type { ConnectionSettings, NodeRedisClient } from "./clients.ts";
import type { Connection, ConnectionEvents, Connector } from "./connection.ts";

/** What is used of a node-redis client of our own. */
interface OwnClient extends NodeRedisClient {
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (error?: unknown) => void): unknown;
}

/** RESP's `$`: strings come as bytes. */
const TYPE_MAPPING = { typeMapping: { 36: CLIENT_BYTES } };

/** A connector after a client that somebody else uses. */
export function borrowNodeRedis(client: NodeRedisClient, settings: ConnectionSettings): Connector {
  const { options } = client as NodeRedisClient & { options?: { socket?: object } };
  const overrides = {
    disableOfflineQueue: true,
    socket: { ...options?.socket, connectTimeout: settings.connectTimeoutMs, reconnectStrategy: false },
  };
  return {
    cluster: false,
    open: (events) => connectionOf(client.duplicate(overrides) as OwnClient, events),
  };
}

function connectionOf(client: OwnClient, events: ConnectionEvents): Connection {
  client.on("error", (error) => {
    events.failed(error);
    // Without reconnecting, an error is the end; not every one is followed by an event that says so.
    if (!client.isOpen) events.ended();
  });
  client.on("end", () => events.ended());
  const ready = client.connect().then(() => undefined);
  let destroyed = false;
  return {
    ready,
    call: (args) => client.sendCommand(args.map(clientArgument), TYPE_MAPPING),
    everywhere: async (args) => [await client.sendCommand(args, TYPE_MAPPING)],
    destroy: () => {
      if (destroyed) return;
      destroyed = true;
      // It throws when there is nothing left to destroy.
      try {
        client.destroy();
      } catch {
        events.ended();
      }
    },
  };
}
