import { readFileSync } from "node:fs";
import { jetstreamManager } from "@nats-io/jetstream";
import { describe, expect, onTestFinished, test } from "vitest";
import { NATS_LIVE_DEFAULTS, natsLiveStream, openNatsReplayStore } from "../src/index.ts";
import { subjectOf } from "../src/subject.ts";
import { appendTexts, eventsBehind, textsOf } from "@tidemark/live-conformance";
import { directTo, haveNats, serverFor } from "./helpers.ts";

test.each([
  { stream: "a.b" },
  { stream: "" },
  { provision: "verify" as never },
  { timeoutMs: 0 },
  { eventsMax: -1 },
  { bufferedMax: 0 },
  { heartbeatMs: 99 },
  { make: { replicas: 0 } },
])("an option that is none is a RangeError: %j", async (options) => {
  const opening = openNatsReplayStore({ connection: "nats://127.0.0.1:1", ...options });
  await expect(opening).rejects.toThrow(RangeError);
});

test("subjectOf() gives every session a single token of its own", () => {
  const names = ["a", "a.b", "a>", "*", " ", "é", "e\u0301", "会话 🌊", "trip:1"];
  const subjects = names.map((name) => subjectOf("live", name));
  expect(new Set(subjects).size).toBe(names.length);
  for (const subject of subjects) expect(subject).toMatch(/^live\.[A-Za-z0-9_-]+$/);
  expect(subjectOf("live", "trip:1")).toBe("live.dHJpcDox");
});

describe.skipIf(!(await haveNats()))("openNatsReplayStore() and its stream", () => {
  test("a stream that is missing, keeps too little, or refuses what is new is refused", async () => {
    const server = await serverFor();
    const connection = await directTo(server.port);
    const open = (stream: string) => openNatsReplayStore({ connection, stream });
    await expect(open("none")).rejects.toMatchObject({ code: "STREAM_MISSING" });
    const manager = await jetstreamManager(connection);
    const wrong = {
      few: { max_msgs_per_subject: 10 },
      short: { max_age: 1_000_000_000 },
      full: { discard: "new" as const, max_bytes: 1_000_000 },
      elsewhere: { subjects: ["another.>"] },
    };
    for (const [name, config] of Object.entries(wrong)) {
      await manager.streams.add({ name, subjects: [`${name}.*`], ...config });
      await expect(open(name), name).rejects.toMatchObject({ code: "STREAM_MISMATCH" });
    }
    await manager.streams.add(natsLiveStream({ ...NATS_LIVE_DEFAULTS, stream: "right" }));
    const store = await open("right");
    await store.close();
    expect(connection.isClosed()).toBe(false);
  });

  test("a server that is away is STORE_UNAVAILABLE, wrong credentials are UNAUTHORIZED", async () => {
    const away = openNatsReplayStore({ connection: "nats://127.0.0.1:1" });
    await expect(away).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", retryable: true });
    const server = await serverFor({ config: () => 'authorization { user: a, password: "b" }' });
    const opening = openNatsReplayStore({ connection: { servers: server.url, user: "a", pass: "c" } });
    await expect(opening).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });

  test("a user with the rights of the README, and no more, does everything", async () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const rights = /```text permissions of a store\n([\s\S]*?)```/.exec(readme)![1]!;
    const server = await serverFor({
      config: () =>
        `authorization { users: [ { user: admin, password: a }, { user: live, password: b, permissions: { ${rights} } } ] }`,
    });
    const bounds = { eventsMax: 2, bufferedMax: 2 };
    const admin = await openNatsReplayStore({
      connection: { servers: server.url, user: "admin", pass: "a" },
      provision: "create",
      ...bounds,
    });
    await admin.close();
    const connection = { servers: server.url, user: "live", pass: "b", inboxPrefix: "_INBOX_live" };
    const errors: unknown[] = [];
    let nowMs = 0;
    const store = await openNatsReplayStore({
      connection,
      heartbeatMs: 100,
      onError: (error) => errors.push(error),
      monotonicMs: () => nowMs,
      ...bounds,
    });
    onTestFinished(() => store.close());
    const start = await store.currentCursor("s", 0);
    const subscriber = await eventsBehind(store, start);
    await appendTexts(store, "s", 1);
    expect(textsOf([await subscriber.next()])).toEqual(["1"]);
    await appendTexts(store, "s", 1);
    expect(await store.replayAfter(start)).toMatchObject({ kind: "replayed" });
    nowMs += 200_000;
    await store.trim("s");
    const manager = await jetstreamManager(await directTo(server.port, { user: "admin", pass: "a" }));
    expect((await manager.streams.info("tidemark-live")).state.messages).toBe(1);
    await subscriber.return?.();
    expect(errors).toEqual([]);
    const elsewhere = openNatsReplayStore({ connection, stream: "other", provision: "create" });
    await expect(elsewhere).rejects.toMatchObject({ code: "UNAUTHORIZED" });
  });
});
