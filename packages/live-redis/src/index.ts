export type { RedisClient } from "@tidemark/redis-connection";
export { RedisLiveError, type RedisLiveErrorCode } from "./errors.ts";
export { REDIS_LIVE_DEFAULTS, type RedisLiveLimits, type RedisReplayStoreOptions } from "./options.ts";
export { openRedisReplayStore } from "./redis-replay-store.ts";
