export { NatsKvError, type NatsKvErrorCode } from "./errors.ts";
export { openNatsKv } from "./nats-kv.ts";
export {
  NATS_KV_DEFAULTS,
  type NatsBucketOptions,
  type NatsKvLimits,
  type NatsKvOptions,
} from "./options.ts";
export { NATS_KV_FORMAT } from "./store-format.ts";
