import { type Kv, openMemoryKv } from "@tidemark/kv";
import { interruptingKv } from "@tidemark/kv-conformance";
import { expect, test } from "vitest";
import {
  type BlockSource,
  type BlockZone,
  migrateBlockZones,
  openZones,
  verifyBlockZones,
  Zones,
} from "../src/index.ts";
import { stateText } from "./zones-on-memory.ts";

const NOW_MS = 1_790_000_000_000;
const NOTHING = { scanned: 0, archived: 0, seeded: 0, skipped: 0, failed: 0 };

function block(blockId: string, definitionId: string, at: number, text: string): BlockZone {
  return { blockId, view: "agent", definitionId, createdMs: at, modifiedMs: at + 5, snapshot: text };
}

function sourceOf(blocks: readonly BlockZone[]): BlockSource {
  return async function* () {
    yield* blocks;
  };
}

function open(kv: Kv = openMemoryKv({ nowMs: () => NOW_MS })): { zones: Zones; lines: string[]; kv: Kv } {
  const lines: string[] = [];
  return { zones: new Zones({ kv, log: (line) => void lines.push(line) }), lines, kv };
}

async function previews(zones: Zones, id: string): Promise<[number, string][]> {
  const rows = await zones.listArchives(id, { limit: 100 });
  return rows.map(({ archivedAtMs, preview }) => [archivedAtMs, preview]);
}

const THREE = [
  block("b1", "one", 1_000, stateText("older")),
  block("b2", "one", 2_000, stateText("newer")),
  block("b3", "two", 3_000, stateText("alone")),
];

test("ZON-6 A-33 A-37 A-41 three blocks of two agents: 3 scanned, 3 archives, 2 seeded; the newest is current", async () => {
  const { zones, lines } = open();
  expect(await migrateBlockZones(zones, sourceOf(THREE))).toEqual({
    scanned: 3,
    archived: 3,
    seeded: 2,
    skipped: 0,
    failed: 0,
  });
  expect(lines).toEqual(["zones: block zones: 3 scanned, 3 archived, 2 seeded, 0 skipped, 0 failed"]);
  expect(await previews(zones, "one")).toEqual([
    [2_000, "newer"],
    [1_000, "older"],
  ]);
  expect(await zones.readSessionState("one")).toMatchObject({ text: stateText("newer"), modifiedMs: 2_005 });
  expect((await zones.readSessionState("two"))?.text).toBe(stateText("alone"));
  // To archive what was seeded is its archive: nobody said anything more.
  expect(await zones.archiveSession("two")).toMatchObject({ archivedAtMs: 3_000 });
});

test("ZON-6 A-18 A-33 A-34 other views do not count, no snapshot is skipped, an invalid id is passed by, the legacy key is the second choice", async () => {
  const { zones } = open();
  const { definitionId: _, ...bare } = block("legacy", "", 7_000, stateText("legacy"));
  const blocks: BlockZone[] = [
    { ...block("term", "one", 1_000, stateText("no agent")), view: "terminal" },
    block("empty", "one", 1_000, ""),
    { blockId: "none", view: "agent", definitionId: "one", createdMs: 1, modifiedMs: 1 },
    block("bad", "../etc", 1_000, stateText("bad")),
    { ...bare, legacyDefinitionId: "old" },
    { ...block("both", "new", 8_000, stateText("both")), legacyDefinitionId: "never" },
    { ...block("nobody", "", 9_000, stateText("nobody")), legacyDefinitionId: "never" },
    bare,
  ];
  expect(await migrateBlockZones(zones, sourceOf(blocks))).toEqual({
    scanned: 4,
    archived: 2,
    seeded: 2,
    skipped: 2,
    failed: 0,
  });
  expect(await zones.definitions()).toEqual(["new", "old"]);
});

