import { encodeKey, type Kv, type KvKey } from "@tidemark/kv";
import { startRedis, type RedisServer } from "@tidemark/servers";
import { expect, onTestFinished } from "vitest";
import { openRedisKv, type RedisKvOptions } from "../src/index.ts";

export async function serverFor(args: readonly string[] = []): Promise<RedisServer> {
  const server = await startRedis({ args });
  onTestFinished(() => server.remove());
  return server;
}

/** A store for one test. */
export async function storeOn(port: number, options: Partial<RedisKvOptions> = {}): Promise<Kv> {
  const kv = await openRedisKv({ connection: `redis://127.0.0.1:${port}`, ...options });
  onTestFinished(() => kv.close());
  return kv;
}

export const KEY: KvKey = encodeKey(["key"]);

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export async function expectValue(kv: Kv, partition: string, value: string | undefined): Promise<void> {
  const [found] = await kv.get(partition, [KEY]);
  expect(found === undefined ? undefined : new TextDecoder().decode(found)).toBe(value);
}
