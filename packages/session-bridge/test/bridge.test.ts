import { ReplicationError } from "@tidemark/replication";
import { expect, test } from "vitest";
import { ATTEMPTS_MAX, RECORD_SESSION_OP } from "../src/index.ts";
import { BridgeCluster, START } from "./cluster.ts";
import type { Tap } from "./cluster.ts";

const ANNOTATE = { kind: "annotate", text: "note" } as const;

test("BRG-1 a write goes out on the sessions channel at once, in a small frame, and waits for no timer", async () => {
  const cluster = new BridgeCluster(["a", "b"]);
  await using _ = cluster;
  const published: [string, number][] = [];
  await cluster.open("a", { published: (subject, frame) => published.push([subject, frame.length]) });
  await cluster.open("b");
  await cluster.node("b").replication.ready({ timeoutMs: 5_000 });
  for (const write of [1, 2, 3]) {
    await cluster.node("a").bridge.submit("s", write === 1 ? START : ANNOTATE);
    await cluster.folded("b", write);
  }
  const frames = published.filter(([subject]) => subject.startsWith("sessions."));
  // The log's first record travels as well.
  expect(frames.length).toBeGreaterThanOrEqual(3);
  expect(new Set(frames.map(([subject]) => subject))).toEqual(new Set(["sessions.1.0"]));
  for (const [, bytes] of frames) expect(bytes).toBeLessThan(512);
  expect(published.filter(([subject]) => subject.startsWith("signals."))).toEqual([]);
  const { wal } = cluster.node("b");
  expect(wal.logs().map(({ id }) => id.channel)).toEqual(["sessions"]);
});

test("BRG-1 writes that are waiting share a frame", async () => {
  const cluster = new BridgeCluster(["a", "b"]);
  await using _ = cluster;
  let frames = 0;
  await cluster.open("a", {
    published: (subject) => void (frames += subject.startsWith("sessions.") ? 1 : 0),
  });
  await cluster.open("b");
  await cluster.node("b").replication.ready({ timeoutMs: 5_000 });
  await cluster.node("a").bridge.submit("s", START);
  await cluster.folded("b", 1);
  frames = 0;
  const { bridge } = cluster.node("a");
  await Promise.all(Array.from({ length: 500 }, () => bridge.submit("s", ANNOTATE)));
  await cluster.folded("b", 501);
  expect(frames).toBeLessThan(20);
});

test("BRG-2 an operation relayed into a second log folds once everywhere, also after the link heals", async () => {
  await using cluster = await BridgeCluster.of(["a", "b", "c"], { timers: true });
  const [a, b, c] = ["a", "b", "c"].map((name) => cluster.node(name));
  await a!.bridge.submit("s", START);
  await Promise.all(["b", "c"].map((name) => cluster.folded(name, 1)));
  for (const [from, to] of [
    ["a", "b"],
    ["a", "c"],
    ["b", "c"],
  ] as const)
    cluster.network.cut(from, to);
  for (let count = 0; count < 3; count++) await a!.bridge.submit("s", ANNOTATE);
  const ops = a!.fold
    .unstableOps("ada")
    .ops.map(({ bytes }) => bytes)
    .slice(-3);
  for (const { bridge } of [b!, c!]) {
    expect(bridge.unknownOf(ops)).toHaveLength(3);
    await bridge.relay(ops);
    expect(bridge.unknownOf(ops)).toEqual([]);
    await bridge.relay(ops);
  }
  for (const { wal, replication } of [b!, c!])
    expect(wal.log(replication.ownLogs("sessions")[0]!)!.durable.lsn).toBe(4);
  cluster.network.heal();
  for (const { replication } of [a!, b!, c!])
    expect(await replication.synced({ timeoutMs: 10_000 })).toBe(true);
  for (const { fold, replication } of [a!, b!, c!]) {
    expect(fold.session("s")!.annotations).toHaveLength(3);
    expect(fold.counts).toMatchObject({ effects: 4, duplicates: 6, malformed: 0 });
    expect(fold.session("s")!.conflicts.forks).toEqual([]);
    expect(replication.certificate()).toEqual(a!.replication.certificate());
  }
});

