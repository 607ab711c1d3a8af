import { nobleHasher, regionId } from "@tidemark/core";
import { expect, test } from "vitest";
import { joinCluster, ReplicationError, type Membership } from "../src/index.ts";
import { TestCluster } from "./cluster.ts";
import { ModelState } from "./model-state.ts";
import { tapped, type Tap } from "./tapped-transport.ts";

const key = (id: number): { id: number; key: Uint8Array } => ({ id, key: new Uint8Array(32).fill(id) });

test("TRN-4 scenario 39: keys rotate in mid-stream without a gap, and a stale key is refused", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  for (const name of ["a", "b"]) await cluster.open(name, { clusterKeys: [key(1)] });
  await cluster.timers.advance(50);
  const [a, b] = [cluster.node("a"), cluster.node("b")];
  await cluster.write("a", "under 1");
  // Known everywhere before anyone signs with it; forgotten only after nobody does.
  b.replication.rotateKeys({ keys: [key(1), key(2)] });
  await cluster.write("a", "still 1");
  a.replication.rotateKeys({ keys: [key(2), key(1)] });
  await cluster.write("a", "under 2");
  b.replication.rotateKeys({ keys: [key(2), key(1)] });
  await cluster.write("b", "under 2 as well");
  a.replication.rotateKeys({ keys: [key(2)] });
  b.replication.rotateKeys({ keys: [key(2)] });
  await cluster.timers.advance(50);
  expect(b.state.texts()).toEqual(["still 1", "under 1", "under 2", "under 2 as well"]);
  expect(a.replication.metrics()).toMatchObject({ poisonFrames: 0, rangesAsked: 0 });
  expect(b.replication.metrics()).toMatchObject({ poisonFrames: 0, rangesAsked: 0 });
  // Left behind with the old key: refused both ways, counted, and healed by the new key alone.
  b.replication.rotateKeys({ keys: [key(1)] });
  await cluster.write("a", "not seen");
  await cluster.timers.advance(50);
  expect(b.state.texts()).not.toContain("not seen");
  expect(b.replication.health().poison.byReason.get("unknown-key")).toBeGreaterThan(0);
  b.replication.rotateKeys({ keys: [key(2)] });
  await cluster.timers.advance(1_200);
  expect(b.state.texts()).toContain("not seen");
  // No downgrade: once nobody has the key, no frame needs to be signed with it, and none counts that is not signed.
  const before = b.replication.health().poison.byReason.get("unsigned") ?? 0;
  a.replication.rotateKeys({ keys: [] });
  await cluster.write("a", "not signed");
  await cluster.timers.advance(1_200);
  expect(b.state.texts()).not.toContain("not signed");
  expect(b.replication.health().poison.byReason.get("unsigned")).toBeGreaterThan(before);
});

test("TRN-4 turning a key on has three steps, health shows the middle ones, and no step loses a frame", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  for (const name of ["a", "b"]) await cluster.open(name);
  await cluster.timers.advance(50);
  const [a, b] = [cluster.node("a").replication, cluster.node("b").replication];
  const steps = [
    { keys: [key(1)], acceptUnsigned: true, sendUnsigned: true },
    { keys: [key(1)], acceptUnsigned: true },
    { keys: [key(1)] },
  ];
  const written: string[] = [];
  for (const [at, step] of steps.entries()) {
    for (const region of [a, b]) {
      region.rotateKeys(step);
      for (const name of ["a", "b"]) {
        written.push(`${name}${at}${region === a}`);
        await cluster.write(name, written.at(-1)!);
      }
      await cluster.timers.advance(20);
    }
    expect(a.health().authentication).toBe(at < 2 ? "accept-unsigned" : "required");
  }
  expect(cluster.node("b").state.texts()).toEqual(written.toSorted());
  expect(cluster.node("a").state.texts()).toEqual(written.toSorted());
  expect([a.metrics().poisonFrames, b.metrics().poisonFrames]).toEqual([0, 0]);
  expect(a.metrics().unsignedFramesAccepted + b.metrics().unsignedFramesAccepted).toBeGreaterThan(0);
  expect(a.metrics().rangesAsked + b.metrics().rangesAsked).toBe(0);
});

