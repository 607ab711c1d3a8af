import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findServer, startRedis, type RedisServer } from "@tidemark/servers";
import { afterAll } from "vitest";
import type { StorePlan } from "../src/protocol.ts";

const dir = mkdtempSync(join(tmpdir(), "tidemark-workers-"));
let redis: RedisServer | undefined;

afterAll(async () => {
  await redis?.remove();
  rmSync(dir, { recursive: true, force: true });
});

/** Whether there is a Redis to test with. In CI a server that cannot be had is a failure, told by the test itself. */
export const hasRedis: boolean = await findServer("redis").then(
  () => true,
  (error: unknown) => {
    if (process.env["CI"] !== undefined) return true;
    process.stderr.write(`${String(error)}\n`);
    return false;
  },
);

/** The store that the tests of a file share, one of each backend. */
export async function storeOf(backend: StorePlan["backend"]): Promise<StorePlan> {
  if (backend === "lmdb") return { backend, dir: join(dir, "store") };
  redis ??= await startRedis();
  return { backend, url: redis.url };
}
