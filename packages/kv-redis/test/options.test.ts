import { haveRedis } from "@tidemark/servers";
import { readFileSync } from "node:fs";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { createClient } from "redis";
import { describe, expect, onTestFinished, test } from "vitest";
import { openRedisKv, type RedisKvOptions } from "../src/index.ts";
import { bytes, expectValue, KEY, serverFor, storeOn } from "./helpers.ts";

const NOBODY = "redis://127.0.0.1:1";

test.each<[string, RedisKvOptions["connection"]]>([
  ["ioredis 6", new Redis({ lazyConnect: true, keyPrefix: "app:" })],
  ["ioredis 5", new Redis5({ lazyConnect: true, keyPrefix: "app:" })],
  ["options", { keyPrefix: "app:" }],
  ["a cluster", new Cluster([{ port: 1 }], { lazyConnect: true, redisOptions: { keyPrefix: "app:" } })],
])("a keyPrefix is refused: %s", async (_, connection) => {
  await expect(openRedisKv({ connection })).rejects.toMatchObject({ code: "KEY_PREFIX_SET" });
});

test.each(["", "a{b", "a}b", "a b", "a\n", "x".repeat(101)])("the prefix %j is refused", async (prefix) => {
  await expect(openRedisKv({ connection: NOBODY, prefix })).rejects.toMatchObject({ code: "PREFIX_INVALID" });
});

test.each([{ timeoutMs: 0 }, { replyTimeoutMs: 1.5 }, { connectTimeoutMs: Number.NaN }, { watchPollMs: -1 }])(
  "a limit that is none is a RangeError: %j",
  async (limits) => {
    await expect(openRedisKv({ connection: NOBODY, ...limits })).rejects.toThrow(RangeError);
  },
);

test("a connection that is none is refused; a server that is away is KV_UNAVAILABLE", async () => {
  const opening = openRedisKv({ connection: new Map() as never });
  await expect(opening).rejects.toMatchObject({ code: "CLIENT_UNKNOWN" });
  const nobody = openRedisKv({ connection: NOBODY, timeoutMs: 100 });
  await expect(nobody).rejects.toMatchObject({ code: "KV_UNAVAILABLE", committed: "no", retryable: true });
});

describe.skipIf(!(await haveRedis()))("RUN-11 what a store says of its server", () => {
  test.each([
    [["--appendonly", "no"], "process"],
    [["--appendonly", "yes", "--appendfsync", "everysec"], "process"],
    [["--appendonly", "yes", "--appendfsync", "always"], "disk"],
  ] as const)("%j is durable to the %s", async (args, durability) => {
    const server = await serverFor(args);
    expect((await storeOn(server.port)).capabilities.durability).toBe(durability);
    const strict = openRedisKv({ connection: server.url, requireDurable: "disk" });
    if (durability === "disk") await (await strict).close();
    else await expect(strict).rejects.toMatchObject({ code: "DURABILITY_TOO_LOW" });
    const claimed = await storeOn(server.port, { durability: "region", requireDurable: "disk" });
    expect(claimed.capabilities).toMatchObject({ name: "redis", durability: "region", sharedBy: "network" });
  });

  test("a server that may evict keys is refused; one that has no limit, or evicts what expires, is not", async () => {
    const server = await serverFor(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    await expect(openRedisKv({ connection: server.url })).rejects.toMatchObject({ code: "KEYS_EVICTED" });
    const direct = new Redis(server.port, "127.0.0.1");
    onTestFinished(() => direct.disconnect());
    await direct.config("SET", "maxmemory-policy", "volatile-lru");
    await storeOn(server.port);
    await direct.config("SET", "maxmemory-policy", "allkeys-lru", "maxmemory", "0");
    await storeOn(server.port);
  });

  test("nowMs() is the clock of the server", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port);
    const direct = new Redis(server.port, "127.0.0.1");
    onTestFinished(() => direct.disconnect());
    const [before] = await direct.time();
    const nowMs = await kv.nowMs();
    const [after] = await direct.time();
    expect(Number.isSafeInteger(nowMs)).toBe(true);
    expect(Math.floor(nowMs / 1_000)).toBeGreaterThanOrEqual(Number(before));
    expect(Math.floor(nowMs / 1_000)).toBeLessThanOrEqual(Number(after));
  });

  test("a borrowed client is neither used nor closed, and a database of its own is kept", async () => {
    const server = await serverFor();
    const client = new Redis(server.port, "127.0.0.1", { db: 3 });
    onTestFinished(() => client.disconnect());
    const kv = await openRedisKv({ connection: client });
    await kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    await kv.close();
    await expect(kv.get("p", [KEY])).rejects.toMatchObject({ code: "KV_CLOSED" });
    expect((await client.keys("*")).toSorted()).toEqual([
      "tidemark-kv:format",
      "tidemark-kv:{p}:names",
      "tidemark-kv:{p}:values",
    ]);
  });

  test("commits above what may be under way are KV_BUSY", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port);
    const value = new Uint8Array(8 * 1_024 * 1_024 - 100);
    server.freeze();
    const held = Array.from({ length: 8 }, (_, at) => kv.commit(`${at}`, { puts: [{ key: KEY, value }] }));
    await expect(kv.commit("p", { puts: [{ key: KEY, value }] })).rejects.toMatchObject({ code: "KV_BUSY" });
    server.thaw();
    await Promise.all(held);
    await expectValue(kv, "p", undefined);
  });
});

