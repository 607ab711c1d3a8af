import type { Connector } from "./connection.ts";
import { RedisTransportError } from "./errors.ts";
import { borrowIoredis, ownIoredis } from "./ioredis-connector.ts";
import { borrowNodeRedis } from "./node-redis-connector.ts";
import type {
  IoredisClient,
  IoredisOptions,
  Limits,
  NodeRedisClient,
  RedisTransportOptions,
} from "./options.ts";

/** Tells the kinds of connection apart. @throws {@link RedisTransportError} */
export async function connectorFor(
  connection: RedisTransportOptions["connection"],
  limits: Limits,
): Promise<Connector> {
  if (typeof connection === "string") return ownIoredis(connection, limits);
  if (typeof connection === "object" && connection !== null) {
    const shape = connection as Readonly<Record<string, unknown>>;
    if (typeof shape["duplicate"] === "function") {
      if (typeof shape["callBuffer"] === "function")
        return borrowIoredis(connection as IoredisClient, limits);
      const single = typeof shape["sendCommand"] === "function" && typeof shape["isOpen"] === "boolean";
      // A node-redis cluster has masters; of clusters only that of ioredis is supported.
      if (single && !("masters" in shape)) return borrowNodeRedis(connection as NodeRedisClient, limits);
    } else if (Object.getPrototypeOf(connection) === Object.prototype) {
      return ownIoredis(connection as IoredisOptions, limits);
    }
  }
  throw new RedisTransportError(
    "CLIENT_UNKNOWN",
    "Cannot use the connection: it is no URL, no options of ioredis, and no client of ioredis or of redis",
  );
}
