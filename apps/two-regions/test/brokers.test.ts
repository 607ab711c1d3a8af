import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SHIPPED_RECORDING } from "../src/cli.ts";
import { expectedState, rounded } from "./expected.ts";
import { hasServer } from "./has-server.ts";
import { someOperations, textOf } from "./lines.ts";
import { demo } from "./process.ts";

const utf8 = new TextEncoder();

/** The processes of the regions in a directory, as each says in its own status. */
function processesIn(dir: string): number[] {
  return ["us-east", "eu-west", "ap-south"].map(
    (name) => JSON.parse(readFileSync(join(dir, name, "status.json"), "utf8")).pid,
  );
}

/** Temporary folders of the demo and of its server. */
function leftIn(dir: string): string[] {
  return readdirSync(dir).filter((name) => name.startsWith("tidemark-"));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

for (const broker of ["nats", "redis"] as const) {
  describe.skipIf(!(await hasServer(broker)))(`APP-2 the demo over ${broker}`, { timeout: 120_000 }, () => {
    let dir = "";
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), "two-regions-test-"));
    });
    afterEach(() => rmSync(dir, { recursive: true, maxRetries: 3 }));
    const inside = (name: string): string => join(dir, name);
    const readState = (name: string): unknown => JSON.parse(readFileSync(inside(name), "utf8"), rounded);
    /** A temporary folder of the demo's own, to see what it leaves there. */
    const env = (): NodeJS.ProcessEnv => ({ NATS_URL: "", REDIS_URL: "", TMPDIR: dir });

    test("SES-15 starts a broker, gives each region a process, and kills one of them on the way", async () => {
      const bytes = readFileSync(SHIPPED_RECORDING);
      const args = ["--transport", broker, "--processes", "--json", "--state", inside("state.json")];
      const outcome = await demo([SHIPPED_RECORDING, ...args], { env: env() });
      expect(outcome).toMatchObject({ status: 0, stderr: "" });
      const report = JSON.parse(outcome.stdout);
      expect(report).toMatchObject({
        ok: true,
        transport: broker,
        operations: 748,
        refused: 2,
        hiddenShown: 0,
        lostOps: 0,
        doubleApplied: 0,
        roam: { ownWritesMissing: 0 },
        certificatesEqual: true,
        killed: { region: expect.stringMatching(/^(us-east|eu-west)$/) },
      });
      expect(
        report.regions.map(({ name, role, opsApplied }: Record<string, unknown>) => [name, role, opsApplied]),
      ).toEqual([
        ["us-east", "member", 746],
        ["eu-west", "member", 746],
        ["ap-south", "follower", 746],
      ]);
      expect(report.roam.duringPartition).toBeGreaterThan(0);
      expect(report.killed.afterOperations).toBeGreaterThan(300);
      expect(Object.keys(report.killed)).toEqual(["region", "afterOperations", "downMs"]);
      expect(report.visibilityLagMs.p50).toBeGreaterThan(0);
      expect(readState("state.json")).toEqual(expectedState(bytes));
      expect(leftIn(dir)).toEqual([]);
    });

    test("plays regions of one process as well, and tells the same story", async () => {
      const stdin = textOf(someOperations(3, 120));
      const args = ["--transport", broker, "--state", inside("state.json")];
      const { status, stdout, stderr } = await demo(args, { stdin, env: env() });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatch(/the link between us-east and eu-west is cut/);
      expect(stdout).not.toMatch(/kill -9/);
      expect(stdout.endsWith("\nEvery promise held.\n")).toBe(true);
      expect(readState("state.json")).toEqual(expectedState(utf8.encode(stdin)));
    });
  });
}

describe.skipIf(!(await hasServer("nats")))("APP-2 the demo and its processes", { timeout: 120_000 }, () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "two-regions-test-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, maxRetries: 3 }));

  test("leaves nothing running when it is killed with kill -9, and goes on where it was", async () => {
    const stdin = textOf(someOperations(21, 200));
    const place = join(dir, "d");
    const args = ["-", "--transport", "nats", "--processes", "--dir", place];
    const env = { NATS_URL: "", TMPDIR: dir };
    const killed = await demo(args, { stdin, env, killAt: /is killed with kill -9/ });
    expect(killed).toMatchObject({ status: "SIGKILL" });
    const pids = processesIn(place);
    await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]), { timeout: 20_000 });
    // The server's folder goes with the server.
    await vi.waitFor(() => expect(leftIn(dir)).toEqual([]), { timeout: 20_000 });
    const state = join(dir, "state.json");
    const { status, stdout } = await demo([...args, "--json", "--state", state], { stdin, env });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, transport: "nats" });
    expect(JSON.parse(readFileSync(state, "utf8"), rounded)).toEqual(expectedState(utf8.encode(stdin)));
  });
});

describe("APP-2 what the demo refuses", { timeout: 60_000 }, () => {
  test.each<[string, number, readonly string[], NodeJS.ProcessEnv, RegExp]>([
    ["processes without a broker", 2, ["--transport", "inprocess", "--processes"], {}, /needs --transport/],
    [
      "a broker that is not there",
      2,
      ["--transport", "nats", "--nats", "nats://127.0.0.1:1"],
      {},
      /Cannot reach/,
    ],
    [
      "a broker that is no URL",
      2,
      ["--transport", "redis"],
      { REDIS_URL: "here" },
      /give a URL such as redis:/,
    ],
    ["a wire it cannot cut", 2, ["--transport", "redis", "--redis", "rediss://h"], {}, /cuts its own wires/],
    ["no server to start", 1, ["--transport", "nats"], { NATS_SERVER_BIN: "/nothing" }, /--nats URL.*_BIN/],
  ])("%s: exits with %i and one line", async (_, code, args, env, why) => {
    const { status, stdout, stderr } = await demo(["--json", ...args], {
      env: { NATS_URL: "", REDIS_URL: "", ...env },
    });
    expect({ status, stdout }).toEqual({ status: code, stdout: "" });
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toMatch(why);
  });
});
