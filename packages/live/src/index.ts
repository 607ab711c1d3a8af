export * from "./errors.ts";
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
export * from "./memory-replay-store.ts";
export * from "./replay-store.ts";
