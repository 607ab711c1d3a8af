import { expect, test } from "vitest";
import { Cluster } from "./cluster.ts";

/** Every text in a value, keys included. */
function textsOf(value: unknown): string {
  return JSON.stringify(value);
}

test("RGN-2 metrics tell positions of every log, lag and skew of every member, queues, and what the logs weigh", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const [east, west] = [cluster.region("us-east"), cluster.region("eu-west")];
  cluster.skewMs.set("eu-west", 120_000);
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("book");
  await cluster.converged();
  await west.sessions.get(session.id)!.annotate("from a clock two minutes ahead");
  await cluster.converged();
  const metrics = east.metrics();
  const own = metrics.logs.find(({ state }) => state === "writing")!;
  expect(own).toMatchObject({
    log: expect.stringMatching(/^sessions:r00001-s00000-e\d{10}$/),
    gapRecords: 0,
  });
  expect([own.shippedLsn, own.appliedLsn, own.stableLsn, own.knownLsn]).toEqual(
    Array(4).fill(own.durableLsn),
  );
  expect(metrics.logs.find(({ log }) => log.startsWith("sessions:r00002"))).toMatchObject({
    state: "receiving",
  });
  const [peer] = metrics.peers;
  expect(peer).toMatchObject({
    peer: "eu-west",
    state: "live",
    lagRecords: 0,
    lagSeconds: 0,
    blocksStabilitySeconds: 0,
  });
  expect(peer!.heardSecondsAgo).toBeLessThan(60);
  expect(peer!.skewSeconds).toBeGreaterThan(110);
  expect(peer!.skewSeconds).toBeLessThan(121);
  expect(metrics.queue).toEqual({ records: 0, bytes: 0, waiting: 0, waited: 0 });
  expect(metrics).toMatchObject({
    region: "us-east",
    status: "ready",
    opsApplied: 3,
    withheld: 0,
    waiting: 0,
  });
  expect(metrics.wal.segments).toBe(2);
  // Two logs of a few small batches each: counted without the zeros that are laid ahead.
  expect(metrics.wal.bytes).toBeGreaterThan(500);
  expect(metrics.wal.bytes).toBeLessThan(16_384);
  expect(structuredClone(metrics)).toEqual(JSON.parse(textsOf(metrics)));
});

test("RGN-2 lag grows while a member is cut off, and is gone after the heal", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  await session.hide("book");
  await session.unhide("book");
  expect(east.metrics()).toMatchObject({ status: "degraded", withheld: 1, unhidesPending: 1 });
  const [cut] = east.metrics().peers;
  expect(cut!.lagRecords).toBe(2);
  expect(cut!.lagSeconds).toBeGreaterThan(0);
  cluster.network.heal();
  await cluster.converged();
  expect(east.metrics().peers[0]).toMatchObject({ lagRecords: 0, lagSeconds: 0 });
});

test("RGN-2 writes refused and fenced are counted by code, and nothing names a session, user or item", async () => {
  await using cluster = await Cluster.of("us-east", "eu-west");
  const east = cluster.region("us-east");
  const west = await cluster.close("eu-west").then(() => cluster.open("eu-west", { role: "follower" }));
  await west.ready({ timeoutMs: 5_000 });
  const session = await east.sessions.start({ id: "the-session", user: "the-user", agent: "the-agent" });
  await session.hide("the-item", { operationId: "the-operation" });
  await session.hide("the-item", { operationId: "the-operation" });
  await session.close();
  await session.annotate("the-text");
  await cluster.converged();
  for (let count = 0; count < 2; count++) {
    await expect(west.sessions.start({ user: "bob", agent: "scout" })).rejects.toMatchObject({
      code: "READ_ONLY",
    });
  }
  expect(east.metrics()).toMatchObject({
    refused: { SESSION_CLOSED: 1 },
    fenced: {},
    duplicates: { retries: 1 },
  });
  expect(west.metrics()).toMatchObject({ refused: {}, fenced: { READ_ONLY: 2 } });
  expect(textsOf([east.metrics(), west.metrics()])).not.toMatch(
    /the-(session|user|agent|item|operation|text)|bob/,
  );
});

test("RGN-2 a region that has not joined counts what it refuses, and its other numbers are zero", async () => {
  await using cluster = new Cluster(["us-east", "eu-west"]);
  const west = await cluster.open("eu-west");
  await expect(west.sessions.start({ user: "ada", agent: "scout" })).rejects.toMatchObject({
    code: "REGION_NOT_READY",
  });
  expect(west.metrics()).toMatchObject({
    status: "joining",
    fenced: { REGION_NOT_READY: 1 },
    recordsApplied: 0,
    logs: [],
    peers: [],
    wal: { bytes: 0, segments: 0 },
  });
});
