import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegionStatus } from "@tidemark/region";
import { openRegion } from "@tidemark/region/node";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { expect, test } from "vitest";
import type { StatusJson } from "../src/index.ts";
import { readStatus } from "../src/status-report.ts";
import { cli, makeRegion, Place } from "./harness.ts";

/** A region's status with something changed in it. */
async function planted(dir: string, change: (status: RegionStatus) => object): Promise<void> {
  const status = (await readStatus(dir))!;
  writeFileSync(join(dir, "status.json"), JSON.stringify({ ...status, ...change(status) }));
}

test("CLI-2 status tells what a running region wrote, and how old it is, as text and as JSON", async () => {
  using place = new Place();
  const network = createInProcessNetwork();
  const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
  const open = (name: string): ReturnType<typeof openRegion> =>
    openRegion({
      name,
      members,
      dir: place.path(name),
      transport: network.join(name),
      clusterKey: network.clusterKey,
      bootstrap: name === "us-east",
    });
  const [east, west] = [await open("us-east"), await open("eu-west")];
  try {
    await Promise.all([east.ready(), west.ready()]);
    const session = await east.sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
    await session.hide("the-item");
    await east.synced();
    // What is told once a second has been told with the last look, on close.
    await east.close();
    await planted(place.path("us-east"), ({ health }) => ({
      health: { ...health, status: "ready" },
      writtenAtMs: 1_000_000,
    }));
    const around = { now: () => 1_003_500 };
    const text = await cli(["status", place.path("us-east")], around);
    expect(text).toMatchObject({ code: 0, stderr: "" });
    expect(text.stdout).toMatch(/region +us-east \(1\), member/);
    expect(text.stdout).toMatch(/status +ready, told 3.5 s ago/);
    expect(text.stdout).toMatch(/MEMBER +STATE +LAG +RECORDS +SKEW\neu-west +live/);
    expect(text.stdout).toMatch(/sessions:r00001-s00000-e\d{10} +writing +3 +3 +3 +3 +0/);
    const json = await cli(["status", place.path("us-east"), "--json"], around);
    const value = JSON.parse(json.stdout) as StatusJson;
    expect(value).toMatchObject({
      healthy: true,
      problems: [],
      ageSeconds: 3.5,
      status: { name: "us-east", pid: process.pid },
    });
    // JSON never says less than the table.
    expect(value.status.metrics.peers[0]).toMatchObject({ peer: "eu-west", state: "live", lagRecords: 0 });
    expect(text.stdout + json.stdout).not.toMatch(/the-(session|user|item)/);
  } finally {
    await Promise.all([east.close(), west.close()]);
    await network.close();
  }
});

test("CLI-3 status --check exits with 3 for lag, a gap, a stopped log, a bad status and an old one, and says why", async () => {
  using place = new Place();
  const dir = place.path("data");
  await (await makeRegion(dir)).close();
  const around = { now: () => 10_000_000 };
  const peer = { peer: "eu-west", state: "live", lagRecords: 7, lagSeconds: 1.5, blocksStabilitySeconds: 0 };
  const check = async (
    change: (status: RegionStatus) => object,
    ...flags: string[]
  ): Promise<[number, readonly string[]]> => {
    await planted(dir, (status) => ({
      writtenAtMs: 9_999_000,
      health: { ...status.health, status: "ready", reasons: [] },
      metrics: { ...status.metrics, status: "ready", peers: [], logs: [] },
      ...change(status),
    }));
    const { code, stdout } = await cli(["status", dir, "--check", "--json", ...flags], around);
    return [code, (JSON.parse(stdout) as StatusJson).problems];
  };
  const lagging = ({ metrics }: RegionStatus): object => ({ metrics: { ...metrics, peers: [peer] } });
  expect(await check(() => ({}))).toEqual([0, []]);
  expect(await check(lagging)).toEqual([0, []]);
  expect(await check(lagging, "--max-lag", "1s")).toEqual([3, ["eu-west is 1.5 s and 7 records behind"]]);
  expect(await check(() => ({ writtenAtMs: 9_989_999 }))).toEqual([
    3,
    [expect.stringMatching(/^The status is 10 s old: process \d+ writes it no more$/)],
  ]);
  expect(await check(() => ({ writtenAtMs: 9_989_999 }), "--max-age", "1m")).toEqual([0, []]);
  expect(await check(() => ({ writtenAtMs: 10_100_000 }))).toEqual([
    3,
    ["The status is 100 s ahead of this machine's clock"],
  ]);
  const log = { log: "sessions:r00002-s00000-e0000000001", state: "receiving", gapRecords: 4 };
  const gap = ({ metrics }: RegionStatus): object => ({ metrics: { ...metrics, logs: [log] } });
  expect(await check(gap)).toEqual([3, [`Log ${log.log} misses 4 records`]]);
  const stopped = ({ metrics }: RegionStatus): object => ({
    metrics: { ...metrics, logs: [{ ...log, state: "stopped", reason: "forked" }] },
  });
  expect(await check(stopped)).toEqual([3, [`Log ${log.log} is stopped: forked`]]);
  const degraded = ({ health }: RegionStatus): object => ({
    health: { ...health, status: "degraded", reasons: ["eu-west is silent"] },
  });
  expect(await check(degraded)).toEqual([3, ["eu-west is silent"]]);
  const closed = ({ health }: RegionStatus): object => ({
    health: { ...health, status: "closed" },
    writtenAtMs: 0,
  });
  expect(await check(closed)).toEqual([3, ["The region is closed"]]);
  // Without --check it is told, and is no failure.
  expect(await cli(["status", dir], around)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("The region is closed"),
  });
});

test("CLI-4 colour only on a terminal, and not with NO_COLOR, --no-color or TERM=dumb", async () => {
  using place = new Place();
  const dir = place.path("data");
  await (await makeRegion(dir)).close();
  const colour = "\u001b[";
  expect((await cli(["status", dir], { tty: true })).stdout).toContain(colour);
  expect((await cli(["status", dir])).stdout).not.toContain(colour);
  for (const [flags, env] of [
    [["--no-color"], {}],
    [[], { NO_COLOR: "1" }],
    [[], { TERM: "dumb" }],
  ] as const) {
    expect((await cli(["status", dir, ...flags], { tty: true, env })).stdout).not.toContain(colour);
  }
  expect((await cli(["status", dir], { tty: true, env: { NO_COLOR: "" } })).stdout).toContain(colour);
});

test("CLI-1 the directory is the argument, else TIDEMARK_DIR, else a usage error; paths begin where the command does", async () => {
  using place = new Place();
  await (await makeRegion(place.path("data"))).close();
  expect(await cli(["status", "data"], { cwd: place.dir })).toMatchObject({ code: 0 });
  expect(await cli(["status"], { cwd: place.dir, env: { TIDEMARK_DIR: "data" } })).toMatchObject({ code: 0 });
  const flagWins = await cli(["status", "other"], { cwd: place.dir, env: { TIDEMARK_DIR: "data" } });
  expect(flagWins).toMatchObject({ code: 1, stderr: expect.stringContaining("CLI_NO_DIRECTORY") });
  expect(await cli(["status"], { cwd: place.dir })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("TIDEMARK_DIR"),
  });
});
