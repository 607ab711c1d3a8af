import { logId, nobleHasher } from "@tidemark/core";
import { defineSignals, type SignalDefinition, SignalSchema } from "@tidemark/signals";
import { openWal } from "@tidemark/wal";
import { expect, test } from "vitest";
import type { Region } from "../src/index.ts";
import { Cluster } from "./cluster.ts";

const DAY = 86_400_000;
const SCHEMA = defineSignals([
  { name: "save", halfLifeMs: 7 * DAY, windows: ["24h", "7d"], velocity: true },
  { name: "skip", linearMs: DAY, windows: ["1h"] },
  { name: "bought", permanent: true },
]);
const SAVE: SignalDefinition = { name: "save", halfLifeMs: DAY, windows: ["24h"] };

async function pair(schema: SignalSchema = SCHEMA): Promise<Cluster> {
  const cluster = new Cluster(["us-east", "eu-west"]);
  for (const name of ["us-east", "eu-west"])
    await cluster.open(name, { bootstrap: name === "us-east", schema });
  await cluster.region("eu-west").ready({ timeoutMs: 5_000 });
  return cluster;
}

const countOf = (region: Region, entity: string, signal = "save"): number =>
  region.signals.window(entity, signal, "all").count;

test("SIG-3 a session's signal and one without a session meet in one ledger, the same in every region", async () => {
  await using cluster = await pair();
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.signal("Metropolis", "save", 1);
  await session.signal("Metropolis", "bought", 1);
  expect(await west.signals.record("Metropolis", "save", 2)).toEqual({ outcome: "applied", ack: "local" });
  await west.signals.record("Stalker", "skip", -1);
  await cluster.converged();
  const now = Date.now();
  for (const region of [east, west]) {
    expect(region.signals.window("Metropolis", "save", "24h", now)).toEqual({ count: 2, weight: 3 });
    expect(region.signals.score("Metropolis", "bought", now)).toBe(1);
    expect(region.signals.velocity("Metropolis", "save", now).perHour).toBeCloseTo(2 / 24, 9);
    const ranked = region.signals.rank(["Stalker", "Metropolis", "Solaris"], "save", now);
    expect(ranked.map(({ entity }) => entity)).toEqual(["Metropolis", "Solaris", "Stalker"]);
    expect(region.sessions.get(session.id)!.state().signals.get("Metropolis")!.get("save")!.count).toBe(1);
    expect(region.health()).toMatchObject({
      status: "ready",
      signals: { entities: 2, folded: 4, unfolded: 0, conflicts: 0 },
    });
  }
  expect(east.certificate()).toEqual(west.certificate());
});

test("SIG-3 scenarios 36 and 37: three regions fed in different orders, with retries and restarts, read the same", async () => {
  const names = ["us-east", "eu-west", "ap-south"] as const;
  await using cluster = new Cluster(names);
  for (const name of names) await cluster.open(name, { bootstrap: name === "us-east", schema: SCHEMA });
  await Promise.all(names.map((name) => cluster.region(name).ready({ timeoutMs: 5_000 })));
  const now = Date.now();
  for (const [a, b] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const)
    cluster.network.cut(names[a], names[b]);
  for (const [at, name] of names.entries()) {
    const region = cluster.region(name);
    const session = await region.sessions.start({ user: "ada", agent: "scout" });
    for (const [index, signal] of (["save", "skip", "bought"] as const).entries()) {
      const eventTimeMs = now - ((at * 3 + index) * 3_650 * DAY) / 9;
      await session.signal("a", signal, 1 / 3 + index, { eventTimeMs, operationId: `in ${index}` });
      await region.signals.record("a", signal, 1 / 7, {
        eventTimeMs: now - index,
        operationId: `out ${index}`,
      });
    }
    // Another epoch, and so another writer of the same region.
    await cluster.kill(name);
    await cluster.open(name, { schema: SCHEMA });
    const retry = await cluster.region(name).signals.record("a", "skip", 1 / 7, {
      eventTimeMs: now - 1,
      operationId: "out 1",
    });
    expect(retry.outcome).toBe("duplicate");
  }
  cluster.network.heal();
  await cluster.converged();
  const reads = names.map((name) => {
    const { signals } = cluster.region(name);
    return (["save", "skip", "bought"] as const).map((signal) => [
      signals.score("a", signal, now),
      signals.window("a", signal, "all", now),
    ]);
  });
  expect(reads[1]).toEqual(reads[0]);
  expect(reads[2]).toEqual(reads[0]);
  expect(reads[0]![2]![1]).toMatchObject({ count: 4 });
  expect(reads[0]!.every(([score]) => Number.isFinite(score))).toBe(true);
  const certificates = names.map((name) => cluster.region(name).certificate());
  expect(certificates[1]).toEqual(certificates[0]);
  expect(certificates[2]).toEqual(certificates[0]);
});

