import { logId, nobleHasher, regionId } from "@tidemark/core";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { decodeBatches } from "@tidemark/wal";
import { expect, test } from "vitest";
import { clusterIdOf, FrameCodec } from "../src/index.ts";
import { shardId } from "@tidemark/core";
import { TestCluster } from "./cluster.ts";
import { copyDisk } from "./disk-image.ts";
import { ModelState } from "./model-state.ts";
import { tapped, type Tap } from "./tapped-transport.ts";

const numbered = (count: number, prefix = "w"): string[] =>
  Array.from({ length: count }, (_, at) => `${prefix}${at}`);

test("REP-1 scenario 12: nothing is shipped before its fsync, so no follower holds what its leader can forget", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", "kept");
  await cluster.timers.advance(20);
  cluster.disk("a").holdSyncs();
  const { replication } = cluster.node("a");
  let acknowledged = 0;
  for (const text of ["forgotten", "as well"]) {
    replication
      .append("sessions", 2, (writer) => writer.raw(new TextEncoder().encode(text)))
      .then(
        () => (acknowledged += 1),
        () => undefined,
      );
  }
  await cluster.timers.advance(1_500);
  expect(acknowledged).toBe(0);
  expect(cluster.node("b").state.texts()).toEqual(["kept"]);
  // The power goes: what was never synced is gone, and the new run is given other LSNs by a new epoch or the same by right.
  cluster.disk("a").crash(() => false);
  cluster.network.cut("a", "b");
  cluster.disks.set("a", await copyDisk(cluster.disk("a")));
  cluster.nodes.delete("a");
  void replication.close();
  const again = await cluster.open("a", { transport: cluster.network.join("a-again") });
  await cluster.timers.advance(50);
  await cluster.write("a", "later");
  await cluster.timers.advance(50);
  expect(again.state.texts()).toEqual(["kept", "later"]);
  expect(cluster.node("b").replication.vector().covers(again.replication.vector())).toBe(true);
});

test("REP-2 scenario 13: duplicated, reordered and lost frames change nothing but the time it takes", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"], {
    duplicateRate: 0.5,
    reorderRate: 0.5,
    lossRate: 0.1,
    latencyMs: 2,
    seed: 11,
  });
  await cluster.timers.advance(12_000);
  const expected: string[] = [];
  for (let round = 0; round < 20; round++) {
    for (const name of ["a", "b", "c"]) {
      const texts = numbered(3, `${name}${round}-`);
      expected.push(...texts);
      await cluster.write(name, ...texts);
    }
  }
  await cluster.timers.advance(60_000);
  for (const name of ["a", "b", "c"])
    expect(cluster.node(name).state.texts(), "seed 11").toEqual(expected.toSorted());
  const counts = ["a", "b", "c"].map((name) => cluster.node(name).replication.metrics());
  expect(counts.some(({ duplicatesHeld }) => duplicatesHeld > 0)).toBe(true);
  expect(counts.some(({ rangesAsked }) => rangesAsked > 0)).toBe(true);
});

test("REP-2 scenario 14: a lost frame holds the mark, is asked for, and what came after it is not lost", async () => {
  await using cluster = await TestCluster.of(["a"]);
  const tap: Tap = {};
  await cluster.stop("a");
  cluster.membership = {
    ...cluster.membership,
    regions: new Map([
      ["a", regionId(1)],
      ["b", regionId(2)],
    ]),
  };
  await cluster.open("a", { transport: tapped(cluster.network.join("a"), tap) });
  await cluster.open("b");
  await cluster.timers.advance(50);
  await cluster.write("a", "1");
  let lose = true;
  tap.publish = (subject) => !(lose && subject.startsWith("sessions."));
  await cluster.write("a", "2");
  await cluster.timers.advance(1);
  lose = false;
  await cluster.write("a", "3");
  await cluster.timers.settle();
  const { state, replication } = cluster.node("b");
  expect(state.texts()).toEqual(["1"]);
  const id = cluster.node("a").replication.ownLogs("sessions")[0]!;
  const log = replication.health().logs.find((entry) => entry.log.epoch === id.epoch)!;
  expect(log.gap).toEqual({ from: log.durableLsn + 1, to: log.durableLsn + 1 });
  await cluster.timers.advance(30);
  expect(state.texts()).toEqual(["1", "2", "3"]);
  expect(replication.metrics()).toMatchObject({ rangesAsked: 1, batchesAhead: 1 });
});

