import { nobleHasher, regionId } from "@tidemark/core";
import { writeCheckpoint } from "@tidemark/wal";
import { expect, test } from "vitest";
import { TestCluster, type NodeOptions } from "./cluster.ts";
import { copyDisk } from "./disk-image.ts";
import { tapped, type Tap } from "./tapped-transport.ts";

const numbered = (count: number, prefix = "w"): string[] =>
  Array.from({ length: count }, (_, at) => `${prefix}${at} ${"x".repeat(100)}`);
const KEEPS: NodeOptions = { keeps: true, segmentBytes: 4_096, limits: { certificateMs: 0 } };

/** Writes a checkpoint of a region, and removes of its logs what lies below their last segment. */
async function trim(cluster: TestCluster, name: string, options: NodeOptions = KEEPS): Promise<void> {
  const snapshot = await cluster.node(name).replication.snapshot();
  const disk = cluster.disk(name);
  await writeCheckpoint(disk, "data", nobleHasher, snapshot);
  await cluster.stop(name);
  const segments = (await disk.list("data/sessions")).filter((file) => file.endsWith(".wal")).toSorted();
  for (const [index, segment] of segments.entries()) {
    const log = segment.slice(0, 26);
    if (segments.slice(index + 1).some((other) => other.startsWith(log)))
      await disk.unlink(`data/sessions/${segment}`);
  }
  await disk.syncDir("data/sessions");
  await cluster.open(name, options);
  await cluster.timers.advance(50);
}

/** Two members that have dropped the beginnings of their logs. */
async function trimmedPair(frameBytesMax: number = 1024 * 1024): Promise<TestCluster> {
  const cluster = new TestCluster(["a", "b", "c"], { frameBytesMax });
  await cluster.open("a", KEEPS);
  await cluster.open("b", KEEPS);
  await cluster.timers.advance(50);
  for (let round = 0; round < 10; round++) {
    await cluster.write("a", ...numbered(10, `a${round}-`));
    await cluster.write("b", ...numbered(10, `b${round}-`));
  }
  await cluster.timers.advance(200);
  await trim(cluster, "a");
  await trim(cluster, "b");
  await cluster.timers.advance(2_000);
  return cluster;
}

/** Kills a region at once; what was not synced is gone as well, if the power goes with it. */
async function kill(cluster: TestCluster, name: string, power = true): Promise<void> {
  const { transport, replication } = cluster.node(name);
  await transport.close();
  if (power) cluster.disk(name).crash(() => false);
  cluster.disks.set(name, await copyDisk(cluster.disk(name)));
  void replication.close();
  cluster.nodes.delete(name);
}

test("REP-12 a new directory gets a snapshot where members no longer hold the beginning, then the tail", async () => {
  await using cluster = await trimmedPair();
  const c = await cluster.open("c", KEEPS);
  expect(c.replication.joining).toBe(true);
  await cluster.timers.advance(5_000);
  expect(c.replication.joining).toBe(false);
  expect(c.state.texts()).toEqual(cluster.node("a").state.texts());
  expect(c.state.texts()).toHaveLength(200);
  expect(c.wal.logs().every(({ first }) => first > 1)).toBe(true);
  await cluster.write("a", "after");
  await cluster.write("c", "mine");
  await cluster.timers.advance(2_000);
  for (const name of ["a", "b", "c"]) expect(cluster.node(name).state.texts()).toHaveLength(202);
  expect((await cluster.timers.until(c.replication.requestCertificate(regionId(1)))).verdict).toBe("equal");
  // What it holds now is what the others hold: it restarts without asking for anything again.
  await cluster.stop("c");
  const again = await cluster.open("c", KEEPS);
  expect(again.state.texts()).toHaveLength(202);
  await cluster.timers.advance(2_000);
  expect(again.replication.health().state).toBe("ready");
  expect(again.replication.metrics().snapshotsRestored).toBe(0);
});

test("REP-12 a snapshot is served while writes go on; a cut link and a restarted receiver go on where they were", async () => {
  await using cluster = await trimmedPair(4_096);
  const tap: Tap = {};
  let [pieces, bytes] = [0, 0];
  let cutAfter = 3;
  tap.request = async (_, next) => {
    if (pieces >= cutAfter) throw new Error("The link is cut");
    const reply = await next();
    if (reply.length > 3_000) {
      pieces += 1;
      bytes += reply.length;
    }
    return reply;
  };
  const open = (): Promise<unknown> =>
    cluster.open("c", { ...KEEPS, joining: true, transport: tapped(cluster.network.join("c"), tap) });
  await open();
  await cluster.timers.advance(500);
  expect(pieces).toBe(3);
  await cluster.write("a", ...numbered(3, "during"));
  cutAfter = 5;
  await cluster.timers.advance(2_500);
  expect(pieces).toBe(5);
  await kill(cluster, "c", false);
  cutAfter = 1_000;
  await open();
  await cluster.timers.advance(5_000);
  const { state, replication } = cluster.node("c");
  expect(state.texts()).toEqual(cluster.node("a").state.texts());
  expect(state.texts()).toHaveLength(203);
  const whole = (await cluster.node("a").replication.snapshot()).body.length;
  expect(pieces).toBeGreaterThan(5);
  // Nothing was fetched twice, but for the tail.
  expect(bytes).toBeLessThan(whole * 1.3);
  const served = ["a", "b"].map((name) => cluster.node(name).replication.metrics().snapshotsTaken);
  expect(served.toSorted()).toEqual([0, 1]);
  expect(replication.metrics().snapshotsRestored).toBe(1);
});

