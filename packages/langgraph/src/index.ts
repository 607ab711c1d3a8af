export * from "./errors.ts";
export * from "./saver.ts";
export * from "./store.ts";
