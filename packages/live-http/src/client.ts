export type { BackoffOptions } from "./client/backoff.ts";
export { watchSession } from "./client/session-watch.ts";
export { readSseEvents, type ReadSseOptions } from "./client/sse-reader.ts";
export { stopTurn } from "./client/stop-turn.ts";
export type {
  Fetch,
  FetchInit,
  SessionTarget,
  WatchSessionOptions,
  WatchState,
  WatchStateDetail,
} from "./client/watch-options.ts";
export {
  decodeItem,
  type WatchedEvent,
  type WatchedGap,
  type WatchedItem,
  type WatchedObservation,
} from "./client/watched-item.ts";
export { LiveHttpError, type LiveHttpErrorCode, type LiveHttpErrorOptions } from "./errors.ts";
export type { SseEvent } from "./sse-event.ts";
export type { SetTimer } from "./platform.ts";
