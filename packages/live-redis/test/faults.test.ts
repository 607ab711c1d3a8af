import { LiveCursor, type LiveEvent, type LiveReplayStore, openLive } from "@tidemark/live";
import { appendAgain, appendTexts, eventsBehind, textsOf } from "@tidemark/live-conformance";
import { haveRedis, openFaultProxy } from "@tidemark/servers";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { openRedisReplayStore, type RedisReplayStoreOptions } from "../src/index.ts";
import { serverFor } from "./helpers.ts";

async function storeOn(
  port: number,
  options: Partial<RedisReplayStoreOptions> = {},
): Promise<LiveReplayStore> {
  const connection = `redis://127.0.0.1:${port}`;
  const settings = { blockMs: 200, replyTimeoutMs: 300, timeoutMs: 10_000 };
  const store = await openRedisReplayStore({ connection, ...settings, ...options });
  onTestFinished(() => store.close());
  return store;
}

function clientOf(port: number): Redis {
  const client = new Redis(port, "127.0.0.1");
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

describe.skipIf(!(await haveRedis()))("LIV-7 what Redis may do", () => {
  test("B-39 kill -9 of a server that keeps nothing: old cursors are unavailable, subscriptions end, then all goes on", async () => {
    const server = await serverFor();
    const [store, other] = [await storeOn(server.port), await storeOn(server.port)];
    const events = await appendTexts(store, "s", 5);
    const subscriber = await eventsBehind(other, events[3]!.cursor);
    expect(textsOf([await subscriber.next()])).toEqual(["5"]);
    const waiting = subscriber.next();
    waiting.catch(() => undefined);
    await server.kill();
    await server.start();
    await expect(waiting).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    const fresh = await appendAgain(store, "s", "fresh");
    expect(fresh.cursor.position).toBe(1);
    for (let count = 0; count < 6; count++) await appendAgain(store, "s", "more");
    for (const { cursor } of events) {
      expect(await other.replayAfter(cursor)).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
    }
    const again = await eventsBehind(other, fresh.cursor);
    expect(textsOf([await again.next()])).toEqual(["more"]);
  });

  test("B-39 a server that comes back without its last events gives their numbers out under another name", async () => {
    const server = await serverFor();
    const store = await storeOn(server.port);
    const direct = clientOf(server.port);
    await appendTexts(store, "s", 3);
    await direct.save();
    const lost = await appendTexts(store, "s", 2);
    await server.kill();
    await server.start();
    // It has events 1 to 3; of 4 and 5 it knows nothing.
    expect(await direct.xlen("tidemark-live:{s}:events")).toBe(3);
    const behind = await store.replayAfter(lost[0]!.cursor);
    expect(behind).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
    for (let count = 0; count < 9; count++) await appendAgain(store, "s", "another");
    for (const { cursor } of lost)
      expect(await store.replayAfter(cursor)).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
  });

  test("B-28 SIGSTOP: the silent connection is replaced, and nothing is missed or repeated", async () => {
    const server = await serverFor();
    const [store, other] = [await storeOn(server.port), await storeOn(server.port)];
    const events = await appendTexts(other, "s", 2);
    const subscriber = await eventsBehind(store, events[0]!.cursor);
    expect(textsOf([await subscriber.next()])).toEqual(["2"]);
    server.freeze();
    const stuck = await other
      .append("s", 1, { kind: "turn_activity", activity: "stuck" })
      .catch((error: unknown) => error);
    expect(stuck).toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
    server.thaw();
    // It was sent, so it happens at the thaw.
    await appendAgain(other, "s", "after");
    expect(textsOf([await subscriber.next(), await subscriber.next()])).toEqual(["stuck", "after"]);
  });

  test("B-28 a half-open link to the reader is found out, and what came meanwhile is handed on once", async () => {
    const server = await serverFor();
    const proxy = await openFaultProxy({ target: server.port });
    onTestFinished(() => proxy.close());
    const [store, other] = [await storeOn(proxy.port), await storeOn(server.port)];
    const subscriber = await eventsBehind(store, await store.currentCursor("s", 0));
    await appendTexts(other, "s", 2);
    expect(textsOf([await subscriber.next()])).toEqual(["1"]);
    proxy.halfOpen();
    const away = store.currentCursor("s", 0);
    await appendTexts(other, "s", 3, 3);
    proxy.heal();
    const got = [];
    for (let count = 0; count < 4; count++) got.push(await subscriber.next());
    expect(textsOf(got)).toEqual(["2", "3", "4", "5"]);
    expect((await away).position).toBeGreaterThanOrEqual(2);
  });

  test("a server that is away is STORE_UNAVAILABLE in time, for every call", async () => {
    const server = await serverFor();
    const store = await storeOn(server.port, { timeoutMs: 100, replyTimeoutMs: 100 });
    const [{ cursor }] = (await appendTexts(store, "s", 1)) as [LiveEvent];
    await server.kill();
    const calls = [
      () => store.append("s", 1, { kind: "turn_activity", activity: "x" }),
      () => store.replayAfter(cursor),
      () => store.subscribeAfter(cursor),
      () => store.currentCursor("s", 1),
      () => store.trim("s"),
    ];
    for (const call of calls)
      await expect(call()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
  });

  test("B-39 keys that somebody deletes end the buffer, whichever of the two", async () => {
    const server = await serverFor();
    const store = await storeOn(server.port);
    const direct = clientOf(server.port);
    for (const kind of ["events", "buffer"]) {
      const events = await appendTexts(store, kind, 3);
      const subscriber = await eventsBehind(store, events[2]!.cursor);
      const waiting = subscriber.next();
      waiting.catch(() => undefined);
      await direct.del(`tidemark-live:{${kind}}:${kind}`);
      expect(await store.replayAfter(events[1]!.cursor)).toMatchObject({ gap: { reason: "unavailable" } });
      expect((await appendTexts(store, kind, 1))[0]!.cursor.position).toBe(1);
      await expect(waiting).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    }
  });

  test("B-21 a replay of more than one answer brings comes whole", async () => {
    const server = await serverFor();
    const store = await storeOn(server.port);
    const start = await store.currentCursor("s", 0);
    const large = "x".repeat(200_000);
    const payload = { kind: "turn_activity", activity: large } as const;
    await Promise.all(Array.from({ length: 25 }, () => store.append("s", 1, payload)));
    const replay = await store.replayAfter(start);
    if (replay.kind === "gap") throw new Error("There is no gap");
    expect(replay.events.map(({ cursor }) => cursor.position)).toEqual(
      Array.from({ length: 25 }, (_, at) => at + 1),
    );
    const subscriber = await eventsBehind(store, LiveCursor.parse(String(start)));
    for (let count = 0; count < 25; count++) await subscriber.next();
    const tooLarge = store.append("s", 1, { kind: "turn_activity", activity: "x".repeat(300_000) });
    await expect(tooLarge).rejects.toMatchObject({ code: "EVENT_TOO_LARGE", limit: 262_144 });
    expect((await store.currentCursor("s", 0)).position).toBe(25);
  });

  test("keys live as long as a session may be idle, and a minute", async () => {
    const server = await serverFor();
    const store = await storeOn(server.port, { idleMsMax: 1_000_000 });
    await appendTexts(store, "s", 1);
    const direct = clientOf(server.port);
    for (const key of await direct.keys("tidemark-live:{s}:*")) {
      expect(await direct.pttl(key), key).toBeLessThanOrEqual(1_060_000);
      expect(await direct.pttl(key), key).toBeGreaterThan(1_000_000);
    }
  });
});

describe.skipIf(!(await haveRedis()))("B-34 B-39 LIV-5 a watch over Redis", () => {
  test("goes on behind a gap with a fresh observation when the server lost everything", async () => {
    const server = await serverFor();
    const store = await storeOn(server.port);
    let revision = 3;
    const source = { observe: async () => ({ revision, view: `view ${revision}` }) };
    await using live = openLive({ store, source });
    const session = live.session("trip");
    const controller = new AbortController();
    onTestFinished(() => controller.abort());
    const items = session.watch({ signal: controller.signal })[Symbol.asyncIterator]();
    expect((await items.next()).value).toMatchObject({
      kind: "observation",
      observation: { view: "view 3" },
    });
    session.publish({ kind: "turn_activity", activity: "before" });
    expect((await items.next()).value).toMatchObject({ event: { payload: { activity: "before" } } });
    const waiting = items.next();
    revision = 4;
    await server.kill();
    await server.start();
    expect((await waiting).value).toMatchObject({
      kind: "gap",
      gap: { reason: "unavailable" },
      observation: { view: "view 4", revision: 4 },
    });
    session.publish({ kind: "turn_activity", activity: "after" });
    expect((await items.next()).value).toMatchObject({ event: { payload: { activity: "after" } } });
  });
});
