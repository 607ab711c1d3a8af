import { describeLiveStore, type LiveStoreHook } from "@tidemark/live-conformance";
import type { LiveEvent } from "@tidemark/live";
import { haveRedis, startRedis, startRedisCluster, type RedisServer } from "@tidemark/servers";
import { Cluster, Redis } from "ioredis";
import { Cluster as Cluster5, Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRedisReplayStore, type RedisClient } from "../src/index.ts";
import { openFixture, type Place } from "./fixture.ts";

const HOOKS: readonly LiveStoreHook[] = ["second", "clock", "wallClock", "forget", "evict", "cut"];
const CLAIMS = { name: "redis", sharedBy: "network" } as const;
const CLIENTS: Record<string, (port: number) => RedisClient> = {
  "a client of ioredis 6": (port) => new Redis(port, "127.0.0.1", { lazyConnect: true }),
  "a client of ioredis 5": (port) => new Redis5(port, "127.0.0.1", { lazyConnect: true }),
  "a client of node-redis": (port) => createClient({ url: `redis://127.0.0.1:${port}` }),
};

/** Servers, by whatever connects to them. */
function placeOf(servers: readonly RedisServer[], connection: RedisClient): Place {
  const direct = async (run: (client: Redis) => Promise<unknown>): Promise<void> => {
    for (const { port } of servers) {
      const client = new Redis(port, "127.0.0.1");
      await run(client).finally(() => client.disconnect());
    }
  };
  return {
    connection,
    flush: () => direct((client) => client.flushall()),
    add: (pattern, field, amount) =>
      direct(async (client) => {
        for (const key of await client.keys(pattern)) await client.hincrby(key, field, amount);
      }),
    cut: () => direct((client) => client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
  };
}

describe.skipIf(!(await haveRedis()))("one Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.remove());

  describeLiveStore("one Redis by a URL", {
    claims: CLAIMS,
    hooks: HOOKS,
    open: (bounds) => openFixture(placeOf([server], server.url), bounds),
  });
  for (const [name, client] of Object.entries(CLIENTS)) {
    describeLiveStore(`one Redis by ${name}`, {
      claims: CLAIMS,
      hooks: HOOKS,
      open: (bounds) => openFixture(placeOf([server], client(server.port)), bounds),
    });
  }
});

describe.skipIf(!(await haveRedis({ release: "valkey" })))("Valkey", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ release: "valkey" });
  });
  afterAll(() => server.remove());

  describeLiveStore("one Valkey", {
    claims: CLAIMS,
    hooks: HOOKS,
    open: (bounds) => openFixture(placeOf([server], server.url), bounds),
  });
});

describe.skipIf(!(await haveRedis()))("a cluster", () => {
  let servers: RedisServer[];
  let client: Cluster;
  const nodes = (): { host: string; port: number }[] =>
    servers.map(({ port }) => ({ host: "127.0.0.1", port }));
  beforeAll(async () => {
    servers = await startRedisCluster();
    client = new Cluster(nodes(), { lazyConnect: true });
    client.on("error", () => undefined);
  });
  afterAll(async () => {
    client.disconnect();
    for (const server of servers) await server.remove();
  });

  describeLiveStore("a Redis Cluster", {
    claims: CLAIMS,
    hooks: HOOKS,
    open: (bounds) => openFixture(placeOf(servers, client), bounds),
  });

  test("LIV-7 sessions spread over the nodes, and are pushed from all of them; ioredis 5", async () => {
    const connection = new Cluster5(nodes(), { lazyConnect: true });
    await using store = await openRedisReplayStore({ connection, prefix: "spread", blockMs: 60_000 });
    const names = Array.from({ length: 24 }, (_, index) => `session/${index}`);
    const texts = await Promise.all(
      names.map(async (name) => {
        const subscription = await store.subscribeAfter(await store.currentCursor(name, 0));
        if (subscription.kind === "gap") throw new Error("There is no gap");
        const next = subscription.events.next();
        await store.append(name, 1, { kind: "turn_activity", activity: name });
        const { payload } = (await next).value as LiveEvent;
        return payload.kind === "turn_activity" ? payload.activity : undefined;
      }),
    );
    expect(texts).toEqual(names);
    const held: number[] = [];
    for (const { port } of servers) {
      const node = new Redis(port, "127.0.0.1");
      held.push((await node.keys("spread:*:events")).length);
      node.disconnect();
    }
    expect(held.reduce((sum, count) => sum + count)).toBe(24);
    expect(Math.min(...held)).toBeGreaterThan(0);
  });
});
