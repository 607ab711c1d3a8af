export type { CorsOptions } from "./cors.ts";
export { liveHandler } from "./session-handler.ts";
export {
  LIVE_HANDLER_DEFAULTS,
  type LiveAccess,
  type LiveAction,
  type LiveAuthorization,
  type LiveHandlerLimits,
  type LiveHandlerOptions,
  type ServedLive,
} from "./session-options.ts";
export type { SessionErrorCode } from "./session-refusal.ts";
export { formatSseComment, formatSseEvent, type SseEvent } from "./sse-event.ts";
export type { SetTimer } from "./platform.ts";
