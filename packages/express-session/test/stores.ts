import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Kv, openMemoryKv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openRedisKv } from "@tidemark/kv-redis";
import { haveRedis, startRedis } from "@tidemark/servers";

/** A store for the tests of one file, and how to end it. */
export interface OpenedKv {
  readonly kv: Kv;
  close(): Promise<void>;
}

/** The stores that sessions are tried in. */
export const KVS: Readonly<Record<string, () => Promise<OpenedKv>>> = {
  memory: () => {
    const kv = openMemoryKv();
    return Promise.resolve({ kv, close: () => kv.close() });
  },
  LMDB: async () => {
    const dir = await mkdtemp(join(tmpdir(), "tidemark-sessions-"));
    const kv = await openLmdbKv({ dir });
    const close = async (): Promise<void> => {
      await kv.close();
      await rm(dir, { recursive: true, force: true });
    };
    return { kv, close };
  },
  ...((await haveRedis())
    ? {
        Redis: async () => {
          const server = await startRedis();
          const kv = await openRedisKv({ connection: server.url });
          const close = async (): Promise<void> => {
            await kv.close();
            await server.remove();
          };
          return { kv, close };
        },
      }
    : {}),
};
