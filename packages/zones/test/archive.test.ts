import { encodeKey } from "@tidemark/kv";
import { expect, test } from "vitest";
import { zoneKeys, zonePartition } from "../src/zone-keys.ts";
import { stateText, World } from "./zones-on-memory.ts";

const NONE = { revision: 1, logOffset: 0 };
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

test("ZON-4 A-20 A-22 archiving moves what is current under the present millisecond, byte for byte", async () => {
  const world = new World();
  const { zones } = world;
  expect(await zones.archiveSession("a")).toBeUndefined();
  await zones.appendSessionOutput("a", ["said"]);
  await zones.writeSessionState("a", stateText("hello"), NONE);
  world.nowMs += 5;
  const archived = await zones.archiveSession("a");
  expect(archived).toEqual({ zone: `agent:a:archive:${world.nowMs}`, archivedAtMs: world.nowMs });
  expect(await zones.readSessionState("a")).toBeUndefined();
  expect(await zones.recoverSession("a")).toBeUndefined();
  const content = await zones.archivedContent("a", world.nowMs);
  expect([text(content.state), text(content.log)]).toEqual([stateText("hello"), '"said"\n']);
  expect(await zones.readArchive("a", world.nowMs)).toMatchObject({
    state: { text: stateText("hello") },
    entries: [{ value: "said" }],
  });
  expect(await zones.archiveSession("a")).toBeUndefined();
  await expect(zones.readArchive("a", world.nowMs + 1)).rejects.toMatchObject({ code: "ZONE_UNKNOWN" });
});

test("ZON-4 A-21 a zone with a log alone is archived, and so is one with a snapshot alone", async () => {
  const { zones, nowMs } = new World();
  await zones.appendSessionOutput("a", [1]);
  expect(await zones.archiveSession("a")).toMatchObject({ archivedAtMs: nowMs });
  expect(await zones.listArchives("a")).toMatchObject([{ preview: "", nodeCount: 0 }]);
  await zones.writeSessionState("a", "{}", NONE);
  await zones.archiveSession("a");
  const alone = await zones.archivedContent("a", nowMs + 1);
  expect([text(alone.state), text(alone.log)]).toEqual(["{}", ""]);
  expect((await zones.archivedContent("a", nowMs)).state).toBeUndefined();
});

test("ZON-3a ZON-4 A-23 A-24 archiving is one commit: there is no moment with both, or with neither", async () => {
  const world = new World();
  await world.zones.appendSessionOutput("a", [1]);
  await world.zones.writeSessionState("a", stateText("hello"), NONE);
  let commits = 0;
  const kv = {
    capabilities: world.kv.capabilities,
    nowMs: () => world.kv.nowMs(),
    get: world.kv.get.bind(world.kv),
    scan: world.kv.scan.bind(world.kv),
    commit: (...given: Parameters<typeof world.kv.commit>) => {
      commits += 1;
      return world.kv.commit(...given);
    },
    close: () => world.kv.close(),
    [Symbol.asyncDispose]: () => world.kv.close(),
  };
  await world.open({ kv }).archiveSession("a");
  expect(commits).toBe(1);
  commits = 0;
  const [{ archivedAtMs } = { archivedAtMs: 0 }] = await world.zones.listArchives("a");
  await world.open({ kv }).restoreArchive("a", archivedAtMs);
  expect(commits).toBe(1);
  expect((await world.zones.readSessionState("a"))?.text).toBe(stateText("hello"));
});

test("ZON-4 A-25 to archive identical content again gives the first archive", async () => {
  const world = new World();
  const { zones } = world;
  const say = async (): Promise<void> => {
    await zones.appendSessionOutput("a", ["said"]);
    await zones.writeSessionState("a", stateText("hello"), NONE);
  };
  await say();
  const first = await zones.archiveSession("a");
  world.nowMs += 100;
  await say();
  expect(await zones.archiveSession("a")).toEqual(first);
  expect(await zones.listArchives("a")).toHaveLength(1);
  expect(await zones.readSessionState("a")).toBeUndefined();
  // The copy is swept, the first one stays.
  const { items } = await world.kv.scan(zonePartition("a"), { prefix: encodeKey(["head"]) });
  expect(items).toHaveLength(1);
  expect((await zones.readArchive("a", first!.archivedAtMs)).state?.text).toBe(stateText("hello"));
  await zones.appendSessionOutput("a", ["said"]);
  await zones.writeSessionState("a", stateText("hello!"), NONE);
  expect(await zones.archiveSession("a")).not.toEqual(first);
});

