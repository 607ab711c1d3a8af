export type { IoredisClient, IoredisOptions, NodeRedisClient } from "@tidemark/redis-connection";
export { RedisTransportError, type RedisTransportErrorCode } from "./errors.ts";
export { REDIS_TRANSPORT_DEFAULTS } from "./options.ts";
export type { Limits as RedisTransportLimits, RedisTransportOptions } from "./options.ts";
export { openRedisTransport, type RedisTransport, type RedisTransportStats } from "./redis-transport.ts";
