import { logId, nobleHasher, regionId, shardId } from "@tidemark/core";
import type { Transport } from "@tidemark/transport";
import { expect, test } from "vitest";
import {
  clusterIdOf,
  decodeReply,
  encodeReply,
  encodeRequest,
  FrameCodec,
  joinCluster,
  type Reply,
  type Request,
} from "../src/index.ts";
import { makeBatches } from "./batches.ts";
import { TestCluster } from "./cluster.ts";
import { tapped, type Tap } from "./tapped-transport.ts";

const NONCE = new Uint8Array(8).fill(3);

function codecOf(cluster: TestCluster, region: number): FrameCodec {
  const clusterId = clusterIdOf(nobleHasher, cluster.membership.seed);
  return new FrameCodec({ hasher: nobleHasher, clusterId, region: regionId(region), shard: shardId(0) });
}

async function ask(
  cluster: TestCluster,
  transport: Transport,
  codec: FrameCodec,
  request: Request,
): Promise<Reply> {
  const frame = codec.seal("request", encodeRequest(NONCE, request));
  const answered = transport.request("inbox.1", frame, { timeoutMs: 100 });
  const bytes = await cluster.timers.until(answered);
  const opened = codec.open(bytes);
  if (typeof opened === "string") throw new Error(opened);
  const { nonce, reply } = decodeReply(opened.body);
  expect(nonce).toEqual(NONCE);
  return reply;
}

test("REP-2 a frame that repeats a held LSN with another digest is LOG_FORKED, not a duplicate", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const id = logId(1, 0, 99, "sessions");
  const [real, twin] = [await makeBatches([1, 1, 1], "real", id), await makeBatches([1, 1, 1], "twin", id)];
  const [wire, codec] = [cluster.network.join("wire"), codecOf(cluster, 1)];
  for (const batch of real) await wire.publish("sessions.1.0", codec.seal("sessions", batch.bytes));
  await cluster.timers.advance(1);
  await wire.publish("sessions.1.0", codec.seal("sessions", real[1]!.bytes));
  await cluster.timers.advance(1);
  expect(cluster.node("b").replication.health().forks).toEqual([]);
  await wire.publish("sessions.1.0", codec.seal("sessions", twin[1]!.bytes));
  await cluster.timers.advance(1);
  const [fork] = cluster.node("b").replication.health().forks;
  expect(fork).toMatchObject({
    log: id,
    lsn: 2,
    held: real[1]!.digest,
    offered: twin[1]!.digest,
    batch: twin[1]!.bytes,
  });
});

test("REP-2 a held LSN is compared with the disk when the digest is no longer in memory", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const id = logId(1, 0, 99, "sessions");
  const [real, twin] = [await makeBatches([1, 1, 1], "real", id), await makeBatches([1, 1, 1], "twin", id)];
  const codec = codecOf(cluster, 1);
  const wire = cluster.network.join("wire");
  for (const batch of real) await wire.publish("sessions.1.0", codec.seal("sessions", batch.bytes));
  await cluster.timers.advance(20);
  await cluster.stop("b");
  await cluster.open("b");
  await cluster.timers.advance(20);
  await wire.publish("sessions.1.0", codec.seal("sessions", real[0]!.bytes));
  await cluster.timers.advance(1);
  expect(cluster.node("b").replication.health().forks).toEqual([]);
  await wire.publish("sessions.1.0", codec.seal("sessions", twin[1]!.bytes));
  await cluster.timers.advance(1);
  expect(cluster.node("b").replication.health().forks).toMatchObject([
    { log: id, lsn: 2, held: real[1]!.digest },
  ]);
});

test("TRN-4 an ack that is spliced onto the subject of another member does not count for it", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  const wire = cluster.network.join("wire");
  const caught: Uint8Array[] = [];
  const listener = await wire.subscribe("ack.2");
  void (async () => {
    for await (const { frame } of listener) caught.push(frame);
  })();
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(50);
  for (const frame of caught) await wire.publish("ack.3", frame);
  await cluster.timers.advance(50);
  const { replication } = cluster.node("a");
  expect(replication.frontier().covers(log, lsn)).toBe(false);
  expect(replication.health().poison.byReason.get("source")).toBe(caught.length);
  await listener.close();
});