test("SIG-3 scenario 44: a retry in two regions while cut, in a session and without one, counts once", async () => {
  await using cluster = await pair();
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  const there = west.sessions.get(session.id)!;
  cluster.network.cut("us-east", "eu-west");
  const once = { operationId: "once", eventTimeMs: Date.now() - 1_000 };
  for (const region of [east, west]) {
    const handle = region === east ? session : there;
    expect((await handle.signal("a", "save", 1, once)).outcome).toBe("applied");
    expect((await region.signals.record("b", "save", 1, once)).outcome).toBe("applied");
    const retry = await region.signals.record("b", "save", 1, once);
    expect(retry.outcome).toBe("duplicate");
    expect(retry.effectId).toMatch(/^[0-9a-f]{32}$/);
    expect(await region.signals.record("b", "save", 2, once)).toMatchObject({
      outcome: "refused",
      reason: "OPERATION_CONFLICT",
    });
  }
  // A ticket brings the session's operations by another way as well.
  await east.users.resume("ada", { ticket: there.ticket() });
  cluster.network.heal();
  await cluster.converged();
  for (const region of [east, west]) {
    expect([countOf(region, "a"), countOf(region, "b")]).toEqual([1, 1]);
    expect(region.health().signals.conflicts).toBe(0);
  }
  expect(east.certificate()).toEqual(west.certificate());
});

test("SIG-2 concurrent writes of one operation share its outcome, and one of another request is refused", async () => {
  await using cluster = await pair();
  const { signals } = cluster.region("us-east");
  const once = { operationId: "once", eventTimeMs: 1_790_000_000_000 };
  const results = await Promise.all([
    signals.record("a", "save", 1, once),
    signals.record("a", "save", 1, once),
    signals.record("a", "save", 2, once),
  ]);
  expect(results.map(({ outcome }) => outcome)).toEqual(["applied", "duplicate", "refused"]);
  expect(countOf(cluster.region("us-east"), "a")).toBe(1);
});

test("SIG-2 an abort ends the waiting for a signal, which may be written all the same", async () => {
  await using cluster = await pair();
  const region = cluster.region("us-east");
  const once = { operationId: "once", eventTimeMs: 1_790_000_000_000 };
  const controller = new AbortController();
  const aborted = region.signals.record("a", "save", 1, { ...once, signal: controller.signal });
  const reason = new Error("Enough");
  controller.abort(reason);
  await expect(aborted).rejects.toBe(reason);
  // Until it is certain what became of it, it stands for its operation.
  expect((await region.signals.record("a", "save", 2, once)).outcome).toBe("refused");
  expect((await region.signals.record("a", "save", 1, once)).outcome).toBe("duplicate");
  expect(countOf(region, "a")).toBe(1);
  const before = region.signals.record("b", "save", 1, { signal: AbortSignal.abort(reason) });
  await expect(before).rejects.toBe(reason);
  expect(countOf(region, "b")).toBe(0);
});

