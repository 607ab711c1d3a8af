export { ServerUnavailableError } from "./errors.ts";
export { FaultProxy, openFaultProxy, type FaultProxyOptions, type LinkDirection } from "./fault-proxy.ts";
export { findServer, type ServerBinary, type ServerKind, type ServerRelease } from "./find-server.ts";
export { freePort } from "./free-port.ts";
export { haveRedis } from "./have-redis.ts";
export { NatsServer, startNats, type NatsOptions } from "./nats-server.ts";
export { startRedisCluster, type RedisClusterOptions } from "./redis-cluster.ts";
export { RedisServer, startRedis, type RedisOptions } from "./redis-server.ts";
export type { ServerProcess } from "./server-process.ts";