test("TRN-4 a reply to another request is refused, however genuine", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await cluster.open("a");
  const tap: Tap = {};
  await cluster.open("b", { transport: tapped(cluster.network.join("b"), tap) });
  let old: Uint8Array | undefined;
  tap.request = async (_, next) => (old ??= await next());
  await cluster.timers.advance(50);
  const { replication } = cluster.node("b");
  const again = replication.requestCertificate(regionId(1));
  await expect(cluster.timers.until(again)).rejects.toMatchObject({ code: "MESSAGE_MALFORMED" });
  expect(replication.health().poison.byReason.get("nonce")).toBe(1);
});

test("TRN-4 REP-7 who is no member is told so, and who has no cluster gets the list and nothing else", async () => {
  await using cluster = await TestCluster.of(["a"]);
  const { log } = await cluster.writeOne("a", "secret");
  const wire = cluster.network.join("wire");
  const range: Request = { kind: "range", log, from: 1, to: 2 };
  const stranger = codecOf(cluster, 9);
  expect(await ask(cluster, wire, stranger, range)).toMatchObject({
    kind: "refused",
    refusal: "not-a-member",
  });
  expect(await ask(cluster, wire, stranger, { kind: "digests", slots: [] })).toMatchObject({
    refusal: "not-a-member",
  });
  const joiner = new FrameCodec({
    hasher: nobleHasher,
    clusterId: new Uint8Array(8),
    region: regionId(1),
    shard: shardId(0),
    anyCluster: true,
  });
  expect(await ask(cluster, wire, joiner, range)).toMatchObject({ refusal: "not-a-member" });
  expect(await ask(cluster, wire, joiner, { kind: "membership" })).toMatchObject({ kind: "membership" });
});

test("REP-4 refusals are typed: not held, unsupported", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.stop("b");
  const [wire, member] = [cluster.network.join("wire"), codecOf(cluster, 2)];
  const range = (from: number, epoch: number): Request => ({
    kind: "range",
    log: { ...log, epoch },
    from,
    to: from + 5,
  });
  expect(await ask(cluster, wire, member, range(lsn + 1, log.epoch))).toMatchObject({
    refusal: "not-held",
    of: 1,
  });
  expect(await ask(cluster, wire, member, range(1, 5))).toMatchObject({ refusal: "not-held" });
  for (const request of [
    { kind: "keys", pseudonyms: [] },
    { kind: "digests", slots: [4] },
  ] satisfies Request[]) {
    expect(await ask(cluster, wire, member, request)).toMatchObject({ refusal: "unsupported" });
  }
});

test("REP-7 a list whose seed is of another cluster than its envelope is not adopted", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const server = cluster.network.join("liar");
  const codec = codecOf(cluster, 1);
  await server.serve("inbox.1", async (frame) => {
    const opened = new FrameCodec({
      hasher: nobleHasher,
      clusterId: codec.clusterId,
      region: regionId(1),
      shard: shardId(0),
      anyCluster: true,
    }).open(frame);
    if (typeof opened === "string") throw new Error(opened);
    const membership = { ...cluster.membership, seed: new Uint8Array(16).fill(1) };
    return codec.seal("reply", encodeReply(opened.body.slice(0, 8), { kind: "membership", membership }));
  });
  const joined = joinCluster({
    transport: cluster.network.join("b"),
    hasher: nobleHasher,
    self: regionId(2),
    members: cluster.membership,
    randomBytes: (count) => new Uint8Array(count),
    timeoutMs: 100,
  });
  await expect(cluster.timers.until(joined)).rejects.toMatchObject({
    code: "NO_MEMBER_ANSWERED",
    cause: { code: "MESSAGE_MALFORMED" },
  });
});

