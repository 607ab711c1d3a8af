import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { Zones } from "@tidemark/zones";
import { expect, test } from "vitest";
import { JournalNetwork } from "../../session-store/test/journal-network.ts";
import type { ZonesImportJson, ZonesJson } from "../src/index.ts";
import { cli, makeStore, Place, type Ran, STORED_AT_MS, treeOf } from "./harness.ts";

const ARCHIVE = `agent:scout:archive:${STORED_AT_MS}`;

async function run(place: Place, line: string, answer?: boolean): Promise<Ran> {
  const around = answer === undefined ? {} : { answer };
  return cli(["zones", ...line.split(" "), "--store", "data/zones"], { cwd: place.dir, ...around });
}

async function previews(place: Place): Promise<(string | null)[]> {
  const { stdout } = await run(place, "ls scout --json");
  const [scout] = (JSON.parse(stdout) as ZonesJson).definitions;
  return [scout?.current?.preview ?? null, ...scout!.archives.map(({ preview }) => preview)];
}

test("CLI-11 ZON-5 ZON-7 zones are listed, archived and restored; a dry run changes nothing, and a change asks", async () => {
  using place = new Place();
  await makeStore(place);
  const list = await run(place, "ls");
  expect(list).toMatchObject({ code: 0, stderr: "" });
  expect(list.stdout).toContain(ARCHIVE);
  expect(await previews(place)).toEqual(["And a train", "Find me a quiet beach"]);
  for (const line of ["archive scout", `restore ${ARCHIVE}`]) {
    expect(await run(place, `${line} --dry-run`)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("would"),
    });
    expect(await run(place, line)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("CLI_UNCONFIRMED"),
    });
    expect(await run(place, line, false)).toMatchObject({ code: 2 });
  }
  expect(await previews(place)).toEqual(["And a train", "Find me a quiet beach"]);
  expect(await run(place, `restore ${ARCHIVE}`, true)).toMatchObject({ code: 0 });
  expect(await previews(place)).toEqual(["Find me a quiet beach", "And a train"]);
  expect(await run(place, "archive scout --yes")).toMatchObject({ code: 0 });
  expect(await previews(place)).toEqual([null, "Find me a quiet beach", "And a train"]);
  expect(await run(place, "archive scout --yes")).toMatchObject({ code: 0, stdout: "nothing to archive\n" });
  expect(await run(place, "ls nobody")).toMatchObject({ code: 0, stdout: "no zones\n" });
  // TIDEMARK_STORE names it, too.
  const env = { TIDEMARK_STORE: place.path("data/zones") };
  expect(await cli(["zones", "ls", "scout", "--limit", "1"], { env })).toMatchObject({ code: 0 });
});

test("CLI-11 ZON-7 retention says what would go, asks, and removes", async () => {
  using place = new Place();
  await makeStore(place);
  await run(place, "archive scout --yes");
  expect(await run(place, "retain scout --keep 5 --yes")).toMatchObject({ stdout: "nothing to remove\n" });
  expect((await run(place, "retain scout --keep 1 --dry-run")).stdout).toContain("WOULD GO");
  expect(await run(place, "retain scout --keep 1")).toMatchObject({ code: 2 });
  expect(await run(place, "retain scout")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--keep"),
  });
  expect(await run(place, "retain scout --keep 0")).toMatchObject({ code: 2 });
  expect((await run(place, "retain scout --max-age 36500d --keep 1 --yes")).stdout).toContain("REMOVED");
  expect(await previews(place)).toEqual([null, "And a train"]);
});