test("REP-4 three-way healing: a third member serves a log while its origin is cut off", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  cluster.network.cut("a", "c");
  await cluster.write("a", "through b", "also");
  await cluster.timers.advance(200);
  expect(cluster.node("c").state.texts()).toEqual(["also", "through b"]);
  expect(cluster.network.isCut("a", "c")).toBe(true);
  await cluster.write("c", "and back");
  await cluster.timers.advance(200);
  expect(cluster.node("a").state.texts()).toEqual(["also", "and back", "through b"]);
});

test("REP-4 a member that was away for long catches up in pieces of a frame, asking for each byte once", async () => {
  const cluster = new TestCluster(["a", "b"], { frameBytesMax: 4_096 });
  await using _ = cluster;
  for (const name of ["a", "b"]) await cluster.open(name);
  await cluster.timers.advance(50);
  cluster.network.cut("a", "b");
  for (let at = 0; at < 100; at++) await cluster.write("a", `${at}`.padStart(1_000, "."));
  cluster.network.heal();
  await cluster.timers.advance(500);
  expect(cluster.node("b").state.texts()).toHaveLength(100);
  const { rangesAsked, duplicatesHeld, batchesStored } = cluster.node("b").replication.metrics();
  expect(batchesStored).toBeGreaterThanOrEqual(100);
  // Three batches of some 1,070 bytes fit a reply.
  expect(rangesAsked).toBeLessThanOrEqual(40);
  expect(duplicatesHeld).toBeLessThanOrEqual(3);
});

test("REP-4 what is under way is not asked for: acks that overtake slow frames cause no range request", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const tap: Tap = {};
  await cluster.stop("b");
  await cluster.open("b", { transport: tapped(cluster.network.join("b"), tap) });
  await cluster.timers.advance(100);
  // Frames of batches take 60 ms longer than acks.
  tap.gate = (subject) =>
    subject.startsWith("ack.")
      ? Promise.resolve()
      : new Promise((resolve) => void cluster.timers.setTimer(60, resolve));
  await cluster.write("a", "first");
  await cluster.timers.advance(200);
  const { rangesAsked } = cluster.node("b").replication.metrics();
  for (let at = 0; at < 20; at++) {
    await cluster.write("a", `${at}`);
    await cluster.timers.advance(70);
  }
  await cluster.timers.advance(200);
  expect(cluster.node("b").state.texts()).toHaveLength(21);
  expect(cluster.node("b").replication.metrics()).toMatchObject({ rangesAsked, duplicatesHeld: 0 });
});

test("REP-1 a slow follower slows nobody, and catches up by asking", async () => {
  const cluster = new TestCluster(["a", "b", "c"], { queueFramesMax: 4, frameBytesMax: 4_096 });
  await using _ = cluster;
  let open = (): void => {};
  let gate: Promise<void> | undefined;
  const tap: Tap = { gate: async () => gate };
  const limits = { shipWindowBytes: 16 * 1024 };
  for (const name of ["a", "b"]) await cluster.open(name, { limits });
  await cluster.open("c", { limits, transport: tapped(cluster.network.join("c"), tap) });
  await cluster.timers.advance(50);
  gate = new Promise((resolve) => (open = resolve));
  for (let at = 0; at < 60; at++) await cluster.write("a", `${at}`.padStart(1_000, "."));
  await cluster.timers.advance(20);
  expect(cluster.node("b").state.texts()).toHaveLength(60);
  // Everything went out by the way of frames: the window of b carried it.
  expect(cluster.node("b").replication.metrics().rangesAsked).toBe(0);
  const lag = (): { lagRecords: number; lagSeconds: number } =>
    cluster
      .node("a")
      .replication.peers()
      .find(({ name }) => name === "c")!;
  await cluster.timers.advance(3_000);
  expect(lag().lagRecords).toBeGreaterThanOrEqual(60);
  expect(lag().lagSeconds).toBeGreaterThan(2.9);
  gate = undefined;
  open();
  await cluster.timers.advance(1_500);
  expect(cluster.node("c").state.texts()).toHaveLength(60);
  expect(lag()).toMatchObject({ lagRecords: 0, lagSeconds: 0 });
});