test("ZON-6 A-35 A-36 the time is that of creation, else of modification, else now; what is taken is followed by the next", async () => {
  const { zones } = open();
  const same = { definitionId: "one", view: "agent" };
  const blocks: BlockZone[] = [
    { ...same, blockId: "1", createdMs: 50, modifiedMs: 60, snapshot: stateText("created") },
    { ...same, blockId: "2", createdMs: 0, modifiedMs: 50, snapshot: stateText("modified") },
    {
      ...same,
      blockId: "3",
      createdMs: 50,
      modifiedMs: 1,
      snapshot: new TextEncoder().encode(stateText("created")),
    },
    { ...same, blockId: "4", createdMs: -1, modifiedMs: 0, snapshot: stateText("now") },
  ];
  expect(await migrateBlockZones(zones, sourceOf(blocks))).toMatchObject({ archived: 4, seeded: 1 });
  expect(await previews(zones, "one")).toEqual([
    [NOW_MS, "now"],
    [52, "created"],
    [51, "modified"],
    [50, "created"],
  ]);
  // The first archive of a content stays the first when another with the same bytes goes.
  await zones.deleteArchive("one", 52);
  expect(await zones.archiveSession("one")).toMatchObject({ archivedAtMs: 50 });
});

test("ZON-6 A-18 A-37 a current zone with content is never overwritten, and an empty one is", async () => {
  const { zones } = open();
  await zones.writeSessionState("one", stateText("mine"), { revision: 1, logOffset: 0 });
  await zones.writeSessionState("two", "", { revision: 0, logOffset: 0 });
  expect(await migrateBlockZones(zones, sourceOf(THREE))).toMatchObject({ archived: 3, seeded: 1 });
  expect((await zones.readSessionState("one"))?.text).toBe(stateText("mine"));
  expect((await zones.readSessionState("two"))?.text).toBe(stateText("alone"));
});

test("ZON-6 A-38 old zones are only read", async () => {
  const { zones } = open();
  const frozen = THREE.map((one) =>
    Object.freeze({ ...one, snapshot: new TextEncoder().encode(String(one.snapshot)) }),
  );
  const before = structuredClone(frozen);
  await migrateBlockZones(zones, sourceOf(frozen));
  expect(frozen).toEqual(before);
});

test("ZON-6 A-39 A-42 a second run does nothing; the ledger says what was done, and was written because the content is there", async () => {
  const { zones, lines } = open();
  await migrateBlockZones(zones, sourceOf(THREE));
  expect(await zones.migrations()).toEqual([
    {
      migration: "block-zones",
      version: 1,
      finishedAtMs: NOW_MS,
      counts: { scanned: 3, archived: 3, seeded: 2, skipped: 0, failed: 0 },
    },
  ]);
  const asked: BlockSource = () => {
    throw new Error("Nobody asks for blocks");
  };
  lines.length = 0;
  expect(await migrateBlockZones(zones, asked)).toEqual(NOTHING);
  expect(lines).toEqual([]);
});

test("ZON-6 A-40 a block that fails is counted and logged, and the others go on; it is not noted as done, and the next run takes it", async () => {
  const kv = openMemoryKv({ nowMs: () => NOW_MS });
  const lines: string[] = [];
  const small = new Zones({ kv, snapshotBytesMax: 100, log: (line) => void lines.push(line) });
  const large = block("b4", "two", 4_000, stateText("x".repeat(200)));
  const blocks = sourceOf([large, ...THREE]);
  expect(await migrateBlockZones(small, blocks)).toEqual({
    scanned: 4,
    archived: 3,
    seeded: 2,
    skipped: 0,
    failed: 1,
  });
  expect(lines[0]).toMatch(/^zones: the block b4 could not be migrated: .*snapshot of/);
  expect(lines.at(-1)).toMatch(/1 failed; to be run again$/);
  expect(await small.migrations()).toEqual([]);
  const { zones } = open(kv);
  expect(await migrateBlockZones(zones, blocks)).toEqual({
    scanned: 4,
    archived: 1,
    seeded: 0,
    skipped: 0,
    failed: 0,
  });
  expect(await zones.migrations()).toHaveLength(1);
});

test("ZON-6 A-40 blocks that cannot be listed are not noted as done, and zones open all the same", async () => {
  const { kv } = open();
  const lines: string[] = [];
  const broken: BlockSource = async function* () {
    yield THREE[0]!;
    throw new Error("the disk is away");
  };
  const zones = await openZones({ kv, blocks: broken, log: (line) => void lines.push(line) });
  expect(lines).toContain("zones: the blocks could not be listed: Error: the disk is away");
  expect(await zones.migrations()).toEqual([]);
  expect((await zones.readSessionState("one"))?.text).toBe(stateText("older"));
  await openZones({ kv, blocks: sourceOf(THREE) });
  expect(await zones.migrations()).toHaveLength(1);
  // What was seeded by the first part stays: somebody may have gone on with it.
  expect((await zones.readSessionState("one"))?.text).toBe(stateText("older"));
});

