import { clientArgument } from "./bytes.ts";
import type { Argument, Connection, ConnectionEvents, Connector } from "./connection.ts";
import { RedisTransportError } from "./errors.ts";
import type { IoredisClient, IoredisOptions, Limits } from "./options.ts";

/** What is used of an ioredis client of our own. */
interface OwnClient extends IoredisClient {
  connect(): Promise<void>;
  on(event: string, listener: (error?: unknown) => void): unknown;
}

type OpenClient = () => OwnClient;

/** A connector after a client that somebody else uses. */
export function borrowIoredis(client: IoredisClient, limits: Limits): Connector {
  const { isCluster, options } = client as IoredisClient & {
    isCluster?: boolean;
    options?: { keyPrefix?: string; redisOptions?: { keyPrefix?: string } };
  };
  refuseKeyPrefix(options?.keyPrefix ?? options?.redisOptions?.keyPrefix);
  const settings = settingsOf(limits);
  if (isCluster === true) {
    const redisOptions = { ...options?.redisOptions, ...settings, lazyConnect: false };
    const cluster = {
      lazyConnect: true,
      redisOptions,
      clusterRetryStrategy: () => null,
      slotsRefreshTimeout: limits.connectTimeoutMs,
      // Commands sent while slots move wait in the client; our own deadline is above it.
      enableOfflineQueue: true,
    };
    return connectorOf(true, () => client.duplicate([], cluster) as OwnClient);
  }
  return connectorOf(false, () => client.duplicate({ ...settings, lazyConnect: true }) as OwnClient);
}

/** A connector of our own, through the optional peer. */
export async function ownIoredis(where: string | IoredisOptions, limits: Limits): Promise<Connector> {
  if (typeof where !== "string") refuseKeyPrefix(where["keyPrefix"]);
  const { Redis } = (await importIoredis()) as { Redis: new (...args: unknown[]) => OwnClient };
  const settings = { ...settingsOf(limits), lazyConnect: true };
  return connectorOf(false, () =>
    typeof where === "string" ? new Redis(where, settings) : new Redis({ ...where, ...settings }),
  );
}

async function importIoredis(): Promise<unknown> {
  try {
    return await import("ioredis");
  } catch (error) {
    throw new RedisTransportError(
      "CLIENT_MISSING",
      "Cannot open a connection from a URL or options: install ioredis, or pass a client",
      { cause: error },
    );
  }
}

/**
 * Each connection has one life: what a client does by itself to survive (queues, resends, retries) has left commands
 * pending for ever on a server that froze or died, so the transport replaces connections instead.
 */
function settingsOf(limits: Limits): Readonly<Record<string, unknown>> {
  return {
    connectTimeout: limits.connectTimeoutMs,
    retryStrategy: () => null,
    reconnectOnError: null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    commandTimeout: undefined,
    // Off by default, and the only setting that survived a frozen server in every combination.
    blockingTimeout: limits.blockMs,
  };
}

function refuseKeyPrefix(keyPrefix: unknown): void {
  if (keyPrefix === undefined || keyPrefix === null || keyPrefix === "") return;
  throw new RedisTransportError(
    "KEY_PREFIX_SET",
    `Cannot use a client with the keyPrefix ${JSON.stringify(keyPrefix)}: leave it out and set prefix of openRedisTransport`,
  );
}

function connectorOf(cluster: boolean, open: OpenClient): Connector {
  return { cluster, open: (events) => connectionOf(open(), events) };
}

function connectionOf(client: OwnClient, events: ConnectionEvents): Connection {
  client.on("error", (error) => events.failed(error));
  client.on("end", () => events.ended());
  const ready = client.connect();
  return {
    ready,
    call: (args: readonly Argument[]) =>
      client.callBuffer(args[0] as string, ...args.slice(1).map(clientArgument)),
    destroy: () => client.disconnect(),
  };
}