test("REP-4 a holder that does not answer is passed over for another one", async () => {
  await using cluster = new TestCluster(["a", "b", "c"]);
  const tap: Tap = {};
  await cluster.open("a");
  await cluster.open("b");
  await cluster.open("c", { transport: tapped(cluster.network.join("c"), tap) });
  await cluster.timers.advance(50);
  const asked: string[] = [];
  tap.request = async (subject, next) => {
    asked.push(subject);
    if (subject === "inbox.1") throw Object.assign(new Error("gone"), { code: "REQUEST_TIMEOUT" });
    return next();
  };
  tap.hear = (subject, frame) => (subject.startsWith("sessions.") ? [] : [frame]);
  await cluster.write("a", "one", "two");
  await cluster.timers.advance(200);
  expect(cluster.node("c").state.texts()).toEqual(["one", "two"]);
  expect(asked.slice(0, 2)).toEqual(["inbox.1", "inbox.2"]);
});

test("RGN-1b a medium that refuses subscriptions is tried again until it takes them", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  let failures = 0;
  const tap: Tap = {
    subscribe: () => {
      if (cluster.timers.now() < 500) {
        failures += 1;
        throw new Error("not now");
      }
    },
  };
  await cluster.open("a");
  await cluster.open("b", { transport: tapped(cluster.network.join("b"), tap) });
  await cluster.timers.advance(2_000);
  const asked = cluster.node("b").replication.metrics().rangesAsked;
  await cluster.write("a", "pushed");
  await cluster.timers.advance(5);
  expect(cluster.node("b").state.texts()).toEqual(["pushed"]);
  expect(cluster.node("b").replication.metrics().rangesAsked).toBe(asked);
  // Doubled pauses: some few attempts a subject, not hundreds.
  expect(failures).toBeGreaterThan(3);
  expect(failures).toBeLessThan(30);
});

test("REP-3 a log that cannot be created yet loses nothing: it is asked for again after a pause", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const { wal } = cluster.node("b");
  const create = wal.createLog.bind(wal);
  let attempts = 0;
  wal.createLog = async (id, options) => {
    attempts += 1;
    if (cluster.timers.now() < 3_000) throw Object.assign(new Error("No room"), { code: "WAL_NO_SPACE" });
    return create(id, options);
  };
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(100);
  expect(attempts).toBe(1);
  expect(cluster.node("b").state.texts()).toEqual([]);
  expect(cluster.node("a").replication.frontier().covers(log, lsn)).toBe(false);
  await cluster.timers.advance(6_000);
  expect(attempts).toBeLessThan(5);
  expect(cluster.node("b").state.texts()).toEqual(["one"]);
  expect(cluster.node("a").replication.frontier().covers(log, lsn)).toBe(true);
});

test("REP-3 a full disk stops a foreign log without an ack over the hole; a restart with room goes on", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  cluster.disk("b").setBytesMax(0);
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(100);
  expect(cluster.node("b").state.texts()).toEqual([]);
  expect(cluster.node("b").replication.health()).toMatchObject({ state: "degraded" });
  expect(cluster.node("a").replication.frontier().covers(log, lsn)).toBe(false);
  cluster.disk("b").setBytesMax(Number.POSITIVE_INFINITY);
  await cluster.stop("b");
  await cluster.open("b");
  await cluster.timers.advance(100);
  expect(cluster.node("b").state.texts()).toEqual(["one"]);
  expect(cluster.node("a").replication.frontier().covers(log, lsn)).toBe(true);
});

test("REP-3 a foreign log whose sync fails is stopped until it is repaired from a member, and the others go on", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  await cluster.write("a", "one");
  await cluster.write("c", "two");
  await cluster.timers.advance(20);
  cluster.disk("b").failSync();
  await cluster.write("a", "lost here");
  await cluster.timers.advance(20);
  await cluster.write("c", "three");
  await cluster.timers.advance(50);
  const { state, replication } = cluster.node("b");
  expect(state.texts()).toEqual(["lost here", "one", "three", "two"]);
  expect(replication.health().logs.filter(({ reason }) => reason !== undefined)).toEqual([]);
  expect(replication.metrics().logsRepaired).toBe(1);
});
