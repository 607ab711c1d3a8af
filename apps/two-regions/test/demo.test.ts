import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SHIPPED_RECORDING } from "../src/cli.ts";
import { Recording } from "../src/recording.ts";
import { surveyRecording } from "../src/survey.ts";
import { expectedState, rounded } from "./expected.ts";
import { someOperations, textOf } from "./lines.ts";
import { demo, type Outcome } from "./process.ts";

const utf8 = new TextEncoder();
const start = { op: "start", session: "s", user: "u", agent: "a" };

describe("APP-1 APP-3 the demo as a process", { timeout: 120_000 }, () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "two-regions-test-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const inside = (name: string): string => join(dir, name);
  const readState = (name: string): unknown => JSON.parse(readFileSync(inside(name), "utf8"), rounded);
  const failsWithOneLine = ({ status, stdout, stderr }: Outcome): void => {
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^[^\n]+\n$/);
  };

  test("prints exactly one JSON object with --json, and writes --state below INIT_CWD", async () => {
    const bytes = readFileSync(SHIPPED_RECORDING);
    const outcome = await demo(["--json", "--state", "state.json"], {
      stdin: bytes.toString("utf8"),
      env: { INIT_CWD: dir },
    });
    expect(outcome).toMatchObject({ status: 0, stderr: "" });
    const report = JSON.parse(outcome.stdout);
    expect(Object.keys(report)).toEqual([
      "ok",
      "transport",
      "operations",
      "refused",
      "malformed",
      "regions",
      "visibilityLagMs",
      "hiddenShown",
      "lostOps",
      "doubleApplied",
      "roam",
      "certificatesEqual",
    ]);
    expect(report).toMatchObject({
      ok: true,
      operations: 748,
      refused: 2,
      malformed: 0,
      transport: "inprocess",
    });
    expect(report.regions.map((region: object) => Object.keys(region))).toEqual(
      Array(3).fill([
        "name",
        "role",
        "opsApplied",
        "duplicates",
        "withheld",
        "walSegments",
        "durableLsn",
        "digest",
      ]),
    );
    expect(
      report.regions.map(({ name, role, opsApplied }: Record<string, unknown>) => [name, role, opsApplied]),
    ).toEqual([
      ["us-east", "member", 746],
      ["eu-west", "member", 746],
      ["ap-south", "follower", 746],
    ]);
    expect(Object.keys(report.visibilityLagMs)).toEqual(["p50", "p99", "max"]);
    expect(Object.keys(report.roam)).toEqual(["sessions", "duringPartition", "deferred", "ownWritesMissing"]);
    expect(report.roam.duringPartition).toBeGreaterThan(0);
    expect(readState("state.json")).toEqual(expectedState(bytes));
  });

  test("plays the rest of a recording with malformed lines, reports them, and exits with 2", async () => {
    const lines = [
      "\ufeff",
      "{",
      { op: "hide", session: "s", item: "" },
      start,
      { op: "hide", session: "s", item: "i" },
    ];
    writeFileSync(inside("in.ndjson"), textOf(lines));
    const { status, stdout, stderr } = await demo(["in.ndjson", "--json"], { env: { INIT_CWD: dir } });
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, operations: 2, refused: 0, malformed: 2 });
    expect(stderr).toBe(
      'line 2: expected one JSON object\nline 3: expected "item" to have 1 to 128 UTF-8 bytes\n',
    );
  });

  test("prints zeros for empty input", async () => {
    const { status, stdout } = await demo(["--json", "--state", inside("state.json")]);
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ ok: true, operations: 0, refused: 0, malformed: 0, lostOps: 0 });
    expect(report).toMatchObject({ visibilityLagMs: { p50: 0, p99: 0, max: 0 }, certificatesEqual: true });
    expect(report.regions.map(({ opsApplied }: Record<string, unknown>) => opsApplied)).toEqual([0, 0, 0]);
    expect(readState("state.json")).toEqual(expectedState(new Uint8Array()));
  });

  test("tells the story in plain lines on a pipe", async () => {
    const { status, stdout } = await demo(["-", "--speed", "5000"], { stdin: textOf(someOperations(3, 60)) });
    expect(status).toBe(0);
    expect(stdout).toMatch(/the link between us-east and eu-west is cut/);
    expect(stdout).toMatch(/the link is healed/);
    expect(stdout).toMatch(/hidden items shown +0\n/);
    expect(stdout.endsWith("\nEvery promise held.\n")).toBe(true);
    // eslint-disable-next-line no-control-regex
    expect(stdout).not.toMatch(/\u001b/);
  });

  test.each<[string, readonly string[]]>([
    ["an unknown flag", ["--sede", "1"]],
    ["a bad seed", ["--seed", "x"]],
    ["a bad speed", ["--speed", "0"]],
    ["a file that is not there", ["nothing-here.ndjson"]],
    ["a directory as a file", ["src"]],
    ["a state below nothing", ["--state", "nothing-here/state.json"]],
    ["a directory that is a file", ["--dir", "package.json"]],
    ["a directory of something else", ["--dir", "src"]],
  ])("exits with 2 and one line on standard error for %s", async (_, args) => {
    failsWithOneLine(await demo(args));
  });

  test("removes its temporary directory, also when it is interrupted", async () => {
    const stdin = textOf(someOperations(3, 200));
    const env = { TMPDIR: dir, TMP: dir, TEMP: dir };
    expect(await demo(["--json"], { stdin, env })).toMatchObject({ status: 0 });
    expect(readdirSync(dir).filter((name) => name.startsWith("tidemark-"))).toEqual([]);
    const interrupted = await demo([], { stdin, env, killAt: /is cut/, signal: "SIGTERM" });
    expect(interrupted).toMatchObject({ status: 128 + 15 });
    expect(readdirSync(dir).filter((name) => name.startsWith("tidemark-"))).toEqual([]);
  });

  test("refuses a directory of another recording or seed, and changes nothing in it", async () => {
    const stdin = textOf([start]);
    expect(await demo(["--json", "--dir", inside("d")], { stdin })).toMatchObject({ status: 0 });
    const before = readdirSync(inside("d"), { recursive: true }).toSorted();
    failsWithOneLine(await demo(["--json", "--dir", inside("d")], { stdin: textOf([start, start]) }));
    failsWithOneLine(await demo(["--json", "--dir", inside("d"), "--seed", "2"], { stdin }));
    expect(readdirSync(inside("d"), { recursive: true }).toSorted()).toEqual(before);
  });

  test("goes on after kill -9 at any moment, with the same result", async () => {
    const lines = someOperations(21, 400);
    const stdin = textOf(lines);
    const expected = expectedState(utf8.encode(stdin));
    const args = ["-", "--dir", inside("d"), "--seed", "5"];
    for (const killAt of [/operations of/, /is cut/, /is healed/, /waiting until/]) {
      expect(await demo(args, { stdin, killAt })).toMatchObject({ status: expect.stringMatching("SIGKILL") });
      expect(existsSync(inside("d"))).toBe(true);
    }
    for (const state of ["first.json", "second.json"]) {
      const { status, stdout } = await demo([...args, "--json", "--state", inside(state)], { stdin });
      const report = JSON.parse(stdout);
      const survey = surveyRecording(new Recording(utf8.encode(stdin)), () => {});
      expect(status).toBe(0);
      expect(report).toMatchObject({ ok: true, operations: survey.operations, refused: survey.refused });
      expect(report.regions.map(({ opsApplied }: Record<string, unknown>) => opsApplied)).toEqual(
        Array(3).fill(survey.accepted),
      );
      expect(readState(state)).toEqual(expected);
    }
  });
});
