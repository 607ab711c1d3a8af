export { RedisKvError, type RedisKvErrorCode } from "./errors.ts";
export { REDIS_KV_DEFAULTS, type RedisKvLimits, type RedisKvOptions } from "./options.ts";
export { REDIS_KV_FORMAT } from "./scripts.ts";
export { openRedisKv } from "./redis-kv.ts";
export {
  RedisConnectionError,
  type IoredisClient,
  type IoredisOptions,
  type NodeRedisClient,
  type RedisClient,
  type RedisConnectionErrorCode,
} from "@tidemark/redis-connection";
