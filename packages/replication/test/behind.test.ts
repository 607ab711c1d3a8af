import { expect, test } from "vitest";
import { TestCluster } from "./cluster.ts";
import { tapped, type Tap } from "./tapped-transport.ts";

const RECORD = "x".repeat(60);

/** Writes at full speed: all are handed over at once, and whoever has no room makes its caller wait. */
function writeAll(cluster: TestCluster, name: string, from: number, count: number): Promise<unknown> {
  const { replication } = cluster.node(name);
  return Promise.all(
    Array.from({ length: count }, (_, at) =>
      replication.append("sessions", 2, (writer) => {
        writer.raw(new TextEncoder().encode(`${`${from + at}`.padStart(8, "0")}${RECORD}`));
      }),
    ),
  );
}

test("scenario 31: a follower far behind a writer at full speed: every bound holds, nothing is dropped, and lag goes to 0", async () => {
  const BEFORE = 10_000;
  const MEANWHILE = 5_000;
  const frameBytesMax = 16 * 1024;
  const limits = { shipWindowBytes: 64 * 1024, receiveAheadBytes: 32 * 1024 };
  const cluster = new TestCluster(["a", "b"], { frameBytesMax });
  await using _ = cluster;
  let publishedBytes = 0;
  const tap: Tap = {
    publish: (subject, frame) => {
      if (subject.startsWith("sessions")) publishedBytes += frame.length;
      return true;
    },
  };
  const queueRecordsMax = 512;
  const a = await cluster.open("a", {
    limits,
    queueRecordsMax,
    batchBytesMax: 12 * 1024,
    transport: tapped(cluster.network.join("a"), tap),
  });
  // The writer is held up by its own disk, and by nothing else: whoever finds the queue full waits.
  await writeAll(cluster, "a", 0, 1);
  const release = cluster.disk("a").holdSyncs();
  const writing = writeAll(cluster, "a", 1, BEFORE - 1);
  await cluster.timers.settle();
  const { queue, durable } = a.wal.logs()[0]!;
  release();
  expect(queue.records).toBeGreaterThan(queueRecordsMax / 2);
  expect(queue.records).toBeLessThanOrEqual(queueRecordsMax);
  expect(durable.lsn).toBeLessThan(BEFORE);
  await cluster.timers.until(writing);
  // What was published to nobody is the window, and a frame under way.
  expect(publishedBytes).toBeLessThanOrEqual(limits.shipWindowBytes + 2 * frameBytesMax);

  const b = await cluster.open("b", { limits });
  const more = writeAll(cluster, "a", BEFORE, MEANWHILE);
  const [log] = a.wal.logs();
  let steps = 0;
  for (; b.replication.vector().lsnOf(log!.id) <= BEFORE + MEANWHILE; steps++) {
    expect(steps).toBeLessThan(2_000);
    await cluster.timers.advance(5);
    expect(b.replication.metrics().receiveAheadBytes).toBeLessThanOrEqual(limits.receiveAheadBytes);
    expect(log!.queue.records).toBeLessThanOrEqual(queueRecordsMax);
  }
  await more;
  // In order and once each: the state counts on it, and throws for a hole.
  const expected = Array.from(
    { length: BEFORE + MEANWHILE },
    (_, at) => `${`${at}`.padStart(8, "0")}${RECORD}`,
  );
  expect(b.state.texts()).toEqual(expected);
  // It caught up by ranges of a frame each, and by frames once it was near: no byte was fetched twice as often.
  const bytes = log!.durable.lsn * 75;
  const { rangesAsked } = b.replication.metrics();
  expect(rangesAsked * frameBytesMax).toBeLessThanOrEqual(2 * bytes);
  await cluster.timers.advance(1_500);
  const [lag] = a.replication.peers();
  expect(lag).toMatchObject({ name: "b", lagRecords: 0, lagSeconds: 0 });
  expect(a.replication.frontier().lsnOf(log!.id)).toBe(log!.durable.lsn);
}, 20_000);

test("scenario 32: a gray follower, 5 s a sync and a slow link: the others are as quick as ever, and its lag is visible", async () => {
  const cluster = new TestCluster(["a", "b", "c"], { frameBytesMax: 4_096 });
  await using _ = cluster;
  const limits = { shipWindowBytes: 16 * 1024 };
  for (const name of ["a", "b", "c"]) await cluster.open(name, { limits });
  await cluster.timers.advance(100);
  // Each sync of its disk takes up to 5 s, each frame to it or from it 2 s.
  let release = cluster.disk("c").holdSyncs();
  const tick = (): void => {
    release();
    release = cluster.disk("c").holdSyncs();
    stop = cluster.timers.setTimer(5_000, tick);
  };
  let stop = cluster.timers.setTimer(5_000, tick);
  for (const name of ["a", "b"]) cluster.network.slow(name, "c", 2_000);
  const [a, b] = [cluster.node("a").replication, cluster.node("b").replication];
  const took: number[] = [];
  for (let at = 0; at < 200; at++) {
    const before = cluster.timers.now();
    const { log, lsn } = await cluster.writeOne("a", `${at}`.padStart(1_000, "."));
    const confirmed = await cluster.timers.until(
      a.acknowledged(log, lsn, { remote: 1 }, { timeoutMs: 5_000 }),
    );
    expect(confirmed).toBe(true);
    took.push(cluster.timers.now() - before);
    await cluster.timers.advance(50);
  }
  // The same as with everybody well: an ack is 5 ms, and time moves in steps of 5.
  expect(Math.max(...took)).toBeLessThanOrEqual(15);
  expect(cluster.node("b").state.texts()).toHaveLength(200);
  expect(b.metrics()).toMatchObject({ rangesAsked: 0, batchesDropped: 0 });
  const gray = a.peers().find(({ name }) => name === "c")!;
  expect(gray.lagRecords).toBeGreaterThan(20);
  expect(gray.lagSeconds).toBeGreaterThan(4);
  expect(gray.blocksStabilitySinceMs).toBeGreaterThan(0);
  expect(a.peers().find(({ name }) => name === "b")!.lagRecords).toBe(0);
  // It keeps no more than its bound, and gets there in its own time.
  for (let step = 0; cluster.node("c").state.texts().length < 200; step++) {
    expect(step).toBeLessThan(60);
    await cluster.timers.advance(5_000);
  }
  stop();
  release();
  cluster.network.heal();
  await cluster.timers.advance(5_000);
  expect(a.peers().find(({ name }) => name === "c")).toMatchObject({ lagRecords: 0, state: "live" });
}, 20_000);