test("REP-13 scenario 40: frames of an unknown version are refused, counted and told; nothing they carried is lost", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.stop("b");
  const tap: Tap = {};
  const { replication, state } = await cluster.open("b", {
    transport: tapped(cluster.network.join("b"), tap),
  });
  await cluster.timers.advance(50);
  // As a member would send them that was upgraded first.
  tap.hear = (_, frame) => [frame.with(4, 9)];
  await cluster.write("a", "one");
  await cluster.timers.advance(50);
  expect(state.texts()).toEqual([]);
  const health = replication.health();
  expect(health.poison.byReason.get("version")).toBeGreaterThan(0);
  expect(health.state).toBe("degraded");
  expect(health.reasons).toContain(
    "Frames of sessions.1.0 are of a version this one does not know: upgrade this region",
  );
  // Upgraded: what was refused comes again.
  delete tap.hear;
  await cluster.write("a", "two");
  await cluster.timers.advance(5_000);
  expect(state.texts()).toEqual(["one", "two"]);
  expect(replication.health().reasons).toEqual([]);
});

test("WAL-4 REP-13 scenario 40: records of an unknown type are stored and passed on as they are, and harm nothing", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  cluster.network.cut("a", "c");
  const { replication } = cluster.node("a");
  const written = replication.append("sessions", 0x6e, (writer) => writer.raw(Uint8Array.of(1, 2, 3)));
  const { log, lsn } = await cluster.timers.until(written);
  await cluster.write("a", "after");
  await cluster.timers.advance(60_000);
  for (const name of ["a", "b", "c"]) {
    const records: unknown[] = [];
    const { wal, state } = cluster.node(name);
    for await (const batch of wal.log(log)!.read(lsn))
      for (const record of batch.records())
        if (record.lsn === lsn) records.push([record.type, ...record.body]);
    expect(records).toEqual([[0x6e, 1, 2, 3]]);
    expect(state.texts()).toContain("after");
  }
});

test.each([
  ["a follower, from the beginning of its logs", "b", false],
  ["a follower, from a checkpoint of that moment", "b", true],
  ["a writer, from a checkpoint of that moment", "a", true],
])(
  "REP-9 scenario 17: killed at any moment, effect and mark come back as one: %s",
  async (_, victim, checkpoint) => {
    for (let turns = 0; turns < 40; turns += turns < 24 ? 1 : 4) {
      await using cluster = await TestCluster.of(["a", "b"]);
      await cluster.write("a", "one");
      let acknowledged = false;
      cluster
        .node("a")
        .replication.append("sessions", 2, (writer) => writer.raw(new TextEncoder().encode("two")))
        .then(
          () => (acknowledged = true),
          () => undefined,
        );
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      // The process dies here, whatever it was doing; half of what was not synced survives.
      const { transport, replication, state } = cluster.node(victim);
      const [applied, bytes, wasAcknowledged] = [replication.vector(), state.snapshot(), acknowledged];
      await transport.close();
      cluster.disk(victim).crash();
      cluster.disks.set(victim, await copyDisk(cluster.disk(victim)));
      void replication.close();
      const restored = new ModelState();
      if (checkpoint) restored.restore(bytes);
      await cluster.open(victim, { state: restored, ...(checkpoint && { applied }) });
      await cluster.timers.advance(2_000);
      // The model refuses a hole or a repeat; health would show the log stopped.
      const texts = restored.texts();
      expect(texts, `after ${turns} turns`).toEqual(
        victim === "b" || wasAcknowledged || texts.length > 1 ? ["one", "two"] : ["one"],
      );
      const { logs } = cluster.node(victim).replication.health();
      expect(
        logs.filter((log) => log.state === "stopped"),
        `after ${turns} turns`,
      ).toEqual([]);
    }
  },
);

test("REP-9 a restored checkpoint is continued exactly where its vector says", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", "one");
  await cluster.timers.advance(20);
  const { state, replication } = cluster.node("b");
  const [applied, bytes] = [replication.vector(), state.snapshot()];
  await cluster.write("a", "two");
  await cluster.timers.advance(20);
  await cluster.stop("b");
  const restored = new ModelState();
  restored.restore(bytes);
  await cluster.open("b", { state: restored, applied });
  expect(restored.texts()).toEqual(["one", "two"]);
});