test("REP-1 with every follower away the window fills, nothing is kept beyond it, and all of it arrives later", async () => {
  const cluster = new TestCluster(["a", "b"], { frameBytesMax: 4_096 });
  await using _ = cluster;
  await cluster.open("a", { limits: { shipWindowBytes: 16 * 1024 } });
  for (let at = 0; at < 60; at++) await cluster.write("a", `${at}`.padStart(1_000, "."));
  const frames = cluster.node("a").replication.metrics().framesPublished;
  expect(frames).toBeLessThan(20);
  await cluster.open("b");
  await cluster.timers.advance(500);
  expect(cluster.node("b").state.texts()).toHaveLength(60);
  await cluster.write("a", "live again");
  await cluster.timers.advance(20);
  expect(cluster.node("b").state.texts()).toHaveLength(61);
});

test("REP-7 two lists of one version: nothing becomes stable, health names both, and data still flows", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  await cluster.open("a");
  const ours = cluster.membership;
  cluster.membership = { ...ours, regions: new Map([...ours.regions, ["c", regionId(3)]]) };
  await cluster.open("b");
  await cluster.timers.advance(50);
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(3_000);
  const { replication } = cluster.node("a");
  expect(cluster.node("b").state.texts()).toEqual(["one"]);
  expect(replication.frontier().covers(log, lsn)).toBe(false);
  expect(replication.health().state).toBe("degraded");
  expect(replication.health().reasons).toContain(
    "MEMBERSHIP_MISMATCH with b: here v1 a=1, b=2; there v1 a=1, b=2, c=3",
  );
  // The operator mends the list of b: a restart later everything becomes stable.
  await cluster.stop("b");
  cluster.membership = ours;
  await cluster.open("b");
  await cluster.timers.advance(3_000);
  expect(replication.frontier().covers(log, lsn)).toBe(true);
  expect(replication.health().reasons).toEqual([]);
});

test("REP-5 REP-7 acks of another version of the list do not count, and health says so", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  await cluster.open("a");
  const ours = cluster.membership;
  // A later one that a cannot take: it gives the id of a to another.
  const renamed = new Map(
    [...ours.regions].map(([name, id]) => [name === "a" ? "alpha" : name, id] as const),
  );
  cluster.membership = { ...ours, version: 2, regions: renamed };
  await cluster.open("b");
  await cluster.timers.advance(50);
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(3_000);
  const { replication } = cluster.node("a");
  expect(replication.frontier().covers(log, lsn)).toBe(false);
  expect(
    await cluster.timers.until(replication.acknowledged(log, lsn, { remote: 1 }, { timeoutMs: 100 })),
  ).toBe(false);
  expect(replication.health().reasons).toEqual([
    "b acks under version 2 of the list of members, not 1: Cannot take the list of members v2 alpha=1, b=2: it gives id 1 to alpha: it was a's",
  ]);
});

test("REP-5 a position is stable once every member holds it, and health names who blocks it since when", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  await cluster.timers.advance(1_100);
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  const since = cluster.timers.now();
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(7_000);
  const { replication, state } = cluster.node("a");
  expect(replication.frontier().covers(log, lsn)).toBe(false);
  const blocking = replication.peers().filter((peer) => peer.blocksStabilitySinceMs !== undefined);
  expect(blocking.map(({ name, state }) => [name, state])).toEqual([["c", "silent"]]);
  expect(blocking[0]!.blocksStabilitySinceMs).toBeGreaterThanOrEqual(since);
  expect(replication.health().reasons).toContain("c is silent");
  cluster.network.heal();
  await cluster.timers.advance(100);
  expect(replication.frontier().covers(log, lsn)).toBe(true);
  expect(state.frontier!.covers(log, lsn)).toBe(true);
  expect(replication.frontier().foldVersionMin).toBe(1);
});

test("REP-5 REP-13 the lowest fold version of the members is known", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  const [newer, older] = [new ModelState(), new ModelState()];
  newer.foldVersion = 3;
  await cluster.open("a", { state: newer });
  expect(cluster.node("a").replication.frontier().foldVersionMin).toBe(0);
  await cluster.open("b", { state: older, channels: { sessions: older } });
  await cluster.timers.advance(100);
  expect(cluster.node("a").replication.frontier().foldVersionMin).toBe(1);
});