test("BRG-3 a frame has kind 0x02, source region and shard, and a tag: whatever is changed in it, it is dropped", async () => {
  const cluster = new BridgeCluster(["a", "b"]);
  await using _ = cluster;
  const tap: Tap = {};
  const frames: Uint8Array[] = [];
  await cluster.open("a", {
    published: (subject, frame) => void (subject === "sessions.1.0" && frames.push(frame.slice())),
  });
  const b = await cluster.open("b", tap);
  await b.replication.ready({ timeoutMs: 5_000 });
  await cluster.node("a").bridge.submit("s", START);
  await cluster.folded("b", 1);
  const frame = frames.at(-1)!;
  const view = new DataView(frame.buffer);
  expect(new TextDecoder().decode(frame.subarray(0, 4))).toBe("TMFR");
  expect([frame[5], view.getUint16(16, true), view.getUint16(18, true)]).toEqual([0x02, 1, 0]);
  expect(view.getUint32(20, true)).toBe(frame.length - 24 - 16);

  // The same frame again with each byte of it changed in turn, heard on the right subject.
  let heard = 0;
  let at = 0;
  const bytes = frame.length;
  const done = new Promise<void>((resolve) => {
    tap.hear = (subject, given) => {
      if (subject !== "sessions.1.0") return given;
      const changed = frame.slice();
      changed[at] = changed[at]! ^ 0x01;
      at += 1;
      if (++heard === bytes) resolve();
      return changed;
    };
  });
  const before = b.replication.vector();
  const wire = cluster.network.join("wire");
  for (let count = 0; count < bytes; count++) {
    await wire.publish("sessions.1.0", frame);
    // So that the receiver's bounded queue never fills.
    while (heard <= count) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  await done;
  tap.hear = (_, given) => given;
  await cluster.node("a").bridge.submit("s", ANNOTATE);
  await cluster.folded("b", 2);
  expect(b.replication.metrics().poisonFrames).toBe(bytes);
  expect(b.replication.health().forks).toEqual([]);
  expect(b.fold.counts.malformed).toBe(0);
  expect(b.replication.vector().entries()[0]!.lsn).toBe(before.entries()[0]!.lsn + 1);
});

test("BRG-4 progress tells how far a session was shipped and acknowledged, region by region", async () => {
  await using cluster = await BridgeCluster.of(["a", "b", "c"], { timers: true });
  const [a, b, c] = ["a", "b", "c"].map((name) => cluster.node(name));
  await a!.bridge.submit("s", START);
  expect(await a!.replication.synced({ timeoutMs: 10_000 })).toBe(true);
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  const written = await a!.bridge.submit("s", ANNOTATE);
  const { log, lsn } = written.outcome === "applied" ? written.written! : (undefined as never);
  expect(await a!.replication.acknowledged(log, lsn, { remote: 1 }, { timeoutMs: 10_000 })).toBe(true);
  expect(a!.bridge.progress("s", b!.id)).toEqual([{ log, lsn, shippedLsn: lsn, acknowledgedLsn: lsn }]);
  expect(a!.bridge.progress("s", c!.id)).toEqual([{ log, lsn, shippedLsn: lsn, acknowledgedLsn: lsn - 1 }]);
  // What another region ships is told without a shipped position; what is unknown has none.
  expect(b!.bridge.progress("s", c!.id)).toEqual([{ log, lsn, acknowledgedLsn: lsn - 1 }]);
  expect(a!.bridge.progress("t", b!.id)).toEqual([]);
  cluster.network.heal();
  expect(await a!.replication.synced({ timeoutMs: 10_000 })).toBe(true);
  expect(a!.bridge.progress("s", c!.id)[0]!.acknowledgedLsn).toBe(lsn);
});

test("SES-1 a write whose log fails is judged again in the next epoch, and its numbers begin anew there", async () => {
  await using cluster = await BridgeCluster.of(["a"]);
  const { bridge, fold, disk } = cluster.node("a");
  await bridge.submit("s", START);
  disk.failSync({ path: ".wal" });
  const results = await Promise.all([1, 2, 3].map(() => bridge.submit("s", ANNOTATE)));
  expect(results.map(({ outcome }) => outcome)).toEqual(["applied", "applied", "applied"]);
  expect(fold.session("s")!.annotations).toHaveLength(3);
  const places = results.map((result) => (result.outcome === "refused" ? undefined : result.position));
  expect(new Set(places.map((place) => place!.lane)).size).toBe(1);
  expect(places.map((place) => place!.seqno)).toEqual([1, 2, 3]);
  expect(fold.session("s")!.conflicts.forks).toEqual([]);
});

test("WAL-7 a disk that fails again and again ends the attempts, for the writer and for who shares its outcome", async () => {
  await using cluster = await BridgeCluster.of(["a"]);
  const { bridge, fold, disk } = cluster.node("a");
  await bridge.submit("s", START);
  for (let count = 0; count < ATTEMPTS_MAX * 8; count++) disk.failSync({ path: ".wal" });
  const writes = [1, 2].map(() =>
    bridge.submit("s", ANNOTATE, { operationId: "once" }).catch((error: unknown) => error),
  );
  for (const error of await Promise.all(writes)) expect(error).toBeInstanceOf(Error);
  disk.kill();
  expect(fold.session("s")!.annotations).toEqual([]);
});

test("SES-5 an abort ends the waiting of one, for a duplicate as well, and not the write", async () => {
  await using cluster = await BridgeCluster.of(["a"]);
  const { bridge, fold, disk } = cluster.node("a");
  await bridge.submit("s", START);
  const release = disk.holdSyncs();
  const aborted = new AbortController();
  const { signal } = aborted;
  const kept = [1, 2].map((each) => bridge.submit("s", ANNOTATE, { operationId: `kept-${each}` }));
  const given = [1, 2].map(() => bridge.submit("s", ANNOTATE, { operationId: "given-up", signal }));
  aborted.abort(new Error("enough"));
  for (const write of given) await expect(write).rejects.toThrow("enough");
  await expect(bridge.submit("s", ANNOTATE, { signal })).rejects.toThrow("enough");
  release();
  for (const write of kept) expect((await write).outcome).toBe("applied");
  expect((await bridge.submit("s", ANNOTATE, { operationId: "given-up" })).outcome).toBe("duplicate");
  expect(fold.session("s")!.annotations).toHaveLength(3);
  expect(bridge.duplicates).toBe(1);
});

test("SES-14 relay refuses what is no operation and appends nothing of it", async () => {
  await using cluster = await BridgeCluster.of(["a"]);
  const { bridge, wal, replication } = cluster.node("a");
  await bridge.submit("s", START);
  const before = wal.log(replication.ownLogs("sessions")[0]!)!.durable.lsn;
  await expect(bridge.relay([new Uint8Array(20)])).rejects.toMatchObject({ code: "DECODE_FAILED" });
  await expect(bridge.relay([], { signal: AbortSignal.abort(new Error("enough")) })).resolves.toBeUndefined();
  expect(wal.log(replication.ownLogs("sessions")[0]!)!.durable.lsn).toBe(before);
});

test("CORE-13 a record that is no operation of ours is passed over and counted, and the next one folds", async () => {
  await using cluster = await BridgeCluster.of(["a", "b"]);
  const { bridge, replication, fold } = cluster.node("a");
  await bridge.submit("s", START);
  await replication.append("sessions", RECORD_SESSION_OP, (writer) =>
    writer.raw(new Uint8Array(20).fill(0xee)),
  );
  await replication.append("sessions", 0x90, (writer) => writer.raw(Uint8Array.of(1)));
  await bridge.submit("s", ANNOTATE);
  await cluster.folded("b", 2);
  for (const each of [fold, cluster.node("b").fold])
    expect(each.counts).toMatchObject({ effects: 2, malformed: 1 });
});

test("SES-13 a write behind the close of its replication is refused with its code", async () => {
  await using cluster = await BridgeCluster.of(["a"]);
  const { bridge, replication } = cluster.node("a");
  await bridge.submit("s", START);
  await replication.close();
  const refused = await bridge.submit("s", ANNOTATE).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ReplicationError);
  expect(refused).toMatchObject({ code: "REPLICATION_CLOSED" });
});