test("REP-12 a provider that dropped its snapshot begins again with another one", async () => {
  await using cluster = await trimmedPair(4_096);
  const tap: Tap = {};
  let pieces = 0;
  let cutAfter = 3;
  tap.request = async (_, next) => {
    if (pieces >= cutAfter) throw new Error("The link is cut");
    const reply = await next();
    if (reply.length > 3_000) pieces += 1;
    return reply;
  };
  const c = await cluster.open("c", { ...KEEPS, transport: tapped(cluster.network.join("c"), tap) });
  await cluster.timers.advance(500);
  expect(pieces).toBe(3);
  await cluster.timers.advance(40_000);
  await cluster.write("a", "later");
  cutAfter = 1_000;
  await cluster.timers.advance(10_000);
  expect(c.state.texts()).toHaveLength(201);
  const taken = ["a", "b"].map((name) => cluster.node(name).replication.metrics().snapshotsTaken);
  expect(Math.max(...taken)).toBe(2);
});

test("REP-12 a member takes a state on demand: it replaces, what is stored above it is replayed, nothing is merged", async () => {
  await using cluster = await TestCluster.of([]);
  cluster.membership = {
    ...cluster.membership,
    regions: new Map([
      ["a", regionId(1)],
      ["b", regionId(2)],
    ]),
  };
  await cluster.open("a", KEEPS);
  await cluster.open("b", KEEPS);
  await cluster.timers.advance(50);
  await cluster.write("a", "of a");
  await cluster.write("b", "of b");
  await cluster.timers.advance(100);
  const { state, replication } = cluster.node("b");
  // Something that no log says: it must be gone afterwards.
  state.applied.set("nowhere", [{ lsn: 1, text: "derived wrongly" }]);
  expect(state.texts()).toEqual(["derived wrongly", "of a", "of b"]);
  cluster.network.cut("a", "b");
  await cluster.write("b", "unshipped");
  cluster.network.heal("a", "b");
  const restoring = replication.restoreFromPeer();
  const covered = await cluster.timers.until(restoring);
  expect(replication.vector().covers(covered)).toBe(true);
  expect(state.texts()).toEqual(["of a", "of b", "unshipped"]);
  expect(replication.joining).toBe(false);
  await cluster.write("b", "goes on");
  await cluster.timers.advance(200);
  expect(cluster.node("a").state.texts()).toEqual(["goes on", "of a", "of b", "unshipped"]);
  expect(replication.health().state).toBe("ready");
});

test("REP-12 while the state is replaced nothing is written, and nobody to ask is a typed refusal", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.stop("b");
  await expect(cluster.node("a").replication.restoreFromPeer()).rejects.toMatchObject({
    code: "SNAPSHOT_UNAVAILABLE",
    retryable: true,
  });
  expect(cluster.node("a").replication.joining).toBe(false);
  await cluster.open("b", KEEPS);
  await cluster.timers.advance(50);
  await cluster.write("a", "one");
  const { replication } = cluster.node("b");
  const restoring = replication.restoreFromPeer();
  const refusals = new Set<string>();
  for (let turn = 0; turn < 400 && !refusals.has("done"); turn++) {
    await Promise.resolve();
    if (!replication.joining) continue;
    await replication
      .append("sessions", 2, () => {})
      .catch((error: { code: string }) => refusals.add(error.code));
    refusals.add("done");
  }
  await cluster.timers.until(restoring);
  expect([...refusals]).toEqual(["NOT_READY", "done"]);
  await cluster.write("b", "two");
  await cluster.timers.advance(100);
  expect(cluster.node("a").state.texts()).toEqual(["one", "two"]);
});

test("REP-12 killed at any moment of a restore, a region starts rightly", async () => {
  for (let turns = 0; turns < 40; turns += 3) {
    await using cluster = await trimmedPair();
    await cluster.open("c", KEEPS);
    for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    if (turns % 2 === 0) await cluster.timers.advance(turns * 10);
    await kill(cluster, "c");
    const again = await cluster.open("c", { ...KEEPS, joining: true });
    await cluster.timers.advance(10_000);
    expect(again.state.texts(), `${turns} turns`).toEqual(cluster.node("a").state.texts());
    expect(again.replication.joining).toBe(false);
  }
});

test("REP-5 while the state is replaced, a region says that it holds what its logs hold, and no less", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", ...numbered(50));
  await cluster.timers.advance(100);
  const { replication, wal, state } = cluster.node("b");
  const before = wal.vector();
  let ready: Promise<void> | undefined;
  let go: () => void = () => undefined;
  ready = new Promise((resolve) => (go = resolve));
  Object.assign(state, { prepare: () => ready });
  const rebuilding = replication.rebuild();
  // Heartbeats go out meanwhile. Less than before, and an owner could take it that a number of its own is free.
  await cluster.timers.advance(3_000);
  expect(state.texts()).toEqual([]);
  expect(replication.joining).toBe(true);
  const seen = cluster.node("a").replication;
  for (const { log, lsn } of before.entries()) expect(seen.acknowledgedLsn(regionId(2), log)).toBe(lsn);
  ready = undefined;
  go();
  await cluster.timers.until(rebuilding);
  expect(state.texts()).toEqual(cluster.node("a").state.texts());
});
