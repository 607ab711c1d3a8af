import { expect, test } from "vitest";
import type { Region } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

/** The log of the first region as another sees it. */
function logOf(region: Region): NonNullable<ReturnType<Region["health"]>["replication"]>["logs"][number] {
  return region.health().replication!.logs.find(({ log }) => log.region === 1 && log.channel === "sessions")!;
}

test("RGN-2 health tells durable, shipped, applied and stable positions, lag, and who holds stability back", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  await cluster.converged();
  const { lsn } = session.progress("eu-west").logs[0]!;
  expect(east.health()).toMatchObject({
    status: "ready",
    reasons: [],
    opsApplied: 2,
    durableLsn: { signals: 0, sessions: lsn },
  });
  expect(logOf(east)).toMatchObject({
    state: "writing",
    durableLsn: lsn,
    shippedLsn: lsn,
    appliedLsn: lsn,
    stableLsn: lsn,
  });
  expect(logOf(west)).toMatchObject({
    state: "receiving",
    durableLsn: lsn,
    appliedLsn: lsn,
    stableLsn: lsn,
    knownLsn: lsn,
  });

  cluster.network.cut("us-east", "eu-west");
  await session.unhide("book");
  expect(east.health()).toMatchObject({ status: "degraded", withheld: 1, unhidesPending: 1 });
  expect(east.health().reasons.join()).toContain("the link with eu-west is cut");
  expect(logOf(east)).toMatchObject({ durableLsn: lsn + 1, stableLsn: lsn });
  const [peer] = east.health().replication!.peers;
  expect(peer).toMatchObject({ name: "eu-west", lagRecords: 1, sameMembers: true });
  expect(peer!.blocksStabilitySinceMs).toBeTypeOf("number");
  cluster.network.heal();
  await cluster.converged();
  expect(east.health()).toMatchObject({ status: "ready", withheld: 0, unhidesPending: 0 });
  expect(east.health().replication!.peers[0]).toMatchObject({ lagRecords: 0, lagSeconds: 0 });
});

test("RGN-2 refusals are counted by code, duplicates by what came twice, and nothing names a session or a user", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
  await session.annotate("the-text", { operationId: "the-operation" });
  await session.annotate("the-text", { operationId: "the-operation" });
  await session.annotate("another", { operationId: "the-operation" });
  await session.close();
  await session.annotate("late");
  await session.annotate("later");
  await east.sessions.start({ id: "the-session", user: "the-user", agent: "scout" }).catch(() => undefined);
  await cluster.converged();
  const health = east.health();
  expect(health.refused).toEqual({ OPERATION_CONFLICT: 1, SESSION_CLOSED: 3 });
  expect(health.duplicatesBy).toMatchObject({ retries: 1, operations: 0 });
  expect(health.duplicates).toBe(1 + health.duplicatesBy.frames);
  expect(health.queue).toEqual({ records: 0, bytes: 0 });
  expect(health.walSegments).toBeGreaterThan(0);
  expect(JSON.stringify([health, east.metrics()])).not.toMatch(/the-(session|user|text|operation)/);
  expect(east.metrics()).toMatchObject({ recordsApplied: 4, waiting: 0, poisonFrames: 0 });
});

test("RGN-2 SES-5 what two regions disagree about is in the session and counted in health, in both", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  cluster.network.cut("us-east", "eu-west");
  const here = await east.sessions.start({ id: "s", user: "ada", agent: "scout" });
  const there = await west.sessions.start({ id: "s", user: "bob", agent: "scout" });
  await here.prefer("mood", "calm", { operationId: "once" });
  await there.prefer("mood", "wild", { operationId: "once" });
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) {
    const { conflicts, user } = region.sessions.get("s")!.state();
    expect(conflicts.starts).toBe(1);
    expect(conflicts.operations).toHaveLength(1);
    expect(user).toBe(east.sessions.get("s")!.state().user);
    expect(region.health()).toMatchObject({ conflicts: 2, forks: 0, unknownOps: 0 });
  }
});