test("SIG-2 wrong signals are typed errors, and a follower or a region without a schema takes none", async () => {
  await using cluster = new Cluster(["us-east", "eu-west", "ap-south"]);
  const east = await cluster.open("us-east", { bootstrap: true, schema: SCHEMA });
  const west = await cluster.open("eu-west", { schema: SCHEMA, role: "follower" });
  const south = await cluster.open("ap-south");
  await Promise.all([east, west, south].map((region) => region.ready({ timeoutMs: 5_000 })));
  const fails = async (promise: Promise<unknown>, code: string): Promise<void> => {
    await expect(promise).rejects.toMatchObject({ code });
  };
  await fails(east.signals.record("a", "like", 1), "SIGNAL_UNKNOWN");
  await fails(east.signals.record("a", "save", 2 ** 40), "INVALID_WEIGHT");
  await fails(east.signals.record("", "save", 1), "SIGNAL_INVALID");
  for (const operationId of ["", "x".repeat(129), "\ud800"])
    await fails(east.signals.record("a", "save", 1, { operationId }), "SIGNAL_INVALID");
  await fails(east.signals.record("a", "save", 1, { propensity: 2 }), "SIGNAL_INVALID");
  await fails(
    east.signals.record("a", "save", 1, { eventTimeMs: Date.now() + 60_000 }),
    "HLC_DRIFT_EXCEEDED",
  );
  await fails(west.signals.record("a", "save", 1), "READ_ONLY");
  await fails(south.signals.record("a", "save", 1), "SCHEMA_MISSING");
  expect(() => south.signals.score("a", "save")).toThrow(expect.objectContaining({ code: "SCHEMA_MISSING" }));
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  expect(await session.signal("a", "like", 1)).toMatchObject({
    outcome: "refused",
    reason: "SIGNAL_UNKNOWN",
  });
  expect(east.health().refused).toEqual({ SIGNAL_UNKNOWN: 1 });
  await east.signals.record("a", "save", 1, { ack: { remote: 2 }, timeoutMs: 5_000 });
  expect(countOf(west, "a")).toBe(1);
});

test("SIG-1 a region without the schema stores and says so, and folds when it is opened with it", async () => {
  await using cluster = new Cluster(["us-east", "eu-west"]);
  const east = await cluster.open("us-east", { bootstrap: true, schema: SCHEMA });
  let west = await cluster.open("eu-west");
  await west.ready({ timeoutMs: 5_000 });
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.signal("a", "save", 1);
  await east.signals.record("a", "save", 2);
  await cluster.converged();
  expect(west.health().signals).toEqual({ entities: 0, folded: 0, unfolded: 2, conflicts: 0 });
  for (const region of [east, west]) {
    expect(region.health().reasons).toEqual([expect.stringContaining("another schema")]);
    expect(region.health().replication!.diverged).toEqual([]);
  }
  // Its sessions decay otherwise: the states are not compared.
  expect(west.certificate().vector).toEqual(east.certificate().vector);
  expect(west.certificate().digest).not.toBe(east.certificate().digest);
  await cluster.close("eu-west");
  west = await cluster.open("eu-west", { schema: SCHEMA });
  await west.ready({ timeoutMs: 5_000 });
  await cluster.converged();
  expect(countOf(west, "a")).toBe(2);
  expect(west.health().signals).toMatchObject({ entities: 1, folded: 2, unfolded: 0 });
  expect(west.certificate()).toEqual(east.certificate());
});

test("SIG-1 a changed schema folds the logs anew, in every decay and window", async () => {
  await using cluster = new Cluster(["us-east"]);
  const open = (...definitions: SignalDefinition[]): Promise<Region> =>
    cluster.open("us-east", { bootstrap: true, schema: new SignalSchema(definitions) });
  const now = Date.now();
  let region = await open(SAVE);
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  await session.signal("a", "save", 1, { eventTimeMs: now - DAY });
  await region.signals.record("a", "save", 1, { eventTimeMs: now - DAY, operationId: "once" });
  expect(region.signals.score("a", "save", now)).toBeCloseTo(1, 6);
  for (const [definitions, score] of [
    [[{ name: "save", permanent: true }], 2],
    [[{ name: "skip", permanent: true }], undefined],
    [[{ name: "save", halfLifeMs: DAY / 2, windows: ["1h"] }], 0.5],
    [[SAVE, { name: "skip", permanent: true }], 1],
  ] as const) {
    await cluster.close("us-east");
    region = await open(...definitions);
    if (score === undefined) expect(region.health().signals.unfolded).toBe(2);
    else expect(region.signals.score("a", "save", now)).toBeCloseTo(score, 6);
  }
  expect(
    (await region.signals.record("a", "save", 1, { eventTimeMs: now - DAY, operationId: "once" })).outcome,
  ).toBe("duplicate");
});

