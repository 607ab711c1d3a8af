export * from "./errors.ts";
export * from "./saver.ts";
