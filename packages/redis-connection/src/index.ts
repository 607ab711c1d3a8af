export { clientArgument, textOfReply, type ClientBytes } from "./bytes.ts";
export { Caller, type CallerOptions, type ServerCall } from "./caller.ts";
export type {
  ConnectionSettings,
  IoredisClient,
  IoredisOptions,
  NodeRedisClient,
  RedisClient,
} from "./clients.ts";
export { connectorFor } from "./connect.ts";
export type { Argument, Connection, ConnectionEvents, Connector } from "./connection.ts";
export { decodeRange, decodeRead, type Entry } from "./entries.ts";
export {
  afterEntryId,
  compareEntryIds,
  formatEntryId,
  parseEntryId,
  ZERO_ID,
  type EntryId,
} from "./entry-id.ts";
export {
  ConnectionLostError,
  isUnauthorized,
  RedisConnectionError,
  textOf,
  type RedisConnectionErrorCode,
} from "./errors.ts";
export { encodeHashTag } from "./hash-tag.ts";
export { jitteredMs, monotonicMs, setTimer } from "./platform.ts";
export { scriptOf, type Script } from "./script.ts";
export { Supervisor } from "./supervisor.ts";
export { lacksRight, verdictOf, type Verdict } from "./verdict.ts";