test("BRG-4 progress() says to which region a session has travelled, and refuses who is no member", async () => {
  await using cluster = await Cluster.of("a", "b", "c");
  const session = await cluster.region("a").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  for (const region of ["a", "b", "c"])
    expect(session.progress(region)).toMatchObject({ region, synced: true });
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  expect((await session.hide("book", { ack: { remote: 1 } })).ack).toBe("remote");
  expect(session.progress("b").synced).toBe(true);
  const { synced, logs } = session.progress("c");
  expect(synced).toBe(false);
  expect(logs).toEqual([
    expect.objectContaining({ shippedLsn: logs[0]!.lsn, acknowledgedLsn: logs[0]!.lsn - 1 }),
  ]);
  cluster.network.heal();
  await cluster.converged();
  expect(session.progress("c").synced).toBe(true);
  expect(() => session.progress("d")).toThrow(/"d" is no member: a, b, c/);
});

test("SES-5 a write resolves with outcome, effect id, position and ack, and rejects for invalid input or an abort", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const written = await session.prefer("mood", "calm", { operationId: "a" });
  expect(written).toEqual({
    outcome: "applied",
    effectId: expect.stringMatching(/^[0-9a-f]{32}$/),
    position: { session: session.id, lane: expect.any(String), seqno: 2 },
    ack: "local",
  });
  expect(await session.prefer("mood", "calm", { operationId: "a" })).toEqual({
    ...written,
    outcome: "duplicate",
  });
  // A retry may ask for more than the first attempt did.
  expect(await session.prefer("mood", "calm", { operationId: "a", ack: "all" })).toEqual({
    ...written,
    outcome: "duplicate",
    ack: "all",
  });
  expect(await session.prefer("mood", "calm", { operationId: "a", ack: { remote: 1 } })).toMatchObject({
    ack: "remote",
  });
  expect(await session.prefer("mood", "wild", { operationId: "a" })).toMatchObject({
    outcome: "refused",
    reason: "OPERATION_CONFLICT",
  });
  // More members than there are: never, and said at once.
  expect((await session.annotate("note", { ack: { remote: 2 }, timeoutMs: 60_000 })).ack).toBe("unconfirmed");
  cluster.network.cut("us-east", "eu-west");
  await session.annotate("one more", { operationId: "b" });
  expect((await session.annotate("one more", { operationId: "b", ack: "all", timeoutMs: 5 })).ack).toBe(
    "unconfirmed",
  );
  for (const remote of [0, -1, 1.5, Number.NaN]) {
    await expect(session.annotate("note", { ack: { remote } })).rejects.toBeInstanceOf(RangeError);
  }
  await expect(session.annotate("x".repeat(16 * 1024 + 1))).rejects.toMatchObject({ code: "INVALID_INPUT" });
  await expect(session.signal("book", "save", 2 ** 40)).rejects.toMatchObject({ code: "INVALID_WEIGHT" });
  await expect(session.annotate("note", { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow(
    "enough",
  );
  expect(session.state().annotations.map(({ text }) => text)).toEqual(["note", "one more"]);
});

test("SES-5 a failed disk: the write goes into a new epoch; where that fails too it rejects with the log's error", async () => {
  await using cluster = await Cluster.of("us-east");
  const session = await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  const disk = cluster.disk("us-east");
  disk.failSync({ path: ".wal" });
  expect((await session.annotate("one")).outcome).toBe("applied");
  for (const nth of [1, 2]) disk.failSync({ nth, path: ".wal" });
  await expect(session.annotate("two")).rejects.toMatchObject({
    name: "WalError",
    code: expect.stringMatching(/^WAL_/),
  });
  expect((await session.annotate("three")).outcome).toBe("applied");
  expect(session.state().annotations.map(({ text }) => text)).toEqual(["one", "three"]);
  expect(session.state().conflicts.forks).toEqual([]);
});

test("RGN-2 a listener that throws keeps nothing from the others, nor from the write", async () => {
  await using cluster = await Cluster.of("us-east");
  const region = cluster.region("us-east");
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  const told: string[] = [];
  region.onChange(() => {
    throw new Error("planted");
  });
  const stop = region.onChange(({ kind }) => told.push(kind));
  expect((await session.hide("book")).outcome).toBe("applied");
  stop();
  await session.unhide("book");
  expect(told).toEqual(["hide"]);
});