test("REP-6 the ladder: local, then remote, then all; past its deadline a wait says so", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  cluster.network.cut("a", "c");
  cluster.network.cut("b", "c");
  const { log, lsn } = await cluster.writeOne("a", "one");
  const { replication } = cluster.node("a");
  const wait = { timeoutMs: 200 };
  expect(await cluster.timers.until(replication.acknowledged(log, lsn, { remote: 1 }, wait))).toBe(true);
  expect(await cluster.timers.until(replication.acknowledged(log, lsn, { remote: 2 }, wait))).toBe(false);
  expect(await replication.acknowledged(log, lsn, { remote: 3 }, { timeoutMs: 1e9 })).toBe(false);
  const all = replication.acknowledged(log, lsn, "all", { timeoutMs: 60_000 });
  cluster.network.heal();
  expect(await cluster.timers.until(all)).toBe(true);
  const abort = new AbortController();
  const aborted = replication.acknowledged(log, lsn + 1, "all", { timeoutMs: 60_000, signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
});

test("REP-5 covered() waits for positions as they arrive, and refuses at once what can never come", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  cluster.network.slow("a", "b", 80);
  const { log, lsn } = await cluster.writeOne("a", "one");
  const { replication } = cluster.node("b");
  const need = [{ region: regionId(1), epoch: log.epoch, channel: "sessions" as const, lsn }];
  expect(await cluster.timers.until(replication.covered(need, { timeoutMs: 20 }))).toEqual(need);
  expect(await cluster.timers.until(replication.covered(need, { timeoutMs: 200 }))).toBe("covered");
  const never = { ...need[0]!, region: regionId(9) };
  await expect(replication.covered([never], { timeoutMs: 1e9 })).rejects.toMatchObject({
    code: "POSITION_UNKNOWN",
  });
  const own = cluster.node("a").replication.covered([{ ...need[0]!, lsn: lsn + 1 }], { timeoutMs: 1e9 });
  await expect(own).rejects.toMatchObject({ code: "POSITION_UNKNOWN", retryable: false });
});

test("REP-10 a follower applies and acks, and refuses to write", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  await cluster.open("a");
  await cluster.open("b", { role: "follower" });
  await cluster.timers.advance(50);
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(50);
  expect(cluster.node("b").state.texts()).toEqual(["one"]);
  await expect(cluster.write("b", "two")).rejects.toMatchObject({ code: "READ_ONLY", retryable: false });
  expect(
    cluster
      .node("b")
      .wal.logs()
      .every(({ id }) => id.region === 1),
  ).toBe(true);
  expect(cluster.node("a").replication.frontier().covers(log, lsn)).toBe(true);
});

test("REP-10 a follower hands records to a member that writes, and is refused by one that does not", async () => {
  const cluster = new TestCluster(["a", "b", "c"]);
  await using _ = cluster;
  const relay = async (records: readonly Uint8Array[]): Promise<void> => {
    await Promise.all(
      records.map((record) =>
        cluster.node("a").replication.append("sessions", 2, (writer) => writer.raw(record)),
      ),
    );
  };
  await cluster.open("a", { relay });
  await cluster.open("b", { role: "follower", relay });
  await cluster.open("c");
  await cluster.timers.advance(50);
  const follower = cluster.node("b").replication;
  const handed = [new TextEncoder().encode("one"), new TextEncoder().encode("two")];
  await cluster.timers.until(follower.relay(regionId(1), handed, { timeoutMs: 1_000 }));
  await cluster.timers.advance(50);
  expect(cluster.node("b").state.texts()).toEqual(["one", "two"]);
  // A follower, and a member without a handler.
  for (const [asker, asked] of [
    ["a", 2],
    ["b", 3],
  ] as const) {
    const refused = cluster.node(asker).replication.relay(regionId(asked), handed, { timeoutMs: 1_000 });
    await expect(cluster.timers.until(refused)).rejects.toMatchObject({ code: "REQUEST_REFUSED" });
  }
});