test("ZON-4 A-26 two archives of one millisecond do not collide, and none is before an earlier one when the clock goes back", async () => {
  const world = new World();
  const { zones } = world;
  const times: number[] = [];
  for (const step of [0, 0, -1_000, 1, 5_000, -9_000]) {
    world.nowMs += step;
    await zones.writeSessionState("a", stateText(`${times.length}`), NONE);
    times.push((await zones.archiveSession("a"))!.archivedAtMs);
  }
  expect(times).toEqual([...new Set(times)].toSorted((a, b) => a - b));
  const listed = await zones.listArchives("a");
  expect(listed.map(({ preview }) => preview)).toEqual(["5", "4", "3", "2", "1", "0"]);
  // A time is not given again when its archive is gone.
  await zones.deleteArchive("a", times.at(-1)!);
  await zones.writeSessionState("a", stateText("again"), NONE);
  expect((await zones.archiveSession("a"))!.archivedAtMs).toBeGreaterThan(times.at(-1)!);
});

test("ZON-4 A-27 nothing that is derived of a log outlives it: the next log of the same size is its own", async () => {
  const { zones, nowMs } = new World();
  await zones.appendSessionOutput("a", ["first", "log"]);
  const { end } = await zones.appendSessionOutput("a", ["x"]);
  await zones.writeSessionState("a", stateText("one"), { revision: 1, logOffset: end - 4 });
  await zones.archiveSession("a");
  await zones.appendSessionOutput("a", ["other"]);
  const again = await zones.appendSessionOutput("a", ["lot", "y"]);
  expect(again.end).toBe(end);
  expect((await zones.recoverSession("a"))?.entries.map(({ value }) => value)).toEqual(["other", "lot", "y"]);
  expect((await zones.readArchive("a", nowMs)).entries.map(({ value }) => value)).toEqual(["x"]);
});

test("ZON-5 A-29 archives are listed newest first, by number, and those of no other agent", async () => {
  const world = new World();
  for (const agent of ["a", "ab", "a-", "A"]) {
    await world.zones.writeSessionState(agent, stateText(`of ${agent}`), NONE);
    await world.zones.archiveSession(agent);
  }
  world.nowMs = 9_999_999_999_999;
  await world.zones.writeSessionState("a", stateText("13 digits"), NONE);
  await world.zones.archiveSession("a");
  world.nowMs = 10_000_000_000_000;
  await world.zones.writeSessionState("a", stateText("14 digits"), NONE);
  await world.zones.archiveSession("a");
  const listed = await world.zones.listArchives("a");
  expect(listed.map(({ preview }) => preview)).toEqual(["14 digits", "13 digits", "of a"]);
  expect(await world.zones.definitions()).toEqual(["A", "a", "a-", "ab"]);
});

test("ZON-5 ZON-5a A-30 A-31 a list has 20 rows unless it is asked for others, and 100 at most", async () => {
  const { zones, nowMs } = new World();
  for (let index = 0; index < 103; index++) {
    await zones.writeSessionState("a", stateText(`${index}`, "more"), NONE);
    await zones.archiveSession("a");
  }
  const lengths = [undefined, 0, 2, 100, 101, 1_000].map((limit) =>
    zones.listArchives("a", limit === undefined ? {} : { limit }).then(({ length }) => length),
  );
  expect(await Promise.all(lengths)).toEqual([20, 20, 2, 100, 100, 100]);
  await expect(zones.listArchives("a", { limit: -1 })).rejects.toThrow(RangeError);
  expect(await zones.listArchives("a", { limit: 1 })).toEqual([
    { zone: `agent:a:archive:${nowMs + 102}`, archivedAtMs: nowMs + 102, preview: "102", nodeCount: 2 },
  ]);
});

test("ZON-5 A-32 A-32d a list reads rows and nothing else; a row that cannot be read shows empty values", async () => {
  const world = new World();
  for (const said of ["one", "two"]) {
    await world.zones.writeSessionState("a", stateText(said), NONE);
    await world.zones.archiveSession("a");
  }
  const partition = zonePartition("a");
  const { items } = await world.kv.scan(partition, { prefix: encodeKey(["archive"]) });
  const [{ key, value } = items[1]!] = items;
  await world.kv.commit(partition, { puts: [{ key, value: value.slice(2) }] });
  let calls = 0;
  const kv = {
    ...world.kv,
    capabilities: world.kv.capabilities,
    nowMs: () => world.kv.nowMs(),
    get: () => Promise.reject(new Error("A list reads no snapshot")),
    scan: (...given: Parameters<typeof world.kv.scan>) => ((calls += 1), world.kv.scan(...given)),
    commit: world.kv.commit.bind(world.kv),
    close: () => world.kv.close(),
    [Symbol.asyncDispose]: () => world.kv.close(),
  };
  expect(await world.open({ kv }).listArchives("a")).toMatchObject([
    { archivedAtMs: world.nowMs + 1, preview: "two", nodeCount: 1 },
    { archivedAtMs: world.nowMs, preview: "", nodeCount: 0 },
  ]);
  expect(calls).toBe(1);
});