test("REP-4 scenario 22: a one-way partition that flaps every 50 ms converges once it is healed", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  let [frames, questions] = [0, 0];
  const tap: Tap = {
    publish: () => (frames += 1) > 0,
    request: (_, next) => {
      questions += 1;
      return next();
    },
  };
  for (const name of ["a", "b"])
    await cluster.open(name, { transport: tapped(cluster.network.join(name), tap) });
  await cluster.timers.advance(100);
  for (let flap = 0; flap < 20; flap++) {
    if (flap % 2 === 0) cluster.network.cut("a", "b", { oneWay: true });
    else cluster.network.heal("a", "b");
    await cluster.write("a", `a${flap}`);
    await cluster.write("b", `b${flap}`);
    await cluster.timers.advance(50);
  }
  // The last ones are lost with the link, and nothing comes after them that would show a hole.
  cluster.network.cut("a", "b");
  for (const name of ["a", "b"]) await cluster.write(name, `${name} last`);
  await cluster.timers.advance(50);
  cluster.network.heal();
  await cluster.timers.advance(200);
  const [a, b] = [cluster.node("a"), cluster.node("b")];
  expect(a.state.texts()).toHaveLength(42);
  expect(b.state.texts()).toEqual(a.state.texts());
  await cluster.timers.advance(1_000);
  const asked = b.replication.metrics().rangesAsked;
  [frames, questions] = [0, 0];
  // No ping-pong: once equal, nobody asks for anything, and what is said is said once a heartbeat.
  await cluster.timers.advance(10_000);
  expect(b.replication.metrics().rangesAsked).toBe(asked);
  expect(frames).toBeLessThanOrEqual(2 * 12);
  expect(questions).toBeLessThanOrEqual(2 * 12);
});

test("TRN-4 scenario 38: malformed frames are counted, kept as evidence in bounds, and stall nothing", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const stranger = cluster.network.join("stranger");
  const foreign = new FrameCodec({
    hasher: nobleHasher,
    clusterId: clusterIdOf(nobleHasher, new Uint8Array(16).fill(9)),
    region: regionId(1),
    shard: shardId(0),
  });
  const member = new FrameCodec({
    hasher: nobleHasher,
    clusterId: clusterIdOf(nobleHasher, cluster.membership.seed),
    region: regionId(1),
    shard: shardId(0),
  });
  const good = member.seal("sessions", new Uint8Array(64));
  const flipped = good.slice();
  flipped[30]! ^= 1;
  const frames = [
    new Uint8Array(0),
    new Uint8Array(40),
    flipped,
    good,
    foreign.seal("sessions", new Uint8Array(0)),
    member.seal("ack", new Uint8Array(300).fill(0xff)),
    member.seal("reply", new Uint8Array(3)),
  ];
  for (let round = 0; round < 4; round++)
    for (const frame of frames) await stranger.publish("sessions.1.0", frame);
  for (let round = 0; round < 4; round++)
    await stranger.publish("ack.1", member.seal("ack", new Uint8Array(300).fill(0xff)));
  await cluster.timers.advance(1);
  const { poison, state } = cluster.node("b").replication.health();
  expect(state).toBe("degraded");
  expect(poison.total).toBe(32);
  // Bytes that were changed are refused for that, before anything is made of them.
  expect(poison.byReason.get("tag")).toBe(4);
  expect(poison.quarantined).toEqual(["sessions.1.0"]);
  expect(poison.evidence.length).toBe(16);
  expect(poison.evidence.every(({ head }) => head.length <= 256)).toBe(true);
  await cluster.write("a", "still here");
  await cluster.timers.advance(20);
  expect(cluster.node("b").state.texts()).toEqual(["still here"]);
  expect(cluster.node("b").replication.health().poison.quarantined).toEqual([]);
});

