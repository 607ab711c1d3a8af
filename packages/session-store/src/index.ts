export * from "./canonical-json.ts";
export * from "./decision.ts";
export * from "./errors.ts";
