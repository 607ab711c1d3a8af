export * from "./errors.ts";
export * from "./history-events.ts";
export * from "./history.ts";
export * from "./random.ts";
