import { readFileSync } from "node:fs";
import type { KvHook } from "@tidemark/kv-conformance";
import { describeKv } from "@tidemark/kv-conformance";
import { haveRedis, startRedis, startRedisCluster, type RedisServer } from "@tidemark/servers";
import { Cluster, Redis } from "ioredis";
import { Cluster as Cluster5, Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openRedisKv, type RedisClient } from "../src/index.ts";
import { CLAIMS, openFixture, type Place } from "./fixture.ts";
import { bytes, KEY } from "./helpers.ts";

const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];
const HOOKS: readonly KvHook[] = ["second", "reopen", "version"];
const CLIENTS: Record<string, (port: number) => RedisClient> = {
  "ioredis 5": (port) => new Redis5(port, "127.0.0.1", { lazyConnect: true }),
  "node-redis": (port) => createClient({ url: `redis://127.0.0.1:${port}` }),
};

/** A server by its URL. */
function placeOf({ port, url }: RedisServer): Place {
  return {
    connection: url,
    setFormat: async (key, format) => {
      const direct = new Redis(port, "127.0.0.1");
      await direct.set(key, format).finally(() => direct.disconnect());
    },
  };
}

describe.skipIf(!(await haveRedis()))("one Redis", () => {
  let server: RedisServer;
  let keeping: RedisServer;
  beforeAll(async () => {
    [server, keeping] = await Promise.all([startRedis(), startRedis({ args: DURABLE })]);
  });
  afterAll(async () => {
    await Promise.all([server.remove(), keeping.remove()]);
  });

  describeKv("one Redis by a URL", {
    claims: { ...CLAIMS, durability: "process" },
    hooks: [...HOOKS, "processes"],
    open: () => openFixture({ ...placeOf(server), url: server.url }),
  });
  describeKv("one Redis that syncs, by a client of ioredis 6", {
    claims: { ...CLAIMS, durability: "disk" },
    hooks: HOOKS,
    open: () => {
      const client = new Redis(keeping.port, "127.0.0.1", { lazyConnect: true });
      return openFixture({ ...placeOf(keeping), connection: client });
    },
  });
  for (const [name, client] of Object.entries(CLIENTS)) {
    describeKv(`one Redis by a client of ${name}`, {
      claims: { ...CLAIMS, durability: "process" },
      hooks: HOOKS,
      open: () => openFixture({ ...placeOf(server), connection: client(server.port) }),
    });
  }
});

describe.skipIf(!(await haveRedis({ release: "valkey" })))("Valkey", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ release: "valkey" });
  });
  afterAll(() => server.remove());

  describeKv("Valkey", {
    claims: { ...CLAIMS, durability: "process" },
    hooks: HOOKS,
    open: () => openFixture(placeOf(server)),
  });
});

describe.skipIf(!(await haveRedis()))("a Redis Cluster of three nodes", () => {
  let servers: RedisServer[] = [];
  let client: Cluster;
  beforeAll(async () => {
    // Changed by a test below; a server that begins to keep a log of writes cannot be stopped meanwhile.
    servers = await startRedisCluster({ args: () => ["--appendonly", "yes", "--appendfsync", "everysec"] });
    client = new Cluster(nodes());
    client.on("error", () => undefined);
  });
  afterAll(async () => {
    client.disconnect();
    for (const server of servers) await server.remove();
  });
  const nodes = (): { host: string; port: number }[] =>
    servers.map(({ port }) => ({ host: "127.0.0.1", port }));

  describeKv("a Redis Cluster", {
    claims: { ...CLAIMS, durability: "process" },
    hooks: HOOKS,
    open: () => openFixture({ connection: client, setFormat: (key, format) => client.set(key, format) }),
  });

  test("partitions spread over the nodes; all handles have the clock of one; ioredis 5", async () => {
    const kv = await openRedisKv({
      connection: new Cluster5(nodes(), { lazyConnect: true }),
      prefix: "spread",
    });
    onTestFinished(() => kv.close());
    for (let index = 0; index < 24; index++)
      await kv.commit(`session/${index}`, { puts: [{ key: KEY, value: bytes("x") }] });
    const [times, held] = [[] as number[], [] as number[]];
    for (const { port } of servers) {
      const node = new Redis(port, "127.0.0.1");
      onTestFinished(() => node.disconnect());
      held.push((await node.keys("spread:*:values")).length);
      await node.call("CONFIG", "RESETSTAT");
      times.push(port);
    }
    expect(held.reduce((sum, count) => sum + count, 0)).toBe(24);
    expect(Math.min(...held)).toBeGreaterThan(0);
    for (let index = 0; index < 10; index++) await kv.nowMs();
    const asked = await Promise.all(
      times.map(async (port) => {
        const node = new Redis(port, "127.0.0.1");
        onTestFinished(() => node.disconnect());
        return /cmdstat_time:calls=(\d+)/.exec(String(await node.call("INFO", "commandstats")))?.[1];
      }),
    );
    expect(asked.filter((count) => count !== undefined)).toEqual(["10"]);
  });

  test("RUN-11 the cluster is as durable as its least durable node", async () => {
    const settings = { connection: client, prefix: "durable" };
    const durability = async (): Promise<string> => {
      await using kv = await openRedisKv(settings);
      return kv.capabilities.durability;
    };
    const set = async (port: number, fsync: string): Promise<void> => {
      const node = new Redis(port, "127.0.0.1");
      onTestFinished(() => node.disconnect());
      await node.config("SET", "appendfsync", fsync);
    };
    for (const { port } of servers) await set(port, "always");
    expect(await durability()).toBe("disk");
    await set(servers[1]!.port, "everysec");
    expect(await durability()).toBe("process");
  });

  test("a user with the rights of the README for a cluster, and no more, does everything", async () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const rights = /ACL SETUSER tidemark on >secret (.*)/.exec(readme)![1]!.split(" ");
    const more = /on a cluster also `([^`]+)`/.exec(readme)![1]!.split(" ");
    for (const { port } of servers) {
      const node = new Redis(port, "127.0.0.1");
      onTestFinished(() => node.disconnect());
      await node.call("ACL", "SETUSER", "tidemark", "on", ">secret", ...rights, ...more);
    }
    const redisOptions = { username: "tidemark", password: "secret" };
    const connection = new Cluster(nodes(), { redisOptions, lazyConnect: true });
    const kv = await openRedisKv({ connection });
    onTestFinished(() => kv.close());
    for (let index = 0; index < 6; index++) {
      await kv.commit(`session/${index}`, { puts: [{ key: KEY, value: bytes("x") }] });
      expect((await kv.scan(`session/${index}`, {})).items.length).toBe(1);
    }
    expect(kv.capabilities.durability).toBe("process");
  });
});
