import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Kv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { type Backend, memoryBackend } from "./stores.ts";

const folders = new Map<Kv, { readonly dir: string; readonly nowMs: () => number }>();

/** LMDB in a folder of its own, which goes with the first handle. */
const lmdbBackend: Backend = {
  async open(nowMs) {
    const dir = mkdtempSync(join(tmpdir(), "session-store-"));
    const kv = await openLmdbKv({ dir, nowMs });
    folders.set(kv, { dir, nowMs });
    return kv;
  },
  again: (kv) => openLmdbKv(folders.get(kv)!),
  remove: (kv) => rmSync(folders.get(kv)!.dir, { recursive: true }),
};

/** What the cases of the session store run over: the reference, and the embedded default. */
export const backends: readonly (readonly [name: string, backend: Backend])[] = [
  ["memory", memoryBackend],
  ["LMDB", lmdbBackend],
];