test("REP-11 equal vectors with unequal states are called diverged, and others are not", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  await cluster.write("a", "one");
  const [a, b] = [cluster.node("a"), cluster.node("b")];
  const compare = (): Promise<{ verdict: string }> =>
    cluster.timers.until(a.replication.requestCertificate(regionId(2)));
  cluster.network.cut("a", "b", { oneWay: true });
  await cluster.timers.advance(20);
  cluster.network.heal();
  await cluster.timers.advance(50);
  expect(await compare()).toMatchObject({ verdict: "equal" });
  // A fold that went wrong on one side.
  for (const records of b.state.applied.values())
    for (const record of records) if (record.text === "one") record.text = "uno";
  expect(await compare()).toMatchObject({ verdict: "diverged" });
  expect(a.replication.health()).toMatchObject({ state: "degraded", diverged: [2] });
  for (const records of b.state.applied.values())
    for (const record of records) if (record.text === "uno") record.text = "one";
  expect(await compare()).toMatchObject({ verdict: "equal" });
  expect(a.replication.health().diverged).toEqual([]);
});

test("SIG-1 REP-11 regions under different schemas say so in health, and compare nothing", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  const schema = new Uint8Array(32).fill(1);
  await cluster.open("a", { schema });
  await cluster.open("b");
  await cluster.write("a", "one");
  await cluster.timers.advance(50);
  const [a, b] = [cluster.node("a").replication, cluster.node("b").replication];
  for (const { replication, state } of [cluster.node("a"), cluster.node("b")]) {
    expect(state.texts()).toEqual(["one"]);
    const { peers, reasons, diverged } = replication.health();
    expect(peers.map(({ sameSchema }) => sameSchema)).toEqual([false]);
    expect(reasons).toEqual([expect.stringContaining("another schema")]);
    expect(diverged).toEqual([]);
  }
  for (const records of cluster.node("b").state.applied.values())
    for (const record of records) if (record.text === "one") record.text = "uno";
  const compared = await cluster.timers.until(a.requestCertificate(regionId(2)));
  expect(compared.verdict).toBe("other-schema");
  expect(a.health().diverged).toEqual([]);
  for (const records of cluster.node("b").state.applied.values())
    for (const record of records) if (record.text === "uno") record.text = "one";
  // Opened again with the same schema they compare.
  await cluster.stop("b");
  await cluster.open("b", { schema: schema.slice() });
  await cluster.timers.advance(2_000);
  expect(a.health()).toMatchObject({ reasons: [], peers: [{ sameSchema: true }] });
  expect((await cluster.timers.until(a.requestCertificate(regionId(2)))).verdict).toBe("equal");
  expect(b.health().state).toBe("closed");
});

test("REP-7 a new directory serves nothing until it has reached the head of a member", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await cluster.open("a");
  await cluster.write("a", "one");
  cluster.network.cut("a", "b");
  const { replication } = await cluster.open("b");
  await cluster.timers.advance(100);
  expect(replication.joining).toBe(true);
  expect(replication.health().state).toBe("joining");
  await expect(cluster.write("b", "too soon")).rejects.toMatchObject({ code: "NOT_READY", retryable: true });
  await expect(cluster.timers.until(replication.ready({ timeoutMs: 100 }))).rejects.toMatchObject({
    code: "NOT_READY",
  });
  cluster.network.heal();
  await cluster.timers.until(replication.ready({ timeoutMs: 1_000, of: "any" }));
  expect(replication.joining).toBe(false);
  expect(cluster.node("b").state.texts()).toEqual(["one"]);
  await cluster.write("b", "two");
});

