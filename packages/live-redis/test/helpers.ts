import { startRedis, type RedisServer } from "@tidemark/servers";
import { onTestFinished } from "vitest";

export async function serverFor(args: readonly string[] = []): Promise<RedisServer> {
  const server = await startRedis({ args });
  onTestFinished(() => server.remove());
  return server;
}