const README = readFileSync(new URL("../README.md", import.meta.url), "utf8");
/** The rights of the user of the README: nothing more than it says. */
const RIGHTS = /ACL SETUSER tidemark on >secret (.*)/.exec(README)![1]!.split(" ");
const TOLD = /may also have `([^`]+)`/.exec(README)![1]!.split(" ");

test("the user of the runbook has the rights of the README", () => {
  const page = readFileSync(new URL("../../../docs/redis.md", import.meta.url), "utf8");
  const line = /user tidemark-kv on >kv-password (.*)/.exec(page)![1]!;
  expect(line.split(" ").toSorted()).toEqual([...RIGHTS, ...TOLD].toSorted());
});

interface Login {
  readonly port: number;
  readonly host: string;
  readonly username: string;
  readonly password: string;
}
const CLIENTS: Record<string, (login: Login) => RedisKvOptions["connection"]> = {
  "ioredis 6": (login) => new Redis({ ...login, lazyConnect: true }),
  "ioredis 5": (login) => new Redis5({ ...login, lazyConnect: true }),
  "node-redis": ({ port, host, username, password }) =>
    createClient({ socket: { port, host }, username, password }),
};

describe.skipIf(!(await haveRedis()))("a user with least privileges", () => {
  test.each(Object.entries(CLIENTS))(
    "%s: everything works, nothing outside the prefix, and no right is idle",
    async (_, open) => {
      const server = await serverFor(["--appendonly", "yes", "--appendfsync", "always"]);
      const admin = new Redis(server.port, "127.0.0.1");
      onTestFinished(() => admin.disconnect());
      await admin.call("ACL", "SETUSER", "tidemark", "on", ">secret", ...RIGHTS);
      await admin.call("CONFIG", "RESETSTAT");
      const connection = open({
        port: server.port,
        host: "127.0.0.1",
        username: "tidemark",
        password: "secret",
      });
      const kv = await openRedisKv({ connection });
      onTestFinished(() => kv.close());
      // It may not ask, so that it claims less.
      expect(kv.capabilities.durability).toBe("process");
      await kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
      expect((await kv.scan("p", {})).items.length).toBe(1);
      expect((await kv.scan("p", { reverse: true })).items.length).toBe(1);
      for await (const _ring of kv.watch!("p", new Uint8Array())) break;
      await kv.commit("p", { deletes: [KEY] });
      const elsewhere = openRedisKv({ connection, prefix: "other" });
      await expect(elsewhere).rejects.toMatchObject({ code: "UNAUTHORIZED" });
      const log = JSON.stringify(await admin.call("ACL", "LOG"));
      expect(log).not.toContain("tidemark-kv:");
      const info = String(await admin.call("INFO", "commandstats"));
      const ran = [...info.matchAll(/cmdstat_([^:]+):calls=([1-9])/g)].map(([, name]) => `+${name}`);
      expect(RIGHTS.filter((right) => right.startsWith("+") && !ran.includes(right))).toEqual([]);

      await admin.call("ACL", "SETUSER", "tidemark", ...TOLD);
      const told = await openRedisKv({ connection, requireDurable: "disk" });
      onTestFinished(() => told.close());
      for (const right of RIGHTS.filter((each) => each.startsWith("+") && each !== "+info")) {
        await admin.call("ACL", "SETUSER", "tidemark", `-${right.slice(1)}`);
        await admin.script("FLUSH");
        const opening = openRedisKv({ connection, timeoutMs: 300 });
        await expect(opening, `without ${right}`).rejects.toMatchObject({ code: "UNAUTHORIZED" });
        await admin.call("ACL", "SETUSER", "tidemark", right);
      }
    },
  );

  test("a wrong password is UNAUTHORIZED", async () => {
    const server = await serverFor(["--requirepass", "secret"]);
    const opening = openRedisKv({ connection: { port: server.port, password: "wrong" } });
    await expect(opening).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});
