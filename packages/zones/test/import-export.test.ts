import { encodeKey, type Kv } from "@tidemark/kv";
import { interruptingKv } from "@tidemark/kv-conformance";
import { expect, test } from "vitest";
import { exportZones, importZones, MemoryZoneFiles, type Zones } from "../src/index.ts";
import { zonePartition } from "../src/zone-keys.ts";
import { allFiles, FailingZoneFiles, fileOf } from "./failing-files.ts";
import { stateText, World } from "./zones-on-memory.ts";

/** What the zones of agents are to their users. */
async function shown(zones: Zones, ids: readonly string[]): Promise<unknown> {
  const all: Record<string, unknown> = {};
  for (const id of ids) {
    const archives = [];
    for (const row of await zones.listArchives(id, { limit: 100 }))
      archives.push({ row, content: await zones.readArchive(id, row.archivedAtMs) });
    all[id] = { current: await zones.recoverSession(id), archives };
  }
  return all;
}

async function filled(): Promise<World> {
  const world = new World();
  const { zones } = world;
  await zones.appendSessionOutput("a", ["one", "two"]);
  await zones.writeSessionState("a", stateText("first"), { revision: 1, logOffset: 6, session: "s" });
  await zones.archiveSession("a");
  world.nowMs += 1_000;
  await zones.appendSessionOutput("a", ["three"]);
  await zones.archiveSession("a");
  world.nowMs += 1_000;
  const { end } = await zones.appendSessionOutput("a", ["four"]);
  await zones.writeSessionState("a", stateText("second"), { revision: 5, logOffset: end });
  await zones.appendSessionOutput("a", ["five"]);
  await zones.writeSessionState("B", stateText("of B"), { revision: 1, logOffset: 0 });
  return world;
}

test("ZON-3a A-5 what is exported and imported is the same to its user, and a second time nothing is done", async () => {
  const { zones } = await filled();
  const files = new MemoryZoneFiles();
  const planned = await exportZones(zones, files, { dryRun: true });
  expect(await files.zones()).toEqual([]);
  expect(await exportZones(zones, files)).toEqual(planned);
  expect(planned.map(({ outcome }) => outcome)).toEqual(["written", "written", "written", "written"]);
  expect((await exportZones(zones, files)).map(({ outcome }) => outcome)).toEqual([
    "same",
    "same",
    "same",
    "same",
  ]);
  const other = new World().zones;
  const wouldBe = await importZones(other, files, { dryRun: true });
  expect(await other.definitions()).toEqual([]);
  const imported = await importZones(other, files);
  expect(imported).toEqual(wouldBe);
  expect(imported.map(({ outcome }) => outcome)).toEqual(["current", "archived", "archived", "current"]);
  expect(await shown(other, ["a", "B"])).toEqual(await shown(zones, ["a", "B"]));
  expect((await importZones(other, files)).map(({ outcome }) => outcome)).toEqual(
    Array.from({ length: 4 }, () => "present"),
  );
  // Into the store it came from, too.
  expect((await importZones(zones, files)).map(({ outcome }) => outcome)).toEqual(
    Array.from({ length: 4 }, () => "present"),
  );
  // And it goes on there as here.
  for (const one of [zones, other]) {
    await one.appendSessionOutput("a", ["six"]);
    await one.archiveSession("a");
  }
  expect((await other.listArchives("a")).map(({ preview }) => preview)).toEqual(["second", "", "first"]);
});

test("ZON-3 A-19 a torn last line of a file is left out and reported, kept in the archive, and dropped by the next append", async () => {
  const files = new MemoryZoneFiles();
  await files.write("agent:a:current", "output", fileOf('1\n{"a":2}\n{"cut'));
  const { zones, nowMs, kv } = new World();
  await importZones(zones, files);
  expect(await zones.recoverSession("a")).toEqual({
    entries: [
      { offset: 0, value: 1 },
      { offset: 2, value: { a: 2 } },
    ],
    end: 10,
    torn: { offset: 10, bytes: 5 },
  });
  const out = new MemoryZoneFiles();
  await exportZones(zones, out);
  expect((await allFiles(out))["agent:a:current output"]).toBe('1000 1\n{"a":2}\n{"cut');
  await zones.appendSessionOutput("a", [3]);
  expect(await zones.recoverSession("a")).toMatchObject({
    entries: [{}, {}, { offset: 10, value: 3 }],
    end: 12,
  });
  expect((await zones.recoverSession("a"))?.torn).toBeUndefined();
  const { items } = await kv.scan(zonePartition("a"), { prefix: encodeKey(["torn"]) });
  expect(items).toEqual([]);
  await files.write("agent:b:current", "output", fileOf("{"));
  await importZones(zones, files, { definitions: ["b"] });
  await zones.archiveSession("b");
  expect(await zones.readArchive("b", nowMs)).toEqual({ entries: [], end: 0, torn: { offset: 0, bytes: 1 } });
});