test("ZON-7 an archive is restored in one step that archives what was, and deleted with all that is of it", async () => {
  const world = new World();
  const { zones } = world;
  await zones.appendSessionOutput("a", ["of one"]);
  await zones.writeSessionState("a", stateText("one"), NONE);
  const one = (await zones.archiveSession("a"))!;
  await zones.writeSessionState("a", stateText("two"), NONE);
  const restored = await zones.restoreArchive("a", one.archivedAtMs);
  expect(restored).toEqual({ ...one, archived: { zone: expect.any(String), archivedAtMs: world.nowMs + 1 } });
  expect(await zones.recoverSession("a")).toMatchObject({
    state: { text: stateText("one") },
    entries: [{ value: "of one" }],
  });
  expect((await zones.listArchives("a")).map(({ preview }) => preview)).toEqual(["two"]);
  await expect(zones.restoreArchive("a", one.archivedAtMs)).rejects.toMatchObject({ code: "ZONE_UNKNOWN" });
  await zones.appendSessionOutput("a", ["goes on"]);
  await zones.deleteArchive("a", world.nowMs + 1);
  await expect(zones.deleteArchive("a", world.nowMs + 1)).rejects.toMatchObject({ code: "ZONE_UNKNOWN" });
  await zones.deleteArchive("a", (await zones.archiveSession("a"))!.archivedAtMs);
  const { items } = await world.kv.scan(zonePartition("a"), {});
  expect(items.map(({ key }) => key)).toEqual([zoneKeys.pointers]);
});

test("ZON-5 A-17 an archive whose content is not there is an error when it is read, and is listed", async () => {
  const world = new World();
  await world.zones.writeSessionState("a", stateText("said"), NONE);
  const { archivedAtMs } = (await world.zones.archiveSession("a"))!;
  const partition = zonePartition("a");
  const { items } = await world.kv.scan(partition, { prefix: encodeKey(["head"]) });
  await world.kv.commit(partition, { deletes: items.map(({ key }) => key) });
  await expect(world.zones.readArchive("a", archivedAtMs)).rejects.toMatchObject({ code: "DATA_CORRUPT" });
  expect(await world.zones.listArchives("a")).toMatchObject([{ preview: "said" }]);
});

test("ZON-7 A-25 to restore what has the same bytes as what is current leaves them once", async () => {
  const world = new World();
  const { zones } = world;
  for (let index = 0; index < 2; index++) {
    await zones.writeSessionState("a", stateText("same"), NONE);
    if (index === 0) await zones.archiveSession("a");
  }
  const restored = await zones.restoreArchive("a", world.nowMs);
  expect(restored).toEqual({ zone: `agent:a:archive:${world.nowMs}`, archivedAtMs: world.nowMs });
  expect((await zones.readSessionState("a"))?.text).toBe(stateText("same"));
  expect(await zones.listArchives("a")).toEqual([]);
  const { items } = await world.kv.scan(zonePartition("a"), {});
  // The register, what is current, its head, and its bytes.
  expect(items).toHaveLength(4);
});

test("ZON-7 retention goes by count and age, says what it would do, and does nothing unasked", async () => {
  const world = new World();
  const { zones } = world;
  for (let index = 0; index < 5; index++) {
    await zones.writeSessionState("a", stateText(`${index}`), NONE);
    await zones.archiveSession("a");
    world.nowMs += 1_000;
  }
  await expect(zones.retain("a", {})).rejects.toThrow(TypeError);
  await expect(zones.retain("a", { keepMax: -1 })).rejects.toThrow(RangeError);
  const said = (rows: readonly { preview: string }[]): string[] => rows.map(({ preview }) => preview);
  expect(said(await zones.retain("a", { keepMax: 3, dryRun: true }))).toEqual(["1", "0"]);
  expect(said(await zones.retain("a", { ageMsMax: 3_000, dryRun: true }))).toEqual(["1", "0"]);
  expect(said(await zones.retain("a", { ageMsMax: 1_999, keepMax: 4, dryRun: true }))).toEqual([
    "3",
    "2",
    "1",
    "0",
  ]);
  expect(await zones.listArchives("a")).toHaveLength(5);
  expect(said(await zones.retain("a", { keepMax: 3 }))).toEqual(["1", "0"]);
  expect(said(await zones.listArchives("a"))).toEqual(["4", "3", "2"]);
  expect(await zones.retain("a", { keepMax: 3 })).toEqual([]);
});