test("REP-7 a joiner learns the seed from a member, and a list that differs is refused with both", async () => {
  await using cluster = new TestCluster(["a", "b"]);
  await cluster.open("a", { clusterKeys: [key(1)] });
  const join = (members: Pick<Membership, "version" | "regions">, keys = [key(1)]): Promise<Membership> =>
    cluster.timers.until(
      joinCluster({
        transport: cluster.network.join(`joiner${cluster.timers.now()}${Math.floor(cluster.timers.pending)}`),
        hasher: nobleHasher,
        self: regionId(2),
        members,
        keys,
        randomBytes: (count) => new Uint8Array(count).fill(5),
        timeoutMs: 100,
      }),
    );
  const { version, regions } = cluster.membership;
  await cluster.timers.advance(10);
  expect((await join({ version, regions })).seed).toEqual(cluster.membership.seed);
  await cluster.timers.advance(10);
  const other = new Map([
    ["a", regionId(1)],
    ["bee", regionId(2)],
  ] as const);
  const refused = await join({ version, regions: other }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ReplicationError);
  expect(refused).toMatchObject({ code: "MEMBERSHIP_MISMATCH" });
  expect((refused as Error).message).toBe("Lists of members differ: here v1 a=1, bee=2; there v1 a=1, b=2");
  await cluster.timers.advance(10);
  await expect(join({ version, regions }, [])).rejects.toMatchObject({
    code: "NO_MEMBER_ANSWERED",
    retryable: true,
  });
});

test("CORE-2 WAL-8 after a failed fsync writes are rejected as EPOCH_ROLLED, and go on in a new epoch", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  const before = await cluster.writeOne("a", "one");
  cluster.disk("a").failSync();
  const { replication } = cluster.node("a");
  const write = replication.append("sessions", 2, (writer) => writer.raw(new TextEncoder().encode("two")));
  await expect(cluster.timers.until(write)).rejects.toMatchObject({ code: "EPOCH_ROLLED", retryable: true });
  const after = await cluster.writeOne("a", "two, judged again");
  expect(after.log.epoch).toBeGreaterThan(before.log.epoch);
  await cluster.timers.advance(50);
  expect(cluster.node("b").state.texts()).toEqual(["one", "two, judged again"]);
});

test("REP-2 a fold that fails stops its log where it is and says so; the others go on", async () => {
  await using cluster = await TestCluster.of(["a", "b", "c"]);
  cluster.node("c").state.failAt = "poison";
  await cluster.write("a", "fine", "poison", "after");
  await cluster.write("b", "other");
  await cluster.timers.advance(50);
  const { state, replication } = cluster.node("c");
  expect(state.texts()).toEqual(["fine", "other"]);
  expect(replication.health().logs.filter(({ reason }) => reason === "apply-failed")).toHaveLength(1);
  // The fold is not asked again for a log it could not go on with.
  const { calls } = state;
  await cluster.write("a", "more");
  await cluster.timers.advance(50);
  expect(state.calls).toBe(calls);
  // What is not applied is not acked: nothing of it becomes stable.
  const id = cluster.node("a").replication.ownLogs("sessions")[0]!;
  await cluster.timers.advance(2_000);
  expect(cluster.node("a").replication.frontier().lsnOf(id)).toBeLessThan(
    cluster.node("a").replication.vector().lsnOf(id),
  );
});

test("TRN-1 REP-4 close() sends a last ack, settles every wait and leaves no timer", async () => {
  const cluster = await TestCluster.of(["a", "b"]);
  const { log, lsn } = await cluster.writeOne("a", "one");
  await cluster.timers.advance(2);
  const { replication } = cluster.node("a");
  const wait = replication.acknowledged(log, lsn + 5, "all", { timeoutMs: 1e9 });
  const refused = wait.catch((error: unknown) => error);
  const [first, second] = [replication.close(), replication.close()];
  expect(first).toBe(second);
  await cluster.timers.until(first);
  expect(await refused).toMatchObject({ code: "REPLICATION_CLOSED" });
  await expect(replication.append("sessions", 2, () => {})).rejects.toMatchObject({
    code: "REPLICATION_CLOSED",
  });
  expect(replication.health().state).toBe("closed");
  await cluster.timers.until(cluster.node("b").replication.close());
  await cluster.timers.settle();
  expect(cluster.timers.pending).toBe(0);
  for (const name of ["a", "b"]) await cluster.node(name).wal.close();
  await cluster.network.close();
});

test("REP-7 close({ leave: true }) waits until every own record is everywhere", async () => {
  await using cluster = await TestCluster.of(["a", "b"]);
  cluster.network.slow("a", "b", 300);
  await cluster.write("a", "one");
  await cluster.timers.until(cluster.node("a").replication.close({ leave: true }));
  expect(cluster.node("b").state.texts()).toEqual(["one"]);
});
