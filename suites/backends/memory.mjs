import { openMemoryKv } from "../../packages/kv/src/index.ts";

const kv = openMemoryKv();

/** A store in memory. */
export const memory = { start: () => Promise.resolve(kv), stop: () => kv.close() };
