export * from "./errors.ts";
export * from "./guards.ts";
export * from "./kv.ts";
export * from "./limits.ts";
export * from "./record.ts";
export * from "./pending-calls.ts";
export * from "./tuple-key.ts";
export * from "./kv-watch.ts";
export { type MemoryKv, type MemoryKvOptions, openMemoryKv } from "./memory-kv.ts";
