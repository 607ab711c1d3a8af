import { writeFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { EXIT } from "../src/index.ts";
import type { WalDumpJson, WalInspectJson, WalVerifyJson } from "../src/index.ts";
import { Output } from "../src/output.ts";
import { ByteProgress } from "../src/progress.ts";
import { DAMAGE } from "./damage.ts";
import { cli, makeMember, makeRegion, Place } from "./harness.ts";

async function damaged(place: Place, name: string): Promise<string> {
  const dir = place.path("data");
  await DAMAGE.find((day) => day.name === name)!.make(dir);
  return dir;
}

test("CLI-2 wal inspect and wal dump agree, in text and in JSON, about logs, LSNs and sizes", async () => {
  using place = new Place();
  const dir = place.path("data");
  await makeMember(dir);
  const inspected = JSON.parse((await cli(["wal", "inspect", dir, "--json"])).stdout) as WalInspectJson;
  const records = JSON.parse((await cli(["wal", "dump", dir, "--hex", "--json"])).stdout) as WalDumpJson[];
  const [log] = inspected.logs;
  expect(records.map(({ lsn }) => lsn)).toEqual([1, 2, 3]);
  expect(log).toMatchObject({ first: 1, last: 3, durable: 3, ended: false });
  for (const { log: name, bytes, hex } of records) {
    expect(name).toBe(log!.log);
    expect(hex).toHaveLength(bytes * 2);
  }
  const text = (await cli(["wal", "dump", dir, "--hex"])).stdout.trimEnd().split("\n");
  expect(text).toEqual(
    records.map(
      ({ log: name, lsn, type, bytes, hex }) => `${name}  ${lsn}  type ${type}  ${bytes} B  ${hex}`,
    ),
  );
  // Bodies are personal data: only where they are asked for.
  const plain = await cli(["wal", "dump", dir]);
  expect(plain.stdout).not.toMatch(/[0-9a-f]{40}/);
  for (const file of log!.segments.map((segment) => segment.file))
    expect((await cli(["wal", "inspect", dir])).stdout).toContain(file);
});

test("CLI-2 wal inspect knows every file that a running region keeps, and names one that is nobody's", async () => {
  using place = new Place();
  const dir = place.path("data");
  const region = await makeRegion(dir, { encryption: true });
  try {
    const inspect = async (): Promise<WalInspectJson> =>
      JSON.parse((await cli(["wal", "inspect", dir, "--json"])).stdout) as WalInspectJson;
    expect(await inspect()).toMatchObject({ unknown: [], holder: `process ${process.pid}` });
    writeFileSync(place.path("data", "notes.txt"), "");
    expect(await inspect()).toMatchObject({ unknown: ["notes.txt"] });
  } finally {
    await region.close();
  }
});

test("CLI-2 wal dump takes a range and a log, and says nothing with an empty array", async () => {
  using place = new Place();
  const dir = place.path("data");
  await makeMember(dir);
  const lsns = async (...flags: string[]): Promise<number[]> =>
    (JSON.parse((await cli(["wal", "dump", dir, "--json", ...flags])).stdout) as WalDumpJson[]).map(
      ({ lsn }) => lsn,
    );
  expect(await lsns("--from", "2")).toEqual([2, 3]);
  expect(await lsns("--to", "1")).toEqual([1]);
  expect(await lsns("--from", "9")).toEqual([]);
  const absent = await cli(["wal", "dump", dir, "--log", "sessions:r00007-s00000-e0000000001"]);
  expect(absent).toMatchObject({ code: EXIT.usage, stdout: "" });
  for (const flags of [
    ["--log", "sessions"],
    ["--from", "0"],
    ["--to", "x"],
  ])
    expect(await cli(["wal", "dump", dir, ...flags])).toMatchObject({ code: EXIT.usage });
});

test("scenario 3 wal verify calls a torn tail a torn tail: no damage, and nothing to repair", async () => {
  using place = new Place();
  const dir = await damaged(place, "with a torn tail");
  const { code, stdout } = await cli(["wal", "verify", dir, "--json"]);
  const found = JSON.parse(stdout) as WalVerifyJson;
  expect(code).toBe(EXIT.ok);
  expect(found).toMatchObject({
    sound: true,
    openable: true,
    findings: [{ kind: "torn-tail", blocks: false }],
  });
  expect((await cli(["wal", "verify", dir])).stdout).toMatch(
    /torn-tail .*\n\n.*sound, but for what a crash left\n$/,
  );
});

describe.each([
  ["with a torn segment before a valid one", "scenario 4"],
  ["with a flipped bit in a sealed segment", "scenario 5"],
  ["with damage below the watermark", "scenario 6"],
])("%s", (name, scenario) => {
  test(`${scenario} wal verify names file, place and LSNs, and dump prints what is good before it`, async () => {
    using place = new Place();
    const dir = await damaged(place, name);
    const verified = await cli(["wal", "verify", dir, "--json"]);
    const found = JSON.parse(verified.stdout) as WalVerifyJson;
    expect(verified.code).toBe(EXIT.corrupt);
    expect(found).toMatchObject({ sound: false, openable: false });
    const [finding] = found.findings;
    expect(["corruption", "gap"]).toContain(finding!.kind);
    expect(finding!.file).toMatch(/^sessions\/r00009/);
    const dumped = await cli(["wal", "dump", dir, "--log", finding!.log!, "--json"]);
    const records = JSON.parse(dumped.stdout) as WalDumpJson[];
    expect(dumped.code).toBe(EXIT.corrupt);
    expect(records.map(({ lsn }) => lsn)).toEqual(
      Array.from({ length: finding!.from! - 1 }, (_, index) => index + 1),
    );
    expect((await cli(["wal", "verify", dir])).stdout).toContain(finding!.message);
  });
});

test("CLI-1 wal verify that is interrupted exits with 130 and prints no verdict", async () => {
  using place = new Place();
  const dir = place.path("data");
  await makeMember(dir);
  const ran = await cli(["wal", "verify", dir], { signal: AbortSignal.abort(new Error("Interrupted")) });
  expect(ran).toMatchObject({
    code: EXIT.interrupted,
    stdout: "",
    stderr: expect.stringContaining("CLI_INTERRUPTED"),
  });
});

test.each([
  ["on a terminal", { isTTY: true, quiet: false, env: {} }, true],
  ["on a pipe", { isTTY: false, quiet: false, env: {} }, false],
  ["with --quiet", { isTTY: true, quiet: true, env: {} }, false],
  ["on a dumb terminal", { isTTY: true, quiet: false, env: { TERM: "dumb" } }, false],
])("CLI-4 progress %s", (_, { isTTY, quiet, env }, shown) => {
  let drawn = "";
  const terminal = Object.assign(new PassThrough(), {
    isTTY,
    columns: 80,
    cursorTo: () => true,
    clearLine: () => true,
  });
  terminal.on("data", (part) => (drawn += String(part)));
  const stream = { write: () => true, isTTY, drained: () => Promise.resolve() };
  const io = {
    stdout: stream,
    stderr: stream,
    env,
    cwd: "",
    now: () => 0,
    signal: new AbortController().signal,
    terminal: terminal as unknown as NodeJS.WriteStream,
  };
  const progress = new ByteProgress(io, new Output(io, { quiet }));
  progress.show({ bytesDone: 0, bytesTotal: 2 ** 30 });
  progress.show({ bytesDone: 2 ** 29, bytesTotal: 2 ** 30 });
  progress.stop();
  expect(drawn.includes("1 GiB")).toBe(shown);
  expect(drawn === "").toBe(!shown);
});
