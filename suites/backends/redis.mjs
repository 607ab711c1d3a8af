import { openRedisKv } from "../../packages/kv-redis/src/index.ts";
import { startRedis } from "../../tools/servers/src/index.ts";

let server;
let kv;

/** A store in a Redis that is started for it. */
export const redis = {
  async start() {
    server = await startRedis();
    kv = await openRedisKv({ connection: server.url });
    return kv;
  },
  async stop() {
    await kv?.close();
    await server?.remove();
  },
};
