export * from "./blake3-hasher.ts";