test("ZON-3 A-17 A-19 bytes of a file that are no text or no JSON are taken as they are, and are an error when they are read", async () => {
  const files = new MemoryZoneFiles();
  await files.write("agent:a:current", "output.state.json", { bytes: Uint8Array.of(0xff), modifiedMs: 5 });
  await files.write("agent:b:current", "output", fileOf("1\nnot JSON\n2\n"));
  await files.write("agent:c:current", "output", fileOf("1\n"));
  await files.write("agent:c:current", "output.state.json", fileOf(stateText("x")));
  const { zones } = new World();
  expect((await importZones(zones, files)).map(({ outcome }) => outcome)).toEqual([
    "current",
    "current",
    "current",
  ]);
  for (const id of ["a", "b"])
    await expect(zones.recoverSession(id)).rejects.toMatchObject({ code: "DATA_CORRUPT" });
  expect(await zones.archiveSession("a")).toBeDefined();
  // A snapshot that does not say what it covers is shown alone: nothing twice.
  expect(await zones.recoverSession("c")).toMatchObject({ state: { text: stateText("x") }, entries: [] });
});

test("ZON-4 A-24 A-25 where a crash left both current and its archive in a directory, current wins, and archiving it again is that archive", async () => {
  const files = new MemoryZoneFiles();
  for (const zone of ["agent:a:archive:7", "agent:a:current"])
    await files.write(zone, "output.state.json", fileOf(stateText("said")));
  const { zones } = new World();
  expect((await importZones(zones, files)).map(({ outcome }) => outcome)).toEqual(["archived", "current"]);
  expect((await zones.readSessionState("a"))?.text).toBe(stateText("said"));
  expect(await zones.archiveSession("a")).toEqual({ zone: "agent:a:archive:7", archivedAtMs: 7 });
  expect(await zones.listArchives("a")).toHaveLength(1);
});

test("ZON-3a A-52 of two current zones the later by revision and clock stays, the other is an archive; of one moment both stay", async () => {
  const [here, there] = [new World(), new World()];
  const files = new MemoryZoneFiles();
  await here.zones.writeSessionState("a", stateText("here"), { revision: 3, logOffset: 0 });
  there.nowMs += 60_000;
  await there.zones.writeSessionState("a", stateText("there"), { revision: 2, logOffset: 0 });
  await exportZones(there.zones, files);
  // Its clock is later, and its revision is not.
  expect(await importZones(here.zones, files)).toMatchObject([{ outcome: "archived" }]);
  expect((await here.zones.readSessionState("a"))?.text).toBe(stateText("here"));
  await there.zones.writeSessionState("a", stateText("there"), { revision: 4, logOffset: 0 });
  await exportZones(there.zones, files);
  await here.zones.deleteArchive("a", (await here.zones.listArchives("a"))[0]!.archivedAtMs);
  expect(await importZones(here.zones, files)).toMatchObject([{ outcome: "current" }]);
  expect((await here.zones.readSessionState("a"))?.text).toBe(stateText("there"));
  expect((await here.zones.listArchives("a")).map(({ preview }) => preview)).toEqual(["here"]);
  // A later state of the same conversation takes its place, an earlier one is nothing.
  await there.zones.writeSessionState("a", stateText("there, later"), { revision: 5, logOffset: 0 });
  const later = new MemoryZoneFiles();
  await exportZones(there.zones, later);
  expect(await importZones(here.zones, later)).toMatchObject([{ outcome: "current" }]);
  expect(await importZones(here.zones, files)).toMatchObject([{ outcome: "present" }]);
  expect(await here.zones.listArchives("a")).toHaveLength(1);
  // A foreign file that has nothing but its time.
  const foreign = new MemoryZoneFiles();
  const { zones, nowMs } = new World();
  await zones.writeSessionState("a", stateText("mine"), { revision: 1, logOffset: 0 });
  for (const [modifiedMs, outcome] of [
    [nowMs, "conflict"],
    [nowMs - 1, "archived"],
    [nowMs + 1, "current"],
  ] as const) {
    await foreign.write(
      "agent:a:current",
      "output.state.json",
      fileOf(stateText(`${modifiedMs}`), modifiedMs),
    );
    expect(await importZones(zones, foreign, { dryRun: true })).toMatchObject([{ outcome }]);
    expect(await importZones(zones, foreign)).toMatchObject([{ outcome }]);
  }
  expect((await zones.listArchives("a")).map(({ preview }) => preview)).toEqual(["mine", `${nowMs - 1}`]);
});