test("ZON-6 A-42 a check of the content reads only, and says what is missing", async () => {
  const { zones, kv } = open();
  const commits: unknown[] = [];
  const watching = new Zones({
    kv: { ...handleOf(kv), commit: (...given) => (commits.push(given), kv.commit(...given)) },
  });
  expect(await verifyBlockZones(watching, sourceOf(THREE))).toEqual({
    ok: false,
    checked: 3,
    missing: ["b1", "b2", "b3", "agent:one:current", "agent:two:current"],
  });
  await migrateBlockZones(zones, sourceOf(THREE));
  const ok = { ok: true, checked: 3, missing: [] };
  expect(await verifyBlockZones(watching, sourceOf(THREE))).toEqual(ok);
  await zones.archiveSession("one");
  expect(await verifyBlockZones(watching, sourceOf(THREE))).toEqual(ok);
  await zones.deleteArchive("one", 1_000);
  expect((await verifyBlockZones(watching, sourceOf(THREE))).missing).toEqual(["b1"]);
  const many = Array.from({ length: 120 }, (_, index) =>
    block(`m${index}`, "many", 1, stateText(`${index}`)),
  );
  expect((await verifyBlockZones(watching, sourceOf(many))).missing).toHaveLength(100);
  expect(commits).toEqual([]);
});

test("ZON-6 what is pending runs when zones are opened, once a store however often they are, unless it is not to", async () => {
  const { kv } = open();
  let asked = 0;
  const blocks: BlockSource = () => {
    asked += 1;
    return sourceOf(THREE)();
  };
  const unmigrated = await openZones({ kv, blocks, migrate: false });
  expect([asked, await unmigrated.definitions()]).toEqual([0, []]);
  const opened = await Promise.all([1, 2, 3].map(() => openZones({ kv, blocks })));
  // Once to migrate, once to check.
  expect(asked).toBe(2);
  for (const zones of opened) expect(await previews(zones, "one")).toHaveLength(2);
});

test("ZON-6 a crash of any call to the store leaves a state from which the migration ends right", async () => {
  const summary = async (kv: Kv): Promise<unknown> => {
    const zones = new Zones({ kv });
    const of = async (id: string): Promise<unknown> => [
      await previews(zones, id),
      (await zones.readSessionState(id))?.text,
    ];
    return [await of("one"), await of("two"), (await zones.migrations()).length];
  };
  const whole = open();
  await migrateBlockZones(whole.zones, sourceOf(THREE));
  const end = await summary(whole.kv);
  let crashes = 0;
  for (const when of ["before", "after"] as const) {
    for (let at = 1; ; at++) {
      const kv = openMemoryKv({ nowMs: () => NOW_MS });
      // From this call on the process is dead.
      const dying = interruptingKv(kv, { at, when });
      const dead: Kv = {
        ...handleOf(dying),
        get: (...given) => (dying.interrupted ? never() : dying.get(...given)),
        scan: (...given) => (dying.interrupted ? never() : dying.scan(...given)),
        commit: (...given) => (dying.interrupted ? never() : dying.commit(...given)),
      };
      await migrateBlockZones(new Zones({ kv: dead }), sourceOf(THREE)).catch(() => undefined);
      if (!dying.interrupted) break;
      crashes += 1;
      await migrateBlockZones(new Zones({ kv }), sourceOf(THREE));
      expect(await summary(kv), `${when} ${at}`).toEqual(end);
    }
  }
  process.stdout.write(`Crashes of calls of a migration of blocks: ${crashes}\n`);
  expect(crashes).toBeGreaterThan(100);
});

function never(): Promise<never> {
  return Promise.reject(new Error("The process is dead"));
}

function handleOf(kv: Kv): Kv {
  return {
    capabilities: kv.capabilities,
    nowMs: () => kv.nowMs(),
    get: (...given) => kv.get(...given),
    scan: (...given) => kv.scan(...given),
    commit: (...given) => kv.commit(...given),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
  };
}
