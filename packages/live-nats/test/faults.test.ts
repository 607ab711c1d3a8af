import { jetstreamManager } from "@nats-io/jetstream";
import type { LiveEvent, LiveReplayStore } from "@tidemark/live";
import { appendAgain, appendTexts, eventsBehind, textsOf } from "@tidemark/live-conformance";
import { openFaultProxy } from "@tidemark/servers";
import { describe, expect, onTestFinished, test } from "vitest";
import { openNatsReplayStore, type NatsReplayStoreOptions } from "../src/index.ts";
import { directTo, haveNats, RECONNECT, serverFor } from "./helpers.ts";

async function storeOn(
  port: number,
  options: Partial<NatsReplayStoreOptions> = {},
): Promise<LiveReplayStore> {
  const store = await openNatsReplayStore({
    connection: { servers: `nats://127.0.0.1:${port}`, ...RECONNECT },
    provision: "create",
    heartbeatMs: 200,
    answerTimeoutMs: 500,
    timeoutMs: 20_000,
    ...options,
  });
  onTestFinished(() => store.close());
  return store;
}

describe.skipIf(!(await haveNats()))("LIV-7 what NATS may do", () => {
  test("B-39 kill -9 of the server: old cursors are unavailable, subscriptions end, then all goes on", async () => {
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
    for (let count = 0; count < 6; count++) await appendAgain(store, "s", "more");
    for (const { cursor } of events)
      expect(await other.replayAfter(cursor)).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
    const again = await eventsBehind(other, fresh.cursor);
    expect(textsOf([await again.next()])).toEqual(["more"]);
  });

  test("B-39 a stream that keeps files outlives kill -9, and so do cursors and subscriptions", async () => {
    const server = await serverFor();
    const manager = await jetstreamManager(await directTo(server.port));
    await manager.streams.add({
      name: "filed",
      subjects: ["filed.*"],
      storage: "file",
      max_msgs_per_subject: 2_048,
    });
    const [store, other] = [
      await storeOn(server.port, { stream: "filed", provision: "bind" }),
      await storeOn(server.port, { stream: "filed", provision: "bind" }),
    ];
    const events = await appendTexts(store, "s", 3);
    const subscriber = await eventsBehind(other, events[0]!.cursor);
    expect(textsOf([await subscriber.next()])).toEqual(["2"]);
    await server.kill();
    await server.start();
    const more = await appendAgain(store, "s", "more");
    expect(more.cursor.position).toBeGreaterThanOrEqual(4);
    expect(more.cursor.incarnation).toBe(events[0]!.cursor.incarnation);
    const got = [];
    while (got.at(-1)?.value?.cursor.position !== more.cursor.position) got.push(await subscriber.next());
    const positions = got.map(({ value }) => (value as LiveEvent).cursor.position);
    expect(positions).toEqual(positions.map((_, index) => index + 3));
    const replay = await other.replayAfter(events[2]!.cursor);
    expect(replay).toMatchObject({ kind: "replayed" });
  });

  test("B-28 SIGSTOP: what was sent happens at the thaw, and nothing is missed or repeated", async () => {
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
    await appendAgain(other, "s", "after");
    expect(textsOf([await subscriber.next(), await subscriber.next()])).toEqual(["stuck", "after"]);
  });

  test("B-28 a half-open link to the reader is found out, and what came meanwhile is handed on once", async () => {
    const server = await serverFor();
    const proxy = await openFaultProxy({ target: server.port });
    onTestFinished(() => proxy.close());
    const connection = {
      servers: `nats://127.0.0.1:${proxy.port}`,
      ...RECONNECT,
      pingInterval: 200,
      maxPingOut: 1,
    };
    const [store, other] = [await storeOn(proxy.port, { connection }), await storeOn(server.port)];
    const subscriber = await eventsBehind(store, await store.currentCursor("s", 0));
    await appendTexts(other, "s", 2);
    expect(textsOf([await subscriber.next()])).toEqual(["1"]);
    proxy.halfOpen();
    await appendTexts(other, "s", 3, 3);
    proxy.heal();
    const got = [];
    for (let count = 0; count < 4; count++) got.push(await subscriber.next());
    expect(textsOf(got)).toEqual(["2", "3", "4", "5"]);
  });

  test("a server that is away is STORE_UNAVAILABLE in time, for every call; a connection closed for good is CLOSED", async () => {
    const server = await serverFor();
    const connection = await directTo(server.port);
    const store = await storeOn(server.port, { connection, timeoutMs: 100, answerTimeoutMs: 100 });
    const [{ cursor }] = (await appendTexts(store, "s", 1)) as [LiveEvent];
    const subscriber = await eventsBehind(store, cursor);
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
    const waiting = subscriber.next();
    waiting.catch(() => undefined);
    await connection.close();
    await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("B-39 a session that somebody purges is another", async () => {
    const server = await serverFor();
    const store = await storeOn(server.port);
    const events = await appendTexts(store, "s", 3);
    const manager = await jetstreamManager(await directTo(server.port));
    await manager.streams.purge("tidemark-live");
    expect(await store.replayAfter(events[1]!.cursor)).toMatchObject({ gap: { reason: "unavailable" } });
    const subscriber = await eventsBehind(store, await store.currentCursor("s", 0));
    const waiting = subscriber.next();
    waiting.catch(() => undefined);
    await manager.streams.purge("tidemark-live");
    expect((await appendTexts(store, "s", 1))[0]!.cursor.position).toBe(1);
    await expect(waiting).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });

  test("B-29 what the stream pushes out before it was read is a lag of its size; a message of another is MALFORMED", async () => {
    const server = await serverFor();
    const [store, other] = [
      await storeOn(server.port, { eventsMax: 2, bufferedMax: 2 }),
      await storeOn(server.port, { eventsMax: 2, bufferedMax: 2 }),
    ];
    const start = await store.currentCursor("s", 0);
    const subscriber = await eventsBehind(other, start);
    server.freeze();
    const calls = Array.from({ length: 20 }, (_, index) =>
      store.append("s", 1, { kind: "turn_activity", activity: index }).catch(() => undefined),
    );
    server.thaw();
    const appended = (await Promise.all(calls)).filter((event) => event !== undefined);
    const tail = appended.at(-1)!.cursor.position;
    let position = 0;
    while (position < tail) {
      position += await subscriber.next().then(
        () => 1,
        (error: { code: string; missed: number }) => {
          expect(error.code).toBe("SUBSCRIBER_LAGGED");
          return error.missed;
        },
      );
    }
    expect(position).toBe(tail);
    const direct = await directTo(server.port);
    direct.publish("tidemark-live.cw", "not ours");
    await direct.flush();
    await expect(store.replayAfter(start)).rejects.toMatchObject({ code: "MALFORMED" });
  });
});
