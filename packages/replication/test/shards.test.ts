import { formatLogId, shardId } from "@tidemark/core";
import { expect, test } from "vitest";
import { nextMembership } from "../src/index.ts";
import { TestCluster } from "./cluster.ts";

const TEXT = new TextEncoder();

async function sharded(shards: number): Promise<TestCluster> {
  const cluster = new TestCluster(["a", "b"]);
  cluster.membership = { ...cluster.membership, shards };
  for (const name of ["a", "b"]) await cluster.open(name);
  await cluster.timers.advance(50);
  return cluster;
}

function write(cluster: TestCluster, name: string, shard: number, text: string) {
  const { replication } = cluster.node(name);
  return cluster.timers.until(
    replication.append("sessions", 2, (writer) => writer.raw(TEXT.encode(text)), { shard: shardId(shard) }),
  );
}

test("REP-8 each shard has a log of its own, which travels under its own subject and becomes stable", async () => {
  await using cluster = await sharded(3);
  const written = [];
  for (const shard of [2, 0, 1, 2]) written.push(await write(cluster, "a", shard, `of ${shard}`));
  await cluster.timers.advance(3_000);

  const a = cluster.node("a");
  const b = cluster.node("b");
  expect(written.map(({ log, lsn }) => [log.shard, lsn])).toEqual([
    [2, 2],
    [0, 2],
    [1, 2],
    [2, 3],
  ]);
  expect(a.replication.ownLogs("sessions").map(formatLogId).toSorted()).toEqual(
    [...new Set(written.map(({ log }) => formatLogId(log)))].toSorted(),
  );
  for (const { log, lsn } of written) {
    expect(b.replication.vector().lsnOf(log)).toBeGreaterThanOrEqual(lsn);
    expect(b.replication.frontier().covers(log, lsn)).toBe(true);
  }
  expect(b.replication.certificate().digest).toEqual(a.replication.certificate().digest);
  // Frames, not questions, brought them: each shard's subject is heard.
  expect(b.replication.metrics().rangesAsked).toBe(0);
});

test("REP-8 no two logs of a region share an epoch, so a position names its log without the shard", async () => {
  await using cluster = await sharded(4);
  const written = await Promise.all([3, 1, 0, 2].map((shard) => write(cluster, "a", shard, `${shard}`)));
  expect(new Set(written.map(({ log }) => log.epoch)).size).toBe(4);

  const need = written.map(({ log: { region, epoch, channel }, lsn }) => ({ region, epoch, channel, lsn }));
  const { replication } = cluster.node("b");
  expect(await cluster.timers.until(replication.covered(need, { timeoutMs: 1_000 }))).toBe("covered");
  // One beyond the end of a log that its own region is writing can never come.
  const [first] = need;
  await expect(
    cluster.node("a").replication.covered([{ ...first!, lsn: first!.lsn + 1 }], { timeoutMs: 1_000 }),
  ).rejects.toMatchObject({ code: "POSITION_UNKNOWN" });
});

test("REP-8 a later epoch of one shard does not end the log of another", async () => {
  await using cluster = await sharded(2);
  const { log, lsn } = await write(cluster, "a", 0, "first");
  await write(cluster, "a", 1, "later, under a later epoch");
  await cluster.timers.advance(3_000);
  const ahead = { region: log.region, epoch: log.epoch, channel: log.channel, lsn: lsn + 1 };
  const { replication } = cluster.node("b");
  // It may still come: the answer at the deadline is what is missing, not that it is lost.
  expect(await cluster.timers.until(replication.covered([ahead], { timeoutMs: 100 }))).toEqual([ahead]);
});

test("REP-8 a restart goes on in every shard's log; under another slot map it opens new epochs", async () => {
  await using cluster = await sharded(2);
  const before = [await write(cluster, "a", 0, "one"), await write(cluster, "a", 1, "two")];
  await cluster.timers.advance(3_000);
  await cluster.stop("a");
  await cluster.open("a");
  await cluster.timers.advance(3_000);
  const after = [await write(cluster, "a", 0, "three"), await write(cluster, "a", 1, "four")];
  expect(after.map(({ log }) => formatLogId(log))).toEqual(before.map(({ log }) => formatLogId(log)));

  await cluster.timers.advance(3_000);
  await cluster.stop("a");
  await cluster.stop("b");
  cluster.membership = { ...cluster.membership, version: 2, shards: 3 };
  for (const name of ["a", "b"]) await cluster.open(name, { slotsMoved: true });
  await cluster.timers.advance(3_000);
  const moved = [await write(cluster, "a", 0, "five"), await write(cluster, "a", 2, "six")];
  const epochs = [...before, ...moved].map(({ log }) => log.epoch);
  expect(new Set(epochs).size).toBe(4);
  expect(Math.min(...moved.map(({ log }) => log.epoch))).toBeGreaterThan(
    Math.max(...before.map(({ log }) => log.epoch)),
  );
  await cluster.timers.advance(3_000);
  expect(cluster.node("b").replication.certificate().digest).toEqual(
    cluster.node("a").replication.certificate().digest,
  );
});

test("REP-8 a shard that the list of members does not have is refused", async () => {
  await using cluster = await sharded(2);
  const { replication } = cluster.node("a");
  await expect(
    replication.append("sessions", 2, (writer) => writer.u8(1), { shard: shardId(2) }),
  ).rejects.toThrow(RangeError);
});

test("REP-8 slots are given to more shards while regions run: new epochs, and nothing of the old logs is lost", async () => {
  await using cluster = await sharded(1);
  const [a, b] = [cluster.node("a"), cluster.node("b")];
  const before = await write(cluster, "a", 0, "before");
  const { version, regions } = cluster.membership;
  const list = nextMembership(cluster.membership, { version: version + 1, regions, shards: 4 });
  await cluster.timers.until(a.replication.setMembership(list));
  const after = [];
  for (const shard of [0, 3]) after.push(await write(cluster, "a", shard, `of ${shard}`));
  expect(after.every(({ log }) => log.epoch > before.log.epoch)).toBe(true);
  await cluster.timers.advance(5_000);
  for (const { log, lsn } of [before, ...after]) {
    expect(b.replication.vector().lsnOf(log)).toBeGreaterThanOrEqual(lsn);
    expect(b.replication.frontier().covers(log, lsn)).toBe(true);
  }
  expect(b.replication.certificate().digest).toEqual(a.replication.certificate().digest);
  // The other region took the list over, and writes by it.
  const there = await write(cluster, "b", 3, "there");
  expect(there.log.shard).toBe(3);
  expect(() => nextMembership(list, { version: 9, regions, shards: 4_097 })).toThrow(/4097 shards/);
});
