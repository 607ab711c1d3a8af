import type {
  ConnectionSettings,
  IoredisClient,
  IoredisOptions,
  NodeRedisClient,
  RedisClient,
} from "./clients.ts";
import type { Connector } from "./connection.ts";
import { RedisConnectionError } from "./errors.ts";
import { borrowIoredis, ownIoredis } from "./ioredis-connector.ts";
import { borrowNodeRedis } from "./node-redis-connector.ts";

/** Tells the kinds of connection apart. @throws {@link RedisConnectionError} */
export async function connectorFor(
  connection: RedisClient,
  settings: ConnectionSettings,
): Promise<Connector> {
  if (typeof connection === "string") return ownIoredis(connection, settings);
  if (typeof connection === "object" && connection !== null) {
    const shape = connection as Readonly<Record<string, unknown>>;
    if (typeof shape["duplicate"] === "function") {
      if (typeof shape["callBuffer"] === "function")
        return borrowIoredis(connection as IoredisClient, settings);
      const single = typeof shape["sendCommand"] === "function" && typeof shape["isOpen"] === "boolean";
      // A node-redis cluster has masters; of clusters only that of ioredis is supported.
      if (single && !("masters" in shape)) return borrowNodeRedis(connection as NodeRedisClient, settings);
    } else if (Object.getPrototypeOf(connection) === Object.prototype) {
      return ownIoredis(connection as IoredisOptions, settings);
    }
  }
  throw new RedisConnectionError(
    "CLIENT_UNKNOWN",
    "Cannot use the connection: it is no URL, no options of ioredis, and no client of ioredis or of redis",
  );
}
