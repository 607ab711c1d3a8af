import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Kv, openMemoryKv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openRedisKv } from "@tidemark/kv-redis";
import { type RedisServer, startRedis } from "@tidemark/servers";

/** What histories are run over. */
export const BACKENDS = ["memory", "lmdb", "redis"] as const;

export type BackendName = (typeof BACKENDS)[number];

/** An empty store, again and again, that several handles share. */
export interface Backend extends AsyncDisposable {
  /** Begins anew with an empty store. */
  fresh(): Promise<void>;
  /** Another handle of the store, as another process has. */
  handle(): Promise<Kv>;
}

/** Opens a backend of a name; a server of its own is started and stopped with it. */
export async function openBackend(name: BackendName): Promise<Backend> {
  if (name === "memory") return memoryBackend();
  return name === "lmdb" ? lmdbBackend() : redisBackend(await startRedis());
}

function memoryBackend(): Backend {
  let store = openMemoryKv();
  return {
    fresh: () => {
      store = openMemoryKv();
      return Promise.resolve();
    },
    handle: () => Promise.resolve(store.handle()),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

/** One environment a run: a process opens a directory of LMDB once, and each history has a store of its own. */
function lmdbBackend(): Backend {
  const made: { kv: Kv; dir: string }[] = [];
  const drop = async () => {
    for (const { kv, dir } of made.splice(0)) {
      await kv.close();
      await rm(dir, { recursive: true, force: true });
    }
  };
  return {
    async fresh() {
      await drop();
      const dir = await mkdtemp(join(tmpdir(), "tidemark-store-model-"));
      made.push({ kv: await openLmdbKv({ dir }), dir });
    },
    handle: () => Promise.resolve(made[0]!.kv),
    [Symbol.asyncDispose]: drop,
  };
}

function redisBackend(server: RedisServer): Backend {
  let run = 0;
  const handles: Kv[] = [];
  const drop = async () => {
    for (const kv of handles.splice(0)) await kv.close();
  };
  return {
    async fresh() {
      await drop();
      run += 1;
    },
    async handle() {
      const kv = await openRedisKv({ connection: server.url, prefix: `run-${run}` });
      handles.push(kv);
      return kv;
    },
    async [Symbol.asyncDispose]() {
      await drop();
      await server.remove();
    },
  };
}
