import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkNode, checkRights } from "../src/checks.ts";
import type { DoctorJson } from "../src/index.ts";
import { DAMAGE } from "./damage.ts";
import { cli, makeRegion, Place } from "./harness.ts";

async function checksOf(
  dir: string,
  now: () => number = Date.now,
): Promise<{ code: number; checks: Record<string, string> }> {
  const { code, stdout } = await cli(["doctor", dir, "--json"], { now });
  const { checks } = JSON.parse(stdout) as DoctorJson;
  return { code, checks: Object.fromEntries(checks.map(({ check, result }) => [check, result])) };
}

test("CLI-8 doctor finds a sound directory sound, open or closed, and says it as text too", async () => {
  using place = new Place();
  const region = await makeRegion(place.path("data"));
  try {
    const { code, checks } = await checksOf(place.path("data"));
    expect(code).toBe(0);
    expect(new Set(Object.values(checks))).toEqual(new Set(["ok"]));
  } finally {
    await region.close();
  }
  const text = await cli(["doctor", place.path("data")]);
  expect(text).toMatchObject({ code: 0, stderr: "" });
  expect(text.stdout).toMatch(/^RESULT +CHECK +FOUND\nok +node +v\d+/);
  expect(text.stdout).toMatch(/ok +status +closed in good order/);
});

test("CLI-8 doctor warns of a clock that went back, or whose file is damaged", async () => {
  using place = new Place();
  const dir = place.path("data");
  await (await makeRegion(dir)).close();
  expect((await checksOf(dir, () => Date.now() - 3_600_000)).checks).toMatchObject({ clock: "warn" });
  writeFileSync(join(dir, "clock"), "garbage");
  expect((await checksOf(dir)).checks).toMatchObject({ clock: "warn" });
});

test("CLI-8 doctor tells a process that ended without closing from one that hangs", async () => {
  using place = new Place();
  const dir = place.path("data");
  const region = await makeRegion(dir);
  const later = (): number => Date.now() + 60_000;
  try {
    const hangs = await cli(["doctor", dir], { now: later });
    expect(hangs.code).toBe(3);
    expect(hangs.stdout).toMatch(/fail +status .*process \d+ has the directory open: it hangs/);
  } finally {
    await region.close();
  }
  const status = JSON.parse(readFileSync(join(dir, "status.json"), "utf8")) as { health: object };
  writeFileSync(
    join(dir, "status.json"),
    JSON.stringify({ ...status, health: { ...status.health, status: "ready" } }),
  );
  const ended = await cli(["doctor", dir], { now: later });
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/warn +status .*ended without closing the region/);
  rmSync(join(dir, "status.json"));
  expect((await checksOf(dir)).checks).toMatchObject({ status: "warn" });
});

test("CLI-8 doctor finds damage, names the file, and exits with 5; a directory that may not be written fails with 3", async () => {
  using place = new Place();
  const dir = place.path("data");
  await DAMAGE.find(({ name }) => name === "with a flipped bit in a sealed segment")!.make(dir);
  const { code, stdout } = await cli(["doctor", dir]);
  expect(code).toBe(5);
  expect(stdout).toMatch(/fail +logs +\w+ in sessions\/r00009.* see `tidemark wal verify`/);
  const rights = await checkRights({ dir: place.path("nowhere"), nowMs: 0, holder: undefined });
  expect(rights.result).toBe("fail");
});

test("CLI-8 doctor fails on a Node that is too old", () => {
  expect(checkNode("v20.18.9").result).toBe("fail");
  expect(checkNode("v18.20.0").result).toBe("fail");
  for (const version of ["v20.19.0", "v22.1.0", "v26.0.0"]) expect(checkNode(version).result).toBe("ok");
});
