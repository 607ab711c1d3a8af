export { NatsLiveError, type NatsLiveErrorCode } from "./errors.ts";
export { openNatsReplayStore } from "./nats-replay-store.ts";
export {
  NATS_LIVE_DEFAULTS,
  type NatsLiveLimits,
  type NatsLiveStreamOptions,
  type NatsReplayStoreOptions,
} from "./options.ts";
export { natsLiveStream, type NatsLiveStreamConfig } from "./stream.ts";