test("TRN-4 a good frame of another region, or of another subject, is a splice and is refused", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  const caught: Uint8Array[] = [];
  const listener = await cluster.network.join("wire").subscribe("sessions.1.0");
  void (async () => {
    for await (const { frame } of listener) caught.push(frame);
  })();
  await cluster.write("a", "one");
  await cluster.timers.advance(20);
  const stranger = cluster.network.join("stranger");
  const before = cluster.node("b").replication.metrics().poisonFrames;
  await stranger.publish("sessions.3.0", caught[0]!);
  await stranger.publish("ack.1", caught[0]!);
  await cluster.timers.advance(1);
  expect(cluster.node("b").replication.metrics().poisonFrames).toBe(before + 2);
  expect(cluster.node("b").state.texts()).toEqual(["one"]);
  await listener.close();
});

test("REP-3 scenario 42: the transport is switched in mid-stream and nothing is doubled or lost", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", "one");
  await cluster.timers.advance(20);
  // The old one takes this, and never brings it.
  cluster.network.cut("a", "b");
  await cluster.write("a", "two");
  for (const name of ["a", "b"]) await cluster.stop(name);
  const other = createInProcessNetwork({ setTimer: (ms, run) => cluster.timers.setTimer(ms, run) });
  for (const name of ["a", "b"]) await cluster.open(name, { transport: other.join(name) });
  await cluster.timers.advance(50);
  // What the old one had under way comes although nothing new does: positions are the logs', not the transport's.
  for (const name of ["a", "b"]) expect(cluster.node(name).state.texts()).toEqual(["one", "two"]);
  await cluster.write("a", "three");
  await cluster.timers.advance(20);
  for (const name of ["a", "b"]) expect(cluster.node(name).state.texts()).toEqual(["one", "three", "two"]);
});

test("CORE-2 REP-4 scenario 43: over an older disk image the own tail is fetched back and a new epoch begins", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", "one");
  await cluster.timers.advance(20);
  const image = await copyDisk(cluster.disk("a"));
  const { log } = await cluster.writeOne("a", "two");
  await cluster.write("a", "three");
  await cluster.timers.advance(20);
  await cluster.stop("a");
  cluster.disks.set("a", image);
  await cluster.open("a");
  await cluster.timers.advance(50);
  expect(cluster.node("a").state.texts()).toEqual(["one", "three", "two"]);
  const written = await cluster.writeOne("a", "four");
  expect(written.log.epoch).toBeGreaterThan(log.epoch);
  await cluster.timers.advance(50);
  for (const name of ["a", "b"]) {
    expect(cluster.node(name).state.texts()).toEqual(["four", "one", "three", "two"]);
    expect(cluster.node(name).replication.health().forks).toEqual([]);
  }
});

test("CORE-2 scenario 43: a write that cannot wait for the peers opens a new epoch at once", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const before = await cluster.writeOne("a", "one");
  await cluster.timers.advance(20);
  const image = await copyDisk(cluster.disk("a"));
  await cluster.write("a", "two");
  await cluster.timers.advance(20);
  await cluster.stop("a");
  cluster.disks.set("a", image);
  cluster.network.cut("a", "b");
  await cluster.open("a");
  const after = await cluster.writeOne("a", "three");
  expect(after.log.epoch).toBeGreaterThan(before.log.epoch);
  cluster.network.heal();
  await cluster.timers.advance(100);
  for (const name of ["a", "b"]) expect(cluster.node(name).state.texts()).toEqual(["one", "three", "two"]);
});

test("CORE-2 a clean restart resumes the log when every other member confirmed its end", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const before = await cluster.writeOne("a", "one");
  await cluster.timers.advance(20);
  await cluster.stop("a");
  await cluster.open("a");
  await cluster.timers.until(cluster.node("a").replication.ready({ timeoutMs: 1_000 }));
  const after = await cluster.writeOne("a", "two");
  expect(after).toEqual({ log: before.log, lsn: before.lsn + 1 });
  await cluster.timers.advance(20);
  expect(cluster.node("b").state.texts()).toEqual(["one", "two"]);
});

