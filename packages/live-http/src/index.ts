export { formatSseComment, formatSseEvent, type SseEvent } from "./sse-event.ts";
