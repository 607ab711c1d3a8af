import { encodeKey } from "@tidemark/kv";
import { haveRedis, openFaultProxy, type FaultProxy } from "@tidemark/servers";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { bytes, expectValue, KEY, serverFor, storeOn } from "./helpers.ts";

const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];

async function proxyTo(port: number): Promise<FaultProxy> {
  const proxy = await openFaultProxy({ target: port });
  onTestFinished(() => proxy.close());
  return proxy;
}

function clientOf(port: number): Redis {
  const client = new Redis(port, "127.0.0.1");
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

describe.skipIf(!(await haveRedis()))("RUN-11 what Redis may do", () => {
  test("kill -9 under appendfsync always: every acknowledged commit is there, and the store goes on", async () => {
    const server = await serverFor(DURABLE);
    const kv = await storeOn(server.port, { timeoutMs: 20_000 });
    expect(kv.capabilities.durability).toBe("disk");
    const acknowledged: number[] = [];
    let killed: Promise<void> | undefined;
    for (let turn = 0; turn < 400 && killed === undefined; turn += 20) {
      const batch = Array.from({ length: 20 }, async (_, index) => {
        const key = encodeKey([turn + index]);
        await kv
          .commit("p", { checks: [{ key, value: undefined }], puts: [{ key, value: bytes("x") }] })
          .then(
            () => acknowledged.push(turn + index),
            (error: unknown) => expect(error).toMatchObject({ code: "KV_UNAVAILABLE", committed: "unknown" }),
          );
      });
      // The last ones are under way; what was not sent waits for the server to come back.
      if (turn === 200) killed = server.kill().then(() => server.start());
      await Promise.all([killed, ...batch]);
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(200);
    const found = await kv.get(
      "p",
      acknowledged.map((number) => encodeKey([number])),
    );
    expect(found.filter((value) => value === undefined)).toEqual([]);
    const page = await kv.scan("p", { limit: 10_000 });
    expect(page.items.length).toBeGreaterThanOrEqual(acknowledged.length);
  });

  test("SIGSTOP: the outcome is unknown in time; what was sent happens at the thaw, fenced by its checks", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port, { replyTimeoutMs: 200 });
    await kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    server.freeze();
    const change = { checks: [{ key: KEY, value: bytes("one") }], puts: [{ key: KEY, value: bytes("two") }] };
    await expect(kv.commit("p", change)).rejects.toMatchObject({
      code: "KV_UNAVAILABLE",
      committed: "unknown",
      retryable: true,
    });
    server.thaw();
    // It did happen, so that the same again is not done a second time.
    await expectValue(kv, "p", "two");
    expect(await kv.commit("p", change)).toEqual({ committed: false, failed: 0 });
  });

  test("a connection cut after the script ran: unknown is told, and reading finds the commit", async () => {
    const server = await serverFor();
    const proxy = await proxyTo(server.port);
    const kv = await storeOn(proxy.port);
    const direct = clientOf(server.port);
    proxy.stall("inbound");
    const lost = kv
      .commit("p", { puts: [{ key: KEY, value: bytes("one") }] })
      .catch((error: unknown) => error);
    while ((await direct.exists("tidemark-kv:{p}:values")) === 0);
    proxy.cut();
    expect(await lost).toMatchObject({ code: "KV_UNAVAILABLE", committed: "unknown", retryable: true });
    proxy.heal();
    await expectValue(kv, "p", "one");
  });

  test("a connection cut before the script arrived: unknown is told, and reading finds nothing", async () => {
    const server = await serverFor();
    const proxy = await proxyTo(server.port);
    const kv = await storeOn(proxy.port);
    proxy.stall();
    const lost = kv
      .commit("p", { puts: [{ key: KEY, value: bytes("one") }] })
      .catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    proxy.cut();
    expect(await lost).toMatchObject({ code: "KV_UNAVAILABLE", committed: "unknown" });
    proxy.heal();
    await expectValue(kv, "p", undefined);
  });

  test("a server that is away: a commit waits for it, or was not sent; a read is tried again", async () => {
    const server = await serverFor(DURABLE);
    const kv = await storeOn(server.port, { timeoutMs: 10_000 });
    const impatient = await storeOn(server.port, { timeoutMs: 100 });
    await server.kill();
    const first = { puts: [{ key: KEY, value: bytes("one") }] };
    // Both may still hold a connection they do not know to be dead: then nobody knows.
    await impatient.commit("p", first).catch(() => undefined);
    await expect(impatient.commit("p", first)).rejects.toMatchObject({
      code: "KV_UNAVAILABLE",
      committed: "no",
    });
    await expect(impatient.get("p", [KEY])).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
    const reading = kv.get("p", [KEY]);
    await server.start();
    expect(await reading).toEqual([undefined]);
    await kv.commit("p", first);
    await expectValue(kv, "p", "one");
  });

  test("without memory a commit is refused whole, and deleting goes on", async () => {
    const server = await serverFor(["--maxmemory-policy", "noeviction"]);
    const kv = await storeOn(server.port);
    const direct = clientOf(server.port);
    await kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    await direct.config("SET", "maxmemory", "1");
    const puts = [
      { key: KEY, value: bytes("two") },
      { key: encodeKey(["other"]), value: bytes("two") },
    ];
    await expect(kv.commit("p", { puts })).rejects.toMatchObject({ code: "KV_UNAVAILABLE", committed: "no" });
    await expectValue(kv, "p", "one");
    expect(await kv.commit("p", { deletes: [KEY] })).toEqual({ committed: true });
    expect(await direct.keys("*{p}*")).toEqual([]);
  });

  test("a server that forgot the scripts is told them again, and nothing runs twice", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port);
    const direct = clientOf(server.port);
    await direct.script("FLUSH");
    const create = { checks: [{ key: KEY, value: undefined }], puts: [{ key: KEY, value: bytes("one") }] };
    expect(await kv.commit("p", create)).toEqual({ committed: true });
    await direct.script("FLUSH");
    await expectValue(kv, "p", "one");
  });

  test("RUN-10 half a partition is KV_CORRUPT, never absent; another format is KV_STORE_VERSION", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port);
    const direct = clientOf(server.port);
    const put = { puts: [{ key: KEY, value: bytes("one") }] };
    for (const partition of ["values", "names", "type", "format"]) await kv.commit(partition, put);
    await direct.del("tidemark-kv:{values}:values");
    await direct.del("tidemark-kv:{names}:names");
    await direct.set("tidemark-kv:{type}:names", "x");
    await direct.hset("tidemark-kv:{format}:values", "", Buffer.from([2, 0]));
    for (const partition of ["values", "names", "type"]) {
      await expect(kv.get(partition, [KEY]), partition).rejects.toMatchObject({ code: "KV_CORRUPT" });
      await expect(kv.scan(partition, {}), partition).rejects.toMatchObject({ code: "KV_CORRUPT" });
      await expect(kv.commit(partition, put), partition).rejects.toMatchObject({ code: "KV_CORRUPT" });
    }
    const other = { code: "KV_STORE_VERSION", actual: 2, expected: 1 };
    await expect(kv.get("format", [KEY])).rejects.toMatchObject(other);
    await expect(kv.commit("format", put)).rejects.toMatchObject(other);
    await direct.set("tidemark-kv:format", "7");
    await expect(storeOn(server.port)).rejects.toMatchObject({ ...other, actual: 7 });
    expect(await direct.get("tidemark-kv:format")).toBe("7");
  });
});
