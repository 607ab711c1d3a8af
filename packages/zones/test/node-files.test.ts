import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { archiveZoneName, currentZoneName } from "../src/index.ts";
import { formatZoneFolder, parseZoneFolder } from "../src/node/zone-folder.ts";
import { nodeZoneFiles } from "../src/node.ts";
import { allFiles, fileOf } from "./failing-files.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "zones-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/);

test("ZON-2 A-8 folders of zones that differ are different, also where case does not count; and each is read back", () => {
  const zone = fc.oneof(
    id.map((one) => currentZoneName(one)),
    fc.tuple(id, fc.nat()).map(([one, ms]) => archiveZoneName(one, ms)),
  );
  fc.assert(
    fc.property(zone, (name) => {
      const folder = formatZoneFolder(name)!;
      expect(folder).toBe(folder.toLowerCase());
      expect(folder.length).toBeLessThan(256);
      expect(parseZoneFolder(folder)).toBe(name);
    }),
  );
  fc.assert(
    fc.property(zone, zone, (a, b) => {
      expect(formatZoneFolder(a) === formatZoneFolder(b)).toBe(a === b);
    }),
  );
  expect([..."Ab aB AB ab".split(" ")].map((one) => formatZoneFolder(currentZoneName(one)))).toEqual([
    "agent+ab~1+current",
    "agent+ab~2+current",
    "agent+ab~3+current",
    "agent+ab+current",
  ]);
  for (const name of [
    "agent+ab~0+current",
    "agent+ab~4+current",
    "agent+AB+current",
    "agent+1~1+current",
    "x",
    "agent+a+archive+07",
    "agent+a+current+7",
  ])
    expect(parseZoneFolder(name), name).toBeUndefined();
});

test("ZON-2 A-8 A-5 agents whose ids differ by case alone have files of their own", async () => {
  const files = nodeZoneFiles(dir);
  await files.write(currentZoneName("Scout"), "output", fileOf("1\n"));
  await files.write(currentZoneName("scout"), "output", fileOf("2\n"));
  await files.write(currentZoneName("scout"), "output.state.json", fileOf("{}", 5_678));
  expect(await files.zones()).toEqual(["agent:Scout:current", "agent:scout:current"]);
  expect(await allFiles(files)).toEqual({
    "agent:Scout:current output": "1000 1\n",
    "agent:scout:current output": "1000 2\n",
    "agent:scout:current output.state.json": "5678 {}",
  });
  await files.remove(currentZoneName("Scout"));
  await files.remove(currentZoneName("Scout"));
  expect(await files.zones()).toEqual(["agent:scout:current"]);
  expect(await files.files(currentZoneName("Scout"))).toEqual([]);
  expect(await files.read(currentZoneName("Scout"), "output")).toBeUndefined();
});

test("ZON-3 A-13 a file is replaced whole; what a crash left of a write is no file", async () => {
  const files = nodeZoneFiles(dir);
  const zone = currentZoneName("a");
  await files.write(zone, "output", fileOf("old"));
  writeFileSync(join(dir, "agent+a+current", ".writing-1"), "ha");
  await files.write(zone, "output", fileOf("new"));
  expect(await allFiles(files)).toEqual({ "agent:a:current output": "1000 new" });
  expect(readdirSync(join(dir, "agent+a+current")).toSorted()).toEqual([".writing-1", "output"]);
  await files.remove(zone);
  expect(readdirSync(dir)).toEqual([]);
});

test("ZON-4 folders that another program named are read, moved and removed under the names they have", async () => {
  mkdirSync(join(dir, "agent:Own:archive:7"));
  writeFileSync(join(dir, "agent:Own:archive:7", "output"), "1\n");
  mkdirSync(join(dir, "agent:Own:archive:x"));
  mkdirSync(join(dir, "block:7"));
  writeFileSync(join(dir, "agent:b:current"), "a file");
  const files = nodeZoneFiles(dir);
  expect(await files.zones()).toEqual(["agent:Own:archive:7"]);
  expect(new TextDecoder().decode((await files.read("agent:Own:archive:7", "output"))?.bytes)).toBe("1\n");
  await files.remove("agent:Own:archive:7");
  expect(await files.zones()).toEqual([]);
});

test("ZON-2 no name is a path, a file that is too long is refused before it is read, and a machine that refuses is an error with its cause", async () => {
  const files = nodeZoneFiles(dir);
  const refused = { code: "ZONE_FILES_FAILED" };
  for (const zone of ["../etc", "agent:../etc:current", "x"])
    await expect(files.read(zone, "output")).rejects.toMatchObject(refused);
  for (const file of ["../output", "", ".", "..", "a/b", ".writing-1", "a\0"])
    await expect(files.write(currentZoneName("a"), file, fileOf(""))).rejects.toMatchObject(refused);
  await files.write(currentZoneName("a"), "output", fileOf("12345"));
  await expect(files.read(currentZoneName("a"), "output", { bytesMax: 4 })).rejects.toMatchObject({
    code: "ZONE_TOO_LARGE",
    limit: 4,
    actual: 5,
  });
  writeFileSync(join(dir, "file"), "");
  await expect(nodeZoneFiles(join(dir, "file")).zones()).rejects.toMatchObject({
    ...refused,
    cause: { code: "ENOTDIR" },
  });
});
