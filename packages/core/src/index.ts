export * from "./byte-reader.ts";
export * from "./byte-writer.ts";
export * from "./errors.ts";
export * from "./hasher.ts";
export * from "./ids.ts";
export * from "./safe-integer.ts";
