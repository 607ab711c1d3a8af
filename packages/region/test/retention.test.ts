import { nobleHasher } from "@tidemark/core";
import { inspectDirectory, memoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import type { Region, RegionOptions, Session } from "../src/index.ts";
import { Cluster } from "./cluster.ts";
import { copyDisk, writeFile } from "./disk.ts";

const KEEPING: Partial<RegionOptions> = {
  segmentBytes: 8_192,
  checkpointMs: 20,
  retentionKeepBytes: 0,
};
const NOTE = "x".repeat(500);

async function notes(session: Session, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => session.annotate(`${at} ${NOTE}`)));
}

async function pause(ms: number): Promise<void> {
  const { promise, resolve } = deferred();
  setTimeout(resolve, ms);
  await promise;
}

/** Waits for something that comes by itself. */
async function until(region: Region, met: () => boolean): Promise<void> {
  for (let turn = 0; turn < 400 && !met(); turn++) await pause(10);
  expect(met(), JSON.stringify(region.health().reasons)).toBe(true);
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

async function pair(options: Partial<RegionOptions> = {}): Promise<Cluster> {
  const cluster = new Cluster(["us-east", "eu-west"]);
  await cluster.open("us-east", { ...KEEPING, ...options, bootstrap: true });
  await cluster.open("eu-west", { ...KEEPING, ...options });
  await cluster.region("eu-west").ready({ timeoutMs: 5_000 });
  return cluster;
}

test("WAL-14 a running region writes checkpoints, and lets go what every member has and no start needs", async () => {
  await using cluster = await pair();
  const [east, west] = ["us-east", "eu-west"].map((name) => cluster.region(name));
  const session = await east!.sessions.start({ user: "ada", agent: "scout" });
  for (let round = 0; round < 10; round++) {
    await notes(session, 20);
    await cluster.converged();
  }
  // Two checkpoints cover it by and by: then only the newest segments are left, on both sides.
  await until(east!, () => east!.health().walSegments <= 4);
  await until(west!, () => west!.health().walSegments <= 4);
  const before = east!.certificate();
  await cluster.kill("us-east");
  const again = await cluster.open("us-east", KEEPING);
  expect(again.certificate()).toEqual(before);
  await again.ready({ timeoutMs: 5_000 });
  await again.sessions.get(session.id)!.annotate("after");
  await cluster.converged();
  expect(again.certificate()).toEqual(west!.certificate());
});

test("REP-12 a new region comes by a snapshot where logs no longer begin at the beginning", async () => {
  await using cluster = await pair();
  const [east, west] = ["us-east", "eu-west"].map((name) => cluster.region(name));
  const session = await east!.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("spam");
  for (let round = 0; round < 8; round++) {
    await notes(session, 20);
    await cluster.converged();
  }
  await until(east!, () => east!.health().walSegments <= 4);
  await until(west!, () => west!.health().walSegments <= 4);
  // The machine of eu-west is replaced: same name, empty disk.
  await cluster.close("eu-west");
  cluster.replaceDisk("eu-west", memoryFs({ seed: 1 }));
  const fresh = await cluster.open("eu-west", KEEPING);
  await fresh.ready({ timeoutMs: 10_000 });
  await cluster.converged();
  expect(fresh.certificate()).toEqual(east!.certificate());
  expect(fresh.users.get("ada").hidden()).toEqual(["spam"]);
  expect(fresh.metrics().snapshotsRestored).toBe(1);
  await fresh.sessions.get(session.id)!.annotate("from the new machine");
  await cluster.converged();
  expect(fresh.certificate()).toEqual(east!.certificate());
});

test("REP-7 REP-12 scenario 25: cut off past the cap, a member is named, ships what it wrote, takes a snapshot, and nothing is resurrected", async () => {
  await using cluster = await pair({ retentionCapBytes: 40_000 });
  const [east, west] = ["us-east", "eu-west"].map((name) => cluster.region(name));
  const session = await east!.sessions.start({ user: "ada", agent: "scout" });
  await session.hide("first");
  await cluster.converged();
  cluster.network.cut("us-east", "eu-west");
  // Written where it was accepted, unknown to everybody else: it must not be lost.
  const there = west!.sessions.get(session.id)!;
  await there.hide("unshipped");
  await session.hide("while away");
  for (let round = 0; round < 10; round++) await notes(session, 20);
  await until(east!, () => east!.health().replication!.peers[0]!.needsSnapshot);
  // A little more, so that two checkpoints cover what was written: then it goes.
  await until(east!, () => {
    void session.annotate("more");
    return east!.health().walSegments <= 5;
  });
  expect(east!.health().reasons.join()).toContain("eu-west needs a snapshot");
  expect(west!.users.get("ada").hidden()).toEqual(["first", "unshipped"]);
  cluster.network.heal("us-east", "eu-west");
  await until(west!, () => west!.metrics().snapshotsRestored === 1);
  await until(west!, () => west!.health().status === "ready");
  await cluster.converged();
  for (const region of [east!, west!])
    expect(region.users.get("ada").hidden()).toEqual(["first", "unshipped", "while away"]);
  expect(west!.certificate()).toEqual(east!.certificate());
  await until(east!, () => !east!.health().replication!.peers[0]!.needsSnapshot);
  await there.unhide("while away");
  await cluster.converged();
  expect(east!.certificate()).toEqual(west!.certificate());
});

test("WAL-11 scenario 43: an older image with a rotten segment: got back from a member, nothing doubled or lost", async () => {
  await using cluster = await pair({ checkpointMs: 60_000 });
  const [east] = ["us-east"].map((name) => cluster.region(name));
  const session = await east!.sessions.start({ user: "ada", agent: "scout" });
  for (let round = 0; round < 6; round++) await notes(session, 10);
  await cluster.converged();
  const image = await copyDisk(cluster.disk("us-east"));
  await notes(session, 20);
  await session.hide("late");
  await cluster.converged();
  const before = east!.certificate();
  await cluster.close("us-east");
  cluster.replaceDisk("us-east", image);
  const own = (await image.list("data/sessions")).filter((name) => /^r00001.*\.wal$/.test(name)).toSorted();
  const bytes = (await image.readFile(`data/sessions/${own[1]!}`))!.slice();
  bytes[100]! ^= 1;
  await writeFile(image, `data/sessions/${own[1]!}`, bytes);
  const again = await cluster.open("us-east", KEEPING);
  await until(again, () => again.metrics().logsRepaired === 1);
  await until(again, () => again.health().status === "ready");
  await cluster.converged();
  expect(again.certificate().digest).toEqual(before.digest);
  const effects = again.health().opsApplied;
  await again.sessions.get(session.id)!.annotate("goes on");
  await cluster.converged();
  expect(again.health().opsApplied).toBe(effects + 1);
  expect(again.certificate()).toEqual(cluster.region("eu-west").certificate());
});

test("WAL-14 a region that falls idle lets go what its newest checkpoint covers, and then writes no more of them", async () => {
  await using cluster = await pair();
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ user: "ada", agent: "scout" });
  // So that a checkpoint is written in the middle, which would stay the older one for ever.
  await until(east, () => east.health().walSegments > 0);
  for (let round = 0; round < 5; round++) await notes(session, 40);
  await cluster.converged();
  const kept = async (): Promise<string[]> =>
    (await inspectDirectory(cluster.disk("us-east"), "data", { hasher: nobleHasher })).checkpoints.map(
      ({ file, vector }) => `${file} ${JSON.stringify(vector?.entries().map(({ lsn }) => lsn))}`,
    );
  const covers = (text: string): string => text.slice(text.indexOf(" "));
  let found = await kept();
  for (let turn = 0; turn < 200 && (found.length < 2 || covers(found[0]!) !== covers(found[1]!)); turn++) {
    await pause(10);
    found = await kept();
  }
  expect(covers(found[0]!)).toBe(covers(found[1]!));
  expect(east.health().walSegments).toBeLessThanOrEqual(4);
  await pause(100);
  expect(await kept()).toEqual(found);
});
