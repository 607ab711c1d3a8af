import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLmdbKv } from "../../packages/kv-lmdb/src/index.ts";

let dir;
let kv;

/** A store in a directory that is removed in the end. */
export const lmdb = {
  async start() {
    dir = await mkdtemp(join(tmpdir(), "tidemark-suite-"));
    kv = await openLmdbKv({ dir: join(dir, "store") });
    return kv;
  },
  async stop() {
    await kv?.close();
    await rm(dir, { recursive: true, force: true });
  },
};
