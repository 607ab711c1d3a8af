import { readFileSync } from "node:fs";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import type { NatsConnection } from "@nats-io/nats-core";
import { openFaultProxy } from "@tidemark/servers";
import { describe, expect, onTestFinished, test } from "vitest";
import { openNatsKv } from "../src/index.ts";
import { bytes, haveNats, KEY, RECONNECT, serverFor, storeOn, valueOf } from "./helpers.ts";

async function directTo(port: number): Promise<NatsConnection> {
  const connection = await connect({ servers: `nats://127.0.0.1:${port}`, ...RECONNECT });
  onTestFinished(() => connection.close());
  return connection;
}

describe.skipIf(!(await haveNats()))("RUN-11 what NATS may do", () => {
  test("kill -9: what was acknowledged is there when it is back, and a read waits for it", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port, { timeoutMs: 20_000, answerTimeoutMs: 500 });
    for (const value of ["one", "two"]) await kv.commit("p", { puts: [{ key: KEY, value: bytes(value) }] });
    await server.kill();
    const reading = valueOf(kv, "p");
    await server.start();
    expect(await reading).toBe("two");
    const change = {
      checks: [{ key: KEY, value: bytes("two") }],
      puts: [{ key: KEY, value: bytes("three") }],
    };
    expect(await kv.commit("p", change)).toEqual({ committed: true });
    expect(await kv.commit("p", change)).toEqual({ committed: false, failed: 0 });
  });

  test("a server that is away: nothing was written, and it says so", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port, { timeoutMs: 100, answerTimeoutMs: 100 });
    await server.kill();
    const commit = kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    await expect(commit).rejects.toMatchObject({ code: "KV_UNAVAILABLE", committed: "no", retryable: true });
    await expect(kv.get("p", [KEY])).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
  });

  test("an answer that is lost: unknown is told, and reading finds the commit", async () => {
    const server = await serverFor();
    const proxy = await openFaultProxy({ target: server.port });
    onTestFinished(() => proxy.close());
    const connection = await directTo(proxy.port);
    const kv = await openNatsKv({ connection, provision: "create", answerTimeoutMs: 500 });
    onTestFinished(() => kv.close());
    await kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    // The put goes out, and no answer comes in.
    const request = connection.request.bind(connection);
    connection.request = (subject, ...rest) => {
      if (subject.startsWith("$KV.")) proxy.stall("inbound");
      return request(subject, ...rest);
    };
    const lost = kv.commit("p", { puts: [{ key: KEY, value: bytes("two") }] });
    await expect(lost).rejects.toMatchObject({
      code: "KV_UNAVAILABLE",
      committed: "unknown",
      retryable: true,
    });
    proxy.heal();
    expect(await valueOf(kv, "p")).toBe("two");
  });

  test("a frozen server: unknown in time, and what was sent is fenced by its check", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port, { answerTimeoutMs: 300, timeoutMs: 300 });
    await kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    server.freeze();
    const change = { checks: [{ key: KEY, value: bytes("one") }], puts: [{ key: KEY, value: bytes("two") }] };
    await expect(kv.commit("p", change)).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
    server.thaw();
    await kv.commit("p", change);
    expect(await valueOf(kv, "p")).toBe("two");
  });

  test("a key that was deleted can be made again, by one of many", async () => {
    const server = await serverFor();
    const [left, right] = [await storeOn(server.port), await storeOn(server.port)];
    await left.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    await left.commit("p", { deletes: [KEY] });
    expect(await valueOf(right, "p")).toBeUndefined();
    const made = await Promise.all(
      [left, right, left, right].map((kv, index) =>
        kv.commit("p", {
          checks: [{ key: KEY, value: undefined }],
          puts: [{ key: KEY, value: bytes(`${index}`) }],
        }),
      ),
    );
    expect(made.filter(({ committed }) => committed).length).toBe(1);
  });
});

describe.skipIf(!(await haveNats()))("openNatsKv() and its bucket", () => {
  test("a bucket that is missing, forgets, or holds something else is refused", async () => {
    const server = await serverFor();
    const connection = await directTo(server.port);
    const missing = openNatsKv({ connection, bucket: "none" });
    await expect(missing).rejects.toMatchObject({ code: "BUCKET_MISSING" });
    const kvm = new Kvm(jetstream(connection));
    await kvm.create("lapsing", { ttl: 60_000 });
    await expect(openNatsKv({ connection, bucket: "lapsing" })).rejects.toMatchObject({
      code: "BUCKET_FORGETS",
    });
    await (await kvm.create("other")).put("a", "b");
    const other = openNatsKv({ connection, bucket: "other" });
    await expect(other).rejects.toMatchObject({ code: "KV_STORE_VERSION", actual: 0, expected: 1 });
  });

  test("the bucket that is made keeps files, one value a key, and answers by its leader alone", async () => {
    const server = await serverFor();
    await storeOn(server.port, { make: { bytesMax: 1_000_000 } });
    const { streams } = await jetstreamManager(await directTo(server.port));
    const { config } = await streams.info("KV_tidemark");
    expect(config).toMatchObject({
      storage: "file",
      max_msgs_per_subject: 1,
      max_bytes: 1_000_000,
      num_replicas: 1,
    });
    expect(config.allow_direct ?? false).toBe(false);
  });

  test("a full bucket refuses, and nothing was written", async () => {
    const server = await serverFor();
    const kv = await storeOn(server.port, { make: { bytesMax: 5_000 } });
    const commit = kv.commit("p", { puts: [{ key: KEY, value: new Uint8Array(10_000) }] });
    await expect(commit).rejects.toMatchObject({ code: "KV_UNAVAILABLE", committed: "no" });
  });

  test("nowMs() is the clock given; a borrowed connection stays open", async () => {
    const server = await serverFor();
    const connection = await directTo(server.port);
    const kv = await openNatsKv({ connection, provision: "create", nowMs: () => 17 });
    expect(await kv.nowMs()).toBe(17);
    await kv.close();
    await expect(kv.get("p", [KEY])).rejects.toMatchObject({ code: "KV_CLOSED" });
    expect(connection.isClosed()).toBe(false);
  });

  test("wrong credentials are UNAUTHORIZED, an option that is none a RangeError", async () => {
    const server = await serverFor({ config: () => 'authorization { user: a, password: "b" }' });
    const opening = openNatsKv({ connection: { servers: server.url, user: "a", pass: "c" } });
    await expect(opening).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    for (const options of [{ bucket: "a.b" }, { timeoutMs: 0 }, { make: { replicas: -1 } }])
      await expect(openNatsKv({ connection: server.url, ...options })).rejects.toThrow(RangeError);
  });

  test("a user with the rights of the README, and no more, does everything", async () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const rights = /```text permissions of a store\n([\s\S]*?)```/.exec(readme)![1]!;
    const server = await serverFor({
      config: () =>
        `authorization { users: [ { user: admin, password: a }, { user: kv, password: b, permissions: { ${rights} } } ] }`,
    });
    const admin = await openNatsKv({
      connection: { servers: server.url, user: "admin", pass: "a" },
      provision: "create",
    });
    await admin.close();
    const login = { servers: server.url, user: "kv", pass: "b", inboxPrefix: "_INBOX_kv" };
    const kv = await openNatsKv({ connection: login });
    onTestFinished(() => kv.close());
    await kv.commit("p", { puts: [{ key: KEY, value: bytes("one") }] });
    expect(await valueOf(kv, "p")).toBe("one");
    await kv.commit("p", { deletes: [KEY] });
    const elsewhere = openNatsKv({ connection: login, bucket: "other", provision: "create" });
    await expect(elsewhere).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});
