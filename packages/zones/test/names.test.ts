import { openMemoryKv } from "@tidemark/kv";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  archiveZoneName,
  currentZoneName,
  DEFINITION_ID_LENGTH_MAX,
  guardDefinitionId,
  isDefinitionId,
  OUTPUT_FILE,
  parseZoneName,
  STATE_FILE,
  Zones,
  type ZonesError,
} from "../src/index.ts";

const BAD = ["", "../etc", "a:b", "a/b", "a b", "a\0b", "café", "a.b", "ａ", "a\n", "x".repeat(129)];

test("ZON-1 A-3 A-4 A-5 zones and their files have fixed names, and a name says what it names", () => {
  expect(currentZoneName("scout")).toBe("agent:scout:current");
  expect(archiveZoneName("scout", 1_790_000_000_000)).toBe("agent:scout:archive:1790000000000");
  expect([STATE_FILE, OUTPUT_FILE]).toEqual(["output.state.json", "output"]);
  expect(parseZoneName("agent:scout:current")).toEqual({ definition: "scout" });
  expect(parseZoneName("agent:scout:archive:12")).toEqual({ definition: "scout", archivedAtMs: 12 });
  for (const name of [
    "agent:scout:archive:",
    "agent:scout:archive:012",
    "agent:scout:archive:1.5",
    "agent:scout:archive:-1",
    "agent:scout:archive:9999999999999999",
    "agent::current",
    "agent:a b:current",
    "block:scout:current",
    "agent:scout:current:x",
  ])
    expect(parseZoneName(name), name).toBeUndefined();
});

test("ZON-2 A-6 A-7 A-8 an id is 1 to 128 ASCII letters, digits, _ and -", () => {
  for (const id of ["a", "abc-123_DEF", "x".repeat(DEFINITION_ID_LENGTH_MAX)])
    expect(isDefinitionId(id)).toBe(true);
  for (const id of BAD) expect(isDefinitionId(id), JSON.stringify(id)).toBe(false);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 20 }), (id) => {
      const bytes = new TextEncoder().encode(id);
      const fine = bytes.length > 0 && bytes.length <= 128 && bytes.every((byte) => byte < 128);
      expect(isDefinitionId(id)).toBe(fine && /^[\w-]*$/.test(id) && !id.includes("\n"));
    }),
  );
});

test("ZON-2 A-9 A-10 the builders refuse what is no id with a code, and a text that begins with it", () => {
  for (const id of [...BAD, undefined as unknown as string, 7 as unknown as string]) {
    for (const build of [currentZoneName, guardDefinitionId, (one: string) => archiveZoneName(one, 1)]) {
      const error = caught(() => build(id));
      expect(error.code).toBe("INVALID_DEFINITION_ID");
      expect(error.message).toMatch(/^INVALID_DEFINITION_ID: [ -~]+$/);
    }
  }
  expect(() => archiveZoneName("a", -1)).toThrow(RangeError);
});

test("ZON-2 A-11 every call that takes an id refuses a bad one before it touches the store", async () => {
  const kv = openMemoryKv();
  await kv.close();
  const zones = new Zones({ kv });
  const calls: readonly ((id: string) => Promise<unknown>)[] = [
    (id) => zones.writeSessionState(id, "{}", { revision: 1, logOffset: 0 }),
    (id) => zones.readSessionState(id),
    (id) => zones.recoverSession(id),
    (id) => zones.currentSession(id),
    (id) => zones.appendSessionOutput(id, [1]),
    (id) => zones.appendSessionLine(id, "1"),
    (id) => zones.archiveSession(id),
    (id) => zones.listArchives(id),
    (id) => zones.readArchive(id, 1),
    (id) => zones.archivedContent(id, 1),
    (id) => zones.currentContent(id),
    (id) => zones.restoreArchive(id, 1),
    (id) => zones.deleteArchive(id, 1),
    (id) => zones.retain(id, { keepMax: 1 }),
    (id) => zones.sweep(id),
    (id) => zones.isReplicated(id),
  ];
  for (const call of calls) {
    for (const id of BAD) await expect(call(id)).rejects.toMatchObject({ code: "INVALID_DEFINITION_ID" });
    // The store is closed: a good id gets as far as that.
    await expect(call("scout")).rejects.toMatchObject({ code: "STORE_CLOSED" });
  }
});

function caught(run: () => unknown): ZonesError {
  try {
    run();
  } catch (error) {
    return error as ZonesError;
  }
  throw new Error("It did not throw");
}
