export * from "./errors.ts";
export * from "./guards.ts";
export * from "./kv.ts";
export * from "./limits.ts";
