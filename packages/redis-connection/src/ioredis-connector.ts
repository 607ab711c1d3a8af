import { clientArgument } from "./bytes.ts";
import type { ConnectionSettings, IoredisClient, IoredisOptions } from "./clients.ts";
import type { Argument, Connection, ConnectionEvents, Connector } from "./connection.ts";
import { RedisConnectionError } from "./errors.ts";

/** What is used of an ioredis client of our own. */
interface OwnClient extends IoredisClient {
  connect(): Promise<void>;
  on(event: string, listener: (error?: unknown) => void): unknown;
  /** Of a cluster. */
  nodes?(role: "master"): IoredisClient[];
}

type OpenClient = () => OwnClient;

/** A connector after a client that somebody else uses. */
export function borrowIoredis(client: IoredisClient, given: ConnectionSettings): Connector {
  const { isCluster, options } = client as IoredisClient & {
    isCluster?: boolean;
    options?: { keyPrefix?: string; redisOptions?: { keyPrefix?: string } };
  };
  refuseKeyPrefix(options?.keyPrefix ?? options?.redisOptions?.keyPrefix);
  const settings = settingsOf(given);
  if (isCluster === true) {
    // The client of a cluster sends a command again that may have run, unless the delay before it is 0.
    const failover = given.resend === true ? {} : { retryDelayOnFailover: 0 };
    const redisOptions = { ...options?.redisOptions, ...settings, lazyConnect: false };
    const cluster = {
      lazyConnect: true,
      ...failover,
      // A replica is behind.
      scaleReads: "master",
      redisOptions,
      clusterRetryStrategy: () => null,
      slotsRefreshTimeout: given.connectTimeoutMs,
      // Commands sent while slots move wait in the client; our own deadline is above it.
      enableOfflineQueue: true,
    };
    return connectorOf(true, () => client.duplicate([], cluster) as OwnClient);
  }
  return connectorOf(false, () => client.duplicate({ ...settings, lazyConnect: true }) as OwnClient);
}

/** A connector of our own, through the optional peer. */
export async function ownIoredis(
  where: string | IoredisOptions,
  given: ConnectionSettings,
): Promise<Connector> {
  if (typeof where !== "string") refuseKeyPrefix(where["keyPrefix"]);
  const { Redis } = (await importIoredis()) as { Redis: new (...args: unknown[]) => OwnClient };
  const settings = { ...settingsOf(given), lazyConnect: true };
  return connectorOf(false, () =>
    typeof where === "string" ? new Redis(where, settings) : new Redis({ ...where, ...settings }),
  );
}

async function importIoredis(): Promise<unknown> {
  try {
    return await import("ioredis");
  } catch (error) {
    throw new RedisConnectionError(
      "CLIENT_MISSING",
      "Cannot open a connection from a URL or options: install ioredis, or pass a client",
      { cause: error },
    );
  }
}

/**
 * Each connection has one life: what a client does by itself to survive (queues, resends, retries) has left commands
 * pending for ever on a server that froze or died, so connections are replaced instead.
 */
function settingsOf(given: ConnectionSettings): Readonly<Record<string, unknown>> {
  return {
    connectTimeout: given.connectTimeoutMs,
    retryStrategy: () => null,
    reconnectOnError: null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    commandTimeout: undefined,
    // Off by default, and the only setting that survived a frozen server in every combination.
    blockingTimeout: given.blockMs ?? given.replyTimeoutMs,
  };
}

function refuseKeyPrefix(keyPrefix: unknown): void {
  if (keyPrefix === undefined || keyPrefix === null || keyPrefix === "") return;
  throw new RedisConnectionError(
    "KEY_PREFIX_SET",
    `Cannot use a client with the keyPrefix ${JSON.stringify(keyPrefix)}: leave it out, and set the option prefix instead`,
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
    everywhere: (args: readonly string[]) => {
      const nodes = client.nodes?.("master") ?? [client];
      return Promise.all(nodes.map((node) => node.callBuffer(args[0]!, ...args.slice(1))));
    },
    destroy: () => client.disconnect(),
  };
}
