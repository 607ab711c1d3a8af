import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Kv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openRedisKv } from "@tidemark/kv-redis";
import { haveRedis, type RedisServer, startRedis } from "@tidemark/servers";
import { afterAll } from "vitest";
import { type Backend, kvWith, memoryBackend } from "./stores.ts";

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

const places = new Map<Kv, { readonly prefix: string; readonly nowMs: () => number }>();
let server: Promise<RedisServer> | undefined;
afterAll(async () => (await server)?.remove());

/** One server for the tests of a file, and a prefix of its own for each store; the clock is that of the test. */
const redisBackend: Backend = {
  async open(nowMs) {
    server ??= startRedis();
    return openOnRedis({ prefix: `store${places.size}`, nowMs });
  },
  again: (kv) => openOnRedis(places.get(kv)!),
};

async function openOnRedis(place: { readonly prefix: string; readonly nowMs: () => number }): Promise<Kv> {
  const kv = await openRedisKv({ connection: (await server!).url, prefix: place.prefix });
  const clocked = kvWith(kv, { nowMs: () => Promise.resolve(place.nowMs()) });
  places.set(clocked, place);
  return clocked;
}

/** What the cases of the session store run over: the reference, the embedded default, and a server. */
export const backends: readonly (readonly [name: string, backend: Backend])[] = [
  ["memory", memoryBackend],
  ["LMDB", lmdbBackend],
  ...((await haveRedis()) ? [["Redis", redisBackend] as const] : []),
];