test("ZON-4 A-28 an export that has become an archive is no current zone any more: no import brings it back", async () => {
  const { zones } = await filled();
  const files = new MemoryZoneFiles();
  await exportZones(zones, files);
  await zones.archiveSession("a");
  const exported = await exportZones(zones, files, { definitions: ["a"] });
  expect(exported.map(({ outcome }) => outcome)).toEqual(["same", "same", "written", "removed"]);
  expect(await files.files("agent:a:current")).toEqual([]);
  // What another program put there stays.
  await files.write("agent:a:current", "output", fileOf("7\n"));
  await exportZones(zones, files);
  expect(await files.files("agent:a:current")).toEqual(["output"]);
});

test("ZON-4 A-27 A-29 derived files are not taken, and do not stay beside another log; names that are no zones are passed by", async () => {
  const files = new MemoryZoneFiles();
  for (const zone of [
    "agent:a:archive:x",
    "agent:a:archive:07",
    "block:7",
    "agent:a b:current",
    "agent:empty:current",
  ])
    await files.write(zone, "output", fileOf(zone === "agent:empty:current" ? "" : "1\n"));
  await files.write("agent:a:current", "output", fileOf("1\n"));
  await files.write("agent:a:current", "times.idx", fileOf("derived"));
  const { zones } = new World();
  expect(await importZones(zones, files)).toEqual([
    { zone: "agent:a:current", outcome: "current" },
    { zone: "agent:empty:current", outcome: "empty" },
  ]);
  await exportZones(zones, files);
  expect(await files.files("agent:a:current")).toEqual(["output", "zone.json"]);
});

test("ZON-3 a zone that is too large fails alone, with its code", async () => {
  const files = new MemoryZoneFiles();
  await files.write("agent:a:current", "output.state.json", fileOf("x".repeat(100)));
  await files.write("agent:b:current", "output.state.json", fileOf("{}"));
  const zones = new World().open({ snapshotBytesMax: 50 });
  expect(await importZones(zones, files)).toEqual([
    { zone: "agent:a:current", outcome: "failed", code: "ZONE_TOO_LARGE", message: expect.any(String) },
    { zone: "agent:b:current", outcome: "current" },
  ]);
});

test("ZON-3a a crash of any file call of an export or an import, and the next run, end where a whole one does", async () => {
  const { zones } = await filled();
  const whole = new MemoryZoneFiles();
  await exportZones(zones, whole);
  const end = await allFiles(whole);
  const want = await shown(zones, ["a", "B"]);
  let crashes = 0;
  for (const when of ["before", "after"] as const) {
    for (let at = 1; ; at++) {
      const files = new MemoryZoneFiles();
      const failing = new FailingZoneFiles(files, { at, when });
      await exportZones(zones, failing).catch(() => undefined);
      if (!failing.failed) break;
      crashes += 1;
      await exportZones(zones, files);
      expect(await allFiles(files)).toEqual(end);
    }
    for (let at = 1; ; at++) {
      const other = new World().zones;
      const failing = new FailingZoneFiles(whole, { at, when });
      await importZones(other, failing).catch(() => undefined);
      if (!failing.failed) break;
      crashes += 1;
      await importZones(other, whole);
      expect(await shown(other, ["a", "B"])).toEqual(want);
    }
  }
  process.stdout.write(`Crashes of file calls of exports and imports: ${crashes}\n`);
  expect(crashes).toBeGreaterThan(50);
});

test("ZON-3a ZON-7 what was deleted is taken again whole, wherever the deletion crashed", async () => {
  const files = new MemoryZoneFiles();
  await files.write("agent:a:archive:7", "output", fileOf("1\n"));
  for (const when of ["before", "after"] as const) {
    for (let at = 1; ; at++) {
      const { kv, zones, open } = worldOf();
      await importZones(zones, files);
      const interrupting = interruptingKv(kv, { at, when });
      await open(interrupting)
        .deleteArchive("a", 7)
        .catch(() => undefined);
      if (!interrupting.interrupted) break;
      await importZones(zones, files);
      await zones.sweep("a");
      expect((await zones.readArchive("a", 7)).entries, `${when} ${at}`).toEqual([{ offset: 0, value: 1 }]);
    }
  }
});

function worldOf(): { kv: Kv; zones: Zones; open: (kv: Kv) => Zones } {
  const world = new World();
  return { kv: world.kv, zones: world.zones, open: (kv) => world.open({ kv }) };
}
