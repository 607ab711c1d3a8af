import { encodeKey, type Kv } from "@tidemark/kv";
import { expect, test } from "vitest";
import { APPEND_BYTES_MAX, Zones } from "../src/index.ts";
import { zonePartition } from "../src/zone-keys.ts";
import { stateText, World } from "./zones-on-memory.ts";

const NONE = { revision: 1, logOffset: 0 };

test("ZON-1 A-1 two agents that share an identity have separate zones", async () => {
  const { zones } = new World();
  await zones.writeSessionState("a", stateText("of a"), { ...NONE, session: "shared" });
  expect(await zones.readSessionState("b")).toBeUndefined();
  expect(await zones.listArchives("b")).toEqual([]);
  await zones.writeSessionState("b", stateText("of b"), { ...NONE, session: "shared" });
  await zones.archiveSession("b");
  expect((await zones.readSessionState("a"))?.text).toBe(stateText("of a"));
});

test("ZON-1 A-2 another identity of the same agent reads and writes the same zone", async () => {
  const world = new World();
  await world.zones.writeSessionState("a", "{}", { ...NONE, session: "signed in as one" });
  const other = world.open();
  await other.writeSessionState("a", "[]", { revision: 2, logOffset: 0, session: "signed in as two" });
  expect(await world.zones.readSessionState("a")).toMatchObject({ text: "[]", revision: 2 });
  expect(await world.zones.currentSession("a")).toMatchObject({ session: "signed in as two" });
  expect(await other.archiveSession("a")).toBeDefined();
  expect(await world.zones.archiveSession("a")).toBeUndefined();
});

test("ZON-3 A-12 a snapshot is made when there is none, and replaced whole otherwise", async () => {
  const world = new World();
  const long = stateText("x".repeat(400_000));
  for (const text of [long, "{}", "", long, long]) {
    const written = await world.zones.writeSessionState("a", text, NONE);
    expect(written).toEqual({ bytes: text.length, ...NONE, modifiedMs: world.nowMs });
    expect((await world.zones.readSessionState("a"))?.text).toBe(text);
  }
  // Nothing is left of those before.
  const { items } = await world.kv.scan(zonePartition("a"), { prefix: encodeKey(["state"]) });
  expect(items).toHaveLength(4);
});

test("ZON-3 A-13 a reader sees the old snapshot or the new one, whenever it comes", async () => {
  const world = new World();
  const texts = Array.from({ length: 8 }, (_, index) => stateText(String(index).repeat(300_000)));
  await world.zones.writeSessionState("a", texts[0]!, NONE);
  // Every call of the reader is followed by a write.
  let next = 1;
  const kv: Kv = {
    ...handleOf(world.kv),
    get: async (partition, keys) => {
      const values = await world.kv.get(partition, keys);
      if (next < texts.length) await world.zones.writeSessionState("a", texts[next++]!, NONE);
      return values;
    },
  };
  const read = await new Zones({ kv }).readSessionState("a");
  expect(texts).toContain(read?.text);
  expect(next).toBeGreaterThan(3);
});

test("ZON-3 A-14 a line gets a newline if it has none, and the bytes that were written are counted", async () => {
  const { zones } = new World();
  expect(await zones.appendSessionLine("a", "12345")).toEqual({ bytes: 6, offset: 0, end: 6 });
  expect(await zones.appendSessionLine("a", "67890\n")).toEqual({ bytes: 6, offset: 6, end: 12 });
  expect(new TextDecoder().decode((await zones.currentContent("a"))?.log)).toBe("12345\n67890\n");
});

test("ZON-3 A-15 a record is a JSON value that is serialised here, so it is one line", async () => {
  const { zones } = new World();
  await zones.appendSessionOutput("a", [{ text: "two\nlines" }, "\r\n", null]);
  expect(new TextDecoder().decode((await zones.currentContent("a"))?.log)).toBe(
    '{"text":"two\\nlines"}\n"\\r\\n"\nnull\n',
  );
  for (const value of [undefined, Number.NaN, "\ud800", () => 1])
    await expect(zones.appendSessionOutput("a", [value as never])).rejects.toThrow(TypeError);
  for (const text of ["1\n2", "{", "", "1\n\n", '"\ud800"', '{"a":\n1}'])
    await expect(zones.appendSessionLine("a", text), text).rejects.toThrow(TypeError);
  await expect(zones.appendSessionOutput("a", [])).rejects.toThrow(RangeError);
  const large = "x".repeat(APPEND_BYTES_MAX);
  await expect(zones.appendSessionOutput("a", [large])).rejects.toMatchObject({
    code: "ZONE_TOO_LARGE",
    limit: APPEND_BYTES_MAX,
    actual: large.length + 3,
  });
  expect((await zones.recoverSession("a"))?.entries).toHaveLength(3);
});

test("ZON-3 A-16 an agent that has no zone yet has no snapshot, which is no error", async () => {
  const { zones } = new World();
  expect(await zones.readSessionState("fresh")).toBeUndefined();
  expect(await zones.recoverSession("fresh")).toBeUndefined();
  expect(await zones.currentSession("fresh")).toBeUndefined();
  await zones.appendSessionOutput("fresh", [1]);
  expect(await zones.readSessionState("fresh")).toBeUndefined();
});

test("ZON-3 A-17 A-18 a snapshot comes with its time; an empty one is there, and is nothing to archive", async () => {
  const world = new World();
  await world.zones.writeSessionState("a", "", { revision: 0, logOffset: 0 });
  expect(await world.zones.readSessionState("a")).toEqual({
    text: "",
    modifiedMs: world.nowMs,
    revision: 0,
    logOffset: 0,
  });
  expect(await world.zones.archiveSession("a")).toBeUndefined();
  expect(await world.zones.listArchives("a")).toEqual([]);
});