test("CORE-2 scenario 50: the last acknowledged batch rots; it comes back from the peer, and its LSN is not given out again", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", "one");
  const last = await cluster.writeOne("a", "rots");
  await cluster.timers.advance(20);
  const { wal } = cluster.node("a");
  const log = wal.logs().find(({ id }) => id.region === 1)!;
  const batches = [...decodeBatches(await log.readBatches(1, last.lsn, 1 << 20), nobleHasher)];
  const offset = batches.slice(0, -1).reduce((sum, { bytes }) => sum + bytes.length, 0) + 70;
  const { transport, replication } = cluster.node("a");
  await transport.close();
  cluster.disk("a").crash(() => true);
  const [name] = (await cluster.disk("a").list("data/sessions")).filter((file) => file.startsWith("r00001"));
  cluster.disk("a").flipBit(`data/sessions/${name}`, offset, 3);
  cluster.disks.set("a", await copyDisk(cluster.disk("a")));
  void replication.close();
  await cluster.open("a");
  await cluster.timers.advance(100);
  const next = await cluster.writeOne("a", "next");
  expect(next.log.epoch).toBeGreaterThan(last.log.epoch);
  await cluster.timers.advance(100);
  expect(cluster.node("b").state.texts()).toEqual(["next", "one", "rots"]);
  const healthy = cluster.node("a").wal.log(log.id)!.failed === undefined;
  // Below the watermark it is corruption, refused with its place; else the peer's bytes are stored again.
  if (healthy) expect(cluster.node("a").state.texts()).toEqual(["next", "one", "rots"]);
  expect(cluster.node("a").replication.health().forks).toEqual([]);
});

test("REP-2 LOG_FORKED: one region run twice from one image is stopped as evidence, the other logs go on", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  await cluster.write("a", "one");
  await cluster.timers.advance(20);
  await cluster.stop("a");
  const image = await copyDisk(cluster.disk("a"));
  await cluster.open("a");
  await cluster.timers.advance(50);
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  await cluster.write("a", "left");
  await cluster.timers.advance(50);
  cluster.network.cut("a", "b");
  // The twin asks nobody: it is wired so that it believes it is alone and goes on with the same LSNs.
  const [first] = cluster
    .node("a")
    .wal.logs()
    .filter(({ id }) => id.region === 1);
  const { membership } = cluster;
  await cluster.stop("a");
  cluster.disks.set("a", image);
  cluster.membership = { ...membership, regions: new Map([["a", regionId(1)]]) };
  await cluster.open("a", { transport: cluster.network.join("twin") });
  await cluster.write("a", "right");
  await cluster.stop("a");
  cluster.membership = membership;
  cluster.network.cut("a", "b");
  await cluster.open("a");
  cluster.network.heal("a", "c");
  await cluster.timers.advance(100);
  expect(cluster.node("c").state.texts()).toEqual(["one", "right"]);
  cluster.network.heal();
  await cluster.timers.advance(100);
  const { forks, logs } = cluster.node("b").replication.health();
  expect(forks).toHaveLength(1);
  expect(forks[0]).toMatchObject({ log: first!.id });
  expect(forks[0]!.held).not.toEqual(forks[0]!.offered);
  expect(logs.filter(({ reason }) => reason === "forked")).toHaveLength(1);
  await cluster.write("c", "others go on");
  await cluster.write("a", "in a new epoch");
  await cluster.timers.advance(100);
  expect(cluster.node("b").state.texts()).toEqual(["in a new epoch", "left", "one", "others go on"]);
  expect(logId(1, 0, first!.id.epoch, "sessions")).toEqual(first!.id);
});

test("REP-2 scenario 19: a broker trims what a follower has not read: the gap is noticed and filled from members' logs", async () => {
  await using cluster = await TestCluster.of(["a"]);
  await cluster.stop("a");
  cluster.membership = {
    ...cluster.membership,
    regions: new Map(["a", "b", "c"].map((name, at) => [name, regionId(at + 1)])),
  };
  const tap: Tap = {};
  await cluster.open("a");
  await cluster.open("b", { transport: tapped(cluster.network.join("b"), tap) });
  await cluster.open("c");
  await cluster.timers.advance(50);
  await cluster.write("a", "read");
  // The stream was cut below what the follower has read next: it hears only what came after.
  tap.hear = (subject, frame) => (subject.startsWith("sessions.") ? [] : [frame]);
  for (const text of numbered(30, "trimmed")) await cluster.writeOne("a", text);
  await cluster.timers.settle();
  delete tap.hear;
  await cluster.write("a", "after");
  await cluster.timers.advance(2_000);
  expect(cluster.node("b").state.texts()).toEqual(cluster.node("a").state.texts());
  expect(cluster.node("b").state.texts()).toHaveLength(32);
});