test("SIG-1 once logs are trimmed, a schema may grow and no more: SCHEMA_CHANGED, and nothing changed on disk", async () => {
  await using cluster = new Cluster(["us-east"]);
  const open = (...definitions: SignalDefinition[]): Promise<Region> =>
    cluster.open("us-east", { bootstrap: true, schema: new SignalSchema(definitions) });
  let region = await open(SAVE);
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  await session.signal("a", "save", 1);
  await cluster.close("us-east");
  // A log of several segments, of which the first go once a checkpoint covers them.
  const options = { fs: cluster.disk("us-east"), dir: "data", hasher: nobleHasher, segmentBytes: 4096 };
  let wal = await openWal(options);
  const { id, append } = await (async () => {
    const log = await wal.createLog(logId(9, 0, 1, "signals"));
    return { id: log.id, append: (text: string) => log.append(0x99, new TextEncoder().encode(text)) };
  })();
  for (let at = 0; at < 20; at++) await append("x".repeat(1_000));
  await wal.close();
  region = await open(SAVE);
  const before = region.certificate().vector;
  await cluster.close("us-east");
  wal = await openWal(options);
  expect((await wal.retain([{ log: id, lsn: 20 }])).segments).toBeGreaterThan(1);
  await wal.close();
  const refused = expect.objectContaining({ code: "SCHEMA_CHANGED" });
  await expect(open({ ...SAVE, halfLifeMs: 1 })).rejects.toEqual(refused);
  await expect(open({ name: "skip", permanent: true })).rejects.toEqual(refused);
  region = await open(SAVE, { name: "skip", permanent: true });
  expect(countOf(region, "a")).toBe(1);
  expect(region.certificate().vector).toEqual(before);
  await region.signals.record("a", "skip", 1);
  expect(countOf(region, "a", "skip")).toBe(1);
});

test("SIG-3 REP-8 with several shards the ledger is one, whatever logs carry its signals", async () => {
  await using cluster = new Cluster(["us-east", "eu-west"]);
  const east = await cluster.open("us-east", { bootstrap: true, schema: SCHEMA, shards: 4 });
  let west = await cluster.open("eu-west", { schema: SCHEMA });
  await west.ready({ timeoutMs: 5_000 });
  const entities = Array.from({ length: 12 }, (_, at) => `item ${at}`);
  for (const [at, entity] of entities.entries()) {
    const session = await east.sessions.start({ user: `user ${at}`, agent: "scout" });
    await session.signal(entity, "save", 1);
    await (at % 2 === 0 ? east : west).signals.record(entity, "save", 2, { operationId: entity });
  }
  await cluster.converged();
  const logs = Object.keys(east.certificate().vector).filter((log) => log.startsWith("signals:"));
  expect(new Set(logs.map((log) => log.split("-")[1])).size).toBeGreaterThan(1);
  await cluster.close("eu-west");
  west = await cluster.open("eu-west", { schema: SCHEMA });
  await cluster.converged();
  for (const region of [east, west]) {
    for (const entity of entities)
      expect(region.signals.window(entity, "save", "all")).toEqual({ count: 2, weight: 3 });
  }
  expect(west.certificate()).toEqual(east.certificate());
});

test("SIG-2 RGN-3 the ledger outlives a restart and a kill, from a checkpoint and from the logs", async () => {
  await using cluster = await pair();
  for (const ending of ["close", "kill"] as const) {
    for (let at = 0; at < 5; at++) await cluster.region("us-east").signals.record("a", "save", 1);
    const before = cluster.region("us-east").certificate();
    await cluster[ending]("us-east");
    await cluster.open("us-east", { schema: SCHEMA });
    expect(cluster.region("us-east").certificate()).toEqual(before);
  }
  await cluster.converged();
  expect(countOf(cluster.region("us-east"), "a")).toBe(10);
  expect(countOf(cluster.region("eu-west"), "a")).toBe(10);
});

test("SES-7a SIG-1 the names of a schema are checked by the compiler, in sessions and in the ledger", async () => {
  await using cluster = new Cluster(["us-east"]);
  const region: Region<"save" | "skip" | "bought"> = await cluster
    .open("us-east", { bootstrap: true, schema: SCHEMA })
    .then((any) => any as Region<"save" | "skip" | "bought">);
  const session = await region.sessions.start({ user: "ada", agent: "scout" });
  // @ts-expect-error: the schema has no such signal.
  expect((await session.signal("a", "saev", 1)).outcome).toBe("refused");
  // @ts-expect-error: nor here.
  expect(() => region.signals.score("a", "saev")).toThrow(
    expect.objectContaining({ code: "SIGNAL_UNKNOWN" }),
  );
  expect((await session.signal("a", "save", 1)).outcome).toBe("applied");
});