test("ZON-3 A-17 bytes that are damaged or missing are an error, and never less of a snapshot", async () => {
  const world = new World();
  await world.zones.writeSessionState("a", stateText("x".repeat(300_000)), NONE);
  await world.zones.appendSessionOutput("a", ["x".repeat(9_000), "y"]);
  const partition = zonePartition("a");
  for (const kind of ["state", "log", "head", "current"]) {
    const { items } = await world.kv.scan(partition, { prefix: encodeKey([kind]) });
    for (const { key, value } of items) {
      await world.kv.commit(partition, { puts: [{ key, value: value.slice(1) }] });
      await expect(world.zones.recoverSession("a"), kind).rejects.toMatchObject({ code: "DATA_CORRUPT" });
      if (kind === "state" || kind === "log") {
        await world.kv.commit(partition, { deletes: [key] });
        await expect(world.zones.recoverSession("a"), kind).rejects.toMatchObject({ code: "DATA_CORRUPT" });
      }
      await world.kv.commit(partition, { puts: [{ key, value }] });
    }
  }
  expect(await world.zones.recoverSession("a")).toMatchObject({ entries: [{ offset: 0 }, { value: "y" }] });
});

test("ZON-3 A-19 what is rebuilt is the snapshot and the values behind the offset it records: none twice, none missing", async () => {
  const { zones } = new World();
  await zones.appendSessionOutput("a", ["one"]);
  const { end } = await zones.appendSessionOutput("a", ["two"]);
  const three = await zones.appendSessionOutput("a", ["three"]);
  expect((await zones.recoverSession("a"))?.entries.map(({ value }) => value)).toEqual([
    "one",
    "two",
    "three",
  ]);
  await zones.writeSessionState("a", stateText("one", "two"), { revision: 2, logOffset: end, session: "s" });
  expect(await zones.recoverSession("a")).toEqual({
    state: {
      text: stateText("one", "two"),
      modifiedMs: expect.any(Number),
      revision: 2,
      logOffset: end,
      session: "s",
    },
    entries: [{ offset: three.offset, value: "three" }],
    end: three.end,
  });
  for (const logOffset of [end - 1, three.end + 1, end + 1, three.end - 1])
    await expect(zones.writeSessionState("a", "{}", { revision: 3, logOffset })).rejects.toMatchObject({
      code: "ZONE_OFFSET",
      actual: logOffset,
    });
});

test("ZON-3 A-19 what a snapshot covers goes, so that a log is as long as what is behind the snapshot; at its bound it refuses", async () => {
  const world = new World();
  const zones = world.open({ logBytesMax: 20_000 });
  let end = 0;
  for (let at = 0; at < 19; at++) ({ end } = await zones.appendSessionOutput("a", ["x".repeat(1_000)]));
  await expect(zones.appendSessionOutput("a", ["x".repeat(1_000)])).rejects.toMatchObject({
    code: "ZONE_LOG_FULL",
    limit: 20_000,
  });
  const segments = async (): Promise<number> =>
    (await world.kv.scan(zonePartition("a"), { prefix: encodeKey(["log"]) })).items.length;
  // Small lines share records.
  expect(await segments()).toBe(3);
  await zones.writeSessionState("a", "{}", { revision: 1, logOffset: end });
  expect(await segments()).toBeLessThanOrEqual(1);
  await zones.appendSessionOutput("a", ["y"]);
  expect(await zones.recoverSession("a")).toMatchObject({ entries: [{ offset: end, value: "y" }] });
});

test("ZON-3 a snapshot that no commit takes is refused with its limit", async () => {
  const zones = new World().open({ snapshotBytesMax: 10 });
  await expect(zones.writeSessionState("a", "x".repeat(11), NONE)).rejects.toMatchObject({
    code: "ZONE_TOO_LARGE",
    limit: 10,
    actual: 11,
  });
  await expect(zones.writeSessionState("a", "\ud800", NONE)).rejects.toThrow(TypeError);
  await expect(zones.writeSessionState("a", "{}", { revision: -1, logOffset: 0 })).rejects.toThrow(
    RangeError,
  );
});

test("ZON-3 of two who write one zone, the one with the earlier lease is refused from then on", async () => {
  const { zones } = new World();
  const old = { session: "s", generation: 1 };
  const next = { session: "s", generation: 2 };
  await zones.writeSessionState("a", "1", { ...NONE, fence: old });
  await zones.appendSessionOutput("a", [1], { fence: next });
  const refused = { code: "ZONE_FENCED", expected: 2 };
  await expect(zones.writeSessionState("a", "2", { ...NONE, fence: old })).rejects.toMatchObject(refused);
  await expect(zones.writeSessionState("a", "2", NONE)).rejects.toMatchObject(refused);
  await expect(zones.appendSessionOutput("a", [2], { fence: old })).rejects.toMatchObject({
    ...refused,
    actual: 1,
  });
  await zones.archiveSession("a");
  await expect(zones.appendSessionOutput("a", [2], { fence: old })).rejects.toMatchObject(refused);
  await zones.appendSessionOutput("a", [3], { fence: next });
  expect((await zones.recoverSession("a"))?.entries.map(({ value }) => value)).toEqual([3]);
});

/** A store's own methods, bound: what is replaced beside them is seen by callers alone. */
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
