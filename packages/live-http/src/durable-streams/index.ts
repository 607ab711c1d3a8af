export type { CorsOptions } from "../cors.ts";
export type { SetTimer } from "../platform.ts";
export { durableStreams, type DurableStreamsHandler } from "./durable-streams.ts";
export type {
  DurableStreamsOptions,
  StreamAccess,
  StreamAuthorizer,
  StreamLimits,
} from "./stream-options.ts";
export type { StreamErrorCode } from "./stream-refusal.ts";
export { sweepDurableStreams, type SweepOptions } from "./sweep-streams.ts";
