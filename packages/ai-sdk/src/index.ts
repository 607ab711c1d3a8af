export * from "./chat-handlers.ts";
export type { ChatRequest } from "./chat-request.ts";
export * from "./chat-transport.ts";
export * from "./errors.ts";
export * from "./resumable-stream-context.ts";
