export { readSseEvents, type ReadSseOptions } from "./client/sse-reader.ts";
export { LiveHttpError, type LiveHttpErrorCode } from "./errors.ts";
export type { SseEvent } from "./sse-event.ts";