test("CLI-11 ZON-3a zones are exported and imported; a conflict and a failure exit with 1, and nothing else is kept from its place", async () => {
  using place = new Place();
  await makeStore(place);
  expect((await run(place, "export out --dry-run")).code).toBe(0);
  expect(Object.keys(treeOf(place.dir)).filter((name) => name.startsWith("./out"))).toEqual([]);
  expect((await run(place, "export out")).stdout).toMatch(/agent:scout:current +written/);
  expect((await run(place, "export out")).stdout).toMatch(/agent:scout:current +same/);
  expect((await run(place, "import out")).stdout).toMatch(/agent:scout:current +present/);
  mkdirSync(place.path("out/agent+own~1+archive+7"));
  writeFileSync(place.path("out/agent+own~1+archive+7/output"), "1\n");
  expect(await run(place, "import out")).toMatchObject({ code: 2 });
  expect((await run(place, "import out --dry-run")).stdout).toMatch(/agent:Own:archive:7 +archived/);
  expect((await run(place, "import out --agent scout --yes")).stdout).not.toContain("Own");
  const ran = await run(place, "import out --yes --json");
  expect(ran.code).toBe(0);
  expect((JSON.parse(ran.stdout) as ZonesImportJson).zones).toContainEqual({
    zone: "agent:Own:archive:7",
    outcome: "archived",
    archivedAtMs: 7,
    code: null,
    message: null,
  });
  // A line that nobody ends, and that is longer than a line may be.
  writeFileSync(place.path("out/agent+own~1+archive+7/output"), "x".repeat(2 * 1024 * 1024));
  const failed = await run(place, "import out --yes");
  expect(failed.code).toBe(1);
  expect(failed.stdout).toMatch(/agent:Own:archive:7 +failed .*limit/);
  expect(await run(place, "import nowhere --yes")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("CLI_NO_DIRECTORY"),
  });
});

test("CLI-6 CLI-11 ZON-2 what is no store, no agent or no archive is said in one line, and nothing is made", async () => {
  using place = new Place();
  await makeStore(place);
  place.folder("data/empty");
  writeFileSync(place.path("data/file"), "");
  const before = Object.keys(treeOf(place.dir));
  const cases: readonly (readonly [string, number, string])[] = [
    ["ls --store data/empty", 1, "CLI_NOT_A_STORE"],
    ["ls --store data/missing", 1, "CLI_NO_DIRECTORY"],
    ["ls --store data/file", 1, "CLI_NO_DIRECTORY"],
    ["ls", 2, "CLI_USAGE"],
    ["ls ../etc --store data/zones", 2, "INVALID_DEFINITION_ID"],
    ["archive a:b --store data/zones --yes", 2, "INVALID_DEFINITION_ID"],
    ["restore scout --store data/zones", 2, "CLI_USAGE"],
    ["restore agent:scout:current --store data/zones", 2, "CLI_USAGE"],
    ["restore agent:scout:archive:7 --store data/zones", 1, "ZONE_UNKNOWN"],
    ["ls --limit 0 --store data/zones", 2, "CLI_USAGE"],
  ];
  for (const [line, code, name] of cases) {
    const text = await cli(["zones", ...line.split(" ")], { cwd: place.dir });
    expect(text, line).toMatchObject({ code, stdout: "" });
    expect(text.stderr).toMatch(/^tidemark: [^\n]+\n$/);
    expect(text.stderr).toContain(name);
    const json = await cli(["zones", ...line.split(" "), "--json"], { cwd: place.dir });
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: name, exitCode: code } });
  }
  expect(Object.keys(treeOf(place.dir))).toEqual(before);
  rmSync(place.path("data/zones/data.mdb"));
  writeFileSync(place.path("data/zones/data.mdb"), "x".repeat(8_192));
  expect(await run(place, "ls")).toMatchObject({ code: 5, stderr: expect.stringContaining("KV_CORRUPT") });
});

test("CLI-11 ZON-8 zones that travel to other regions are read, and left to the program that has their journal", async () => {
  using place = new Place();
  await makeStore(place);
  const kv = await openLmdbKv({ dir: place.path("data/zones") });
  const journal = new JournalNetwork(["us-east"], { entryBytesMax: 10_000 }).journal("us-east");
  await new Zones({ kv, journal }).writeSessionState("guide", "{}", { revision: 1, logOffset: 0 });
  await kv.close();
  expect((await run(place, "ls guide")).stdout).toContain("agent:guide:current");
  for (const line of ["archive guide --yes", "retain guide --keep 1 --yes", "archive guide --dry-run"])
    expect(await run(place, line)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("CLI_REPLICATED"),
    });
  expect((await run(place, "archive scout --yes")).code).toBe(0);
});
