import type { Kv } from "@tidemark/kv";
import type { StorePlan } from "./protocol.ts";

/** Opens a store of its own handle; close it. */
export async function openKv(store: StorePlan): Promise<Kv> {
  if (store.backend === "lmdb") {
    const { openLmdbKv } = await import("@tidemark/kv-lmdb");
    return openLmdbKv({ dir: store.dir });
  }
  const { openRedisKv } = await import("@tidemark/kv-redis");
  return openRedisKv({ connection: store.url });
}
