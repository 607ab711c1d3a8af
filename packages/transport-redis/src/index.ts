export { RedisTransportError, type RedisTransportErrorCode } from "./errors.ts";
export { REDIS_TRANSPORT_DEFAULTS } from "./options.ts";
export type {
  IoredisClient,
  IoredisOptions,
  Limits as RedisTransportLimits,
  NodeRedisClient,
  RedisTransportOptions,
} from "./options.ts";
export { openRedisTransport, type RedisTransport, type RedisTransportStats } from "./redis-transport.ts";
