export { LiveError, type LiveErrorCode, type LiveErrorOptions } from "./errors.ts";
export {
  LIVE_COMMITTED_CHARS_MAX,
  LIVE_CURSOR_CHARS_MAX,
  LIVE_CURSOR_PREFIX,
  LIVE_SESSION_BYTES_MAX,
  LiveCursor,
  type LiveCursorFields,
} from "./live-cursor.ts";
export * from "./live-codec.ts";
export * from "./live-event.ts";
export * from "./live.ts";
export type { LiveTimers } from "./live-timers.ts";
export { LiveFollower, type LiveFollowerPlace } from "./live-follower.ts";
export * from "./memory-replay-store.ts";
export { AppendQueue, type AppendQueueOptions, type LiveDraft, type LivePlace } from "./append-queue.ts";
export { PushedSubscription, type PushedSubscriptionOptions } from "./pushed-subscription.ts";
export { replayGap, type LiveBufferPlace } from "./replay-gap.ts";
export * from "./open-live.ts";
export type { LaneCount } from "./lane-tally.ts";
export * from "./region-source.ts";
export * from "./replay-store.ts";
export * from "./session-store-source.ts";
export { platformClock, type StreamClock } from "./stream-log-clock.ts";
export * from "./stream-log-errors.ts";
export type { StreamState } from "./stream-log-fold.ts";
export type { StreamJournal, StreamJournalEntry } from "./stream-log-journal.ts";
export * from "./stream-log-memory.ts";
export * from "./stream-log-offset.ts";
export type { StreamItem } from "./stream-log-reader.ts";
export type { StreamWriter } from "./stream-log-writer.ts";
export * from "./stream-log.ts";
export type { TurnJournal } from "./turn-journal.ts";
