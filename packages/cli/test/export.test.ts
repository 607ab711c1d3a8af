import { readFileSync, statSync } from "node:fs";
import type { ExportRow } from "@tidemark/region";
import { exportSignals, openRegion } from "@tidemark/region/node";
import { expect, test } from "vitest";
import { EXIT } from "../src/index.ts";
import type { ExportJson } from "../src/index.ts";
import { cli, Place } from "./harness.ts";

/** A directory with two signals a day apart and a hide, and what an export of it gives. */
async function exported(dir: string): Promise<{ dayMs: number; rows: ExportRow[] }> {
  const dayMs = Date.parse("2026-03-01");
  const region = await openRegion({ dir });
  const session = await region.sessions.start({ id: "s", user: "ada", agent: "scout" });
  await session.signal("book", "save", 1, { eventTimeMs: dayMs });
  await session.signal("film", "save", 2, { eventTimeMs: dayMs + 86_400_000 });
  await session.hide("noise");
  await region.close();
  const rows: ExportRow[] = [];
  for await (const row of exportSignals(dir, { sinceMs: dayMs })) rows.push(row);
  return { dayMs, rows };
}

function linesOf(text: string): unknown[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}

test("SIG-4 export prints the rows of the logs as JSON Lines, and the summary beside them", async () => {
  using place = new Place();
  const dir = place.path("data");
  const { rows } = await exported(dir);
  expect(rows).toHaveLength(3);
  const text = await cli(["export", dir, "--since", "2026-03-01"]);
  expect(text.code).toBe(EXIT.ok);
  expect(linesOf(text.stdout)).toEqual(rows);
  expect(text.stderr).toMatch(/signals +2\nhides +1\n/);
  const quiet = await cli(["export", dir, "--since", "2026-03-01", "--quiet"]);
  expect(quiet).toMatchObject({ stdout: text.stdout, stderr: "" });
  const json = await cli(["export", dir, "--since", "2026-03-01", "--json"]);
  expect(json.stdout).toBe(text.stdout);
  expect(JSON.parse(json.stderr)).toMatchObject({ signals: 2, hides: 1 });
});

test("SIG-4 export takes dates, milliseconds and spans ago, of which at least one", async () => {
  using place = new Place();
  const dir = place.path("data");
  const { dayMs } = await exported(dir);
  const items = async (...flags: string[]): Promise<unknown[]> =>
    linesOf((await cli(["export", dir, ...flags], { now: () => dayMs + 2 * 86_400_000 })).stdout).flatMap(
      (row) => ("entity" in (row as object) ? [(row as { entity: string }).entity] : []),
    );
  expect(await items("--since", "2026-03-02")).toEqual(["film"]);
  expect(await items("--until", "2026-03-02")).toEqual(["book"]);
  expect(await items("--since", String(dayMs), "--until", String(dayMs + 1))).toEqual(["book"]);
  expect(await items("--since", "36h")).toEqual(["film"]);
  expect(await items("--since", "3d")).toEqual(["book", "film"]);
  for (const flags of [[], ["--since", "soon"], ["--since", "5"], ["--since", "1d", "--until", "2d"]]) {
    const ran = await cli(["export", dir, ...flags]);
    expect(ran, flags.join(" ")).toMatchObject({ code: EXIT.usage, stdout: "" });
    expect(ran.stderr).toContain("CLI_USAGE");
  }
});

test("SIG-4 export --out writes a file that is its owner's alone, and never replaces one", async () => {
  using place = new Place();
  const dir = place.path("data");
  const { rows } = await exported(dir);
  const argv = ["export", dir, "--since", "2026-03-01", "--out", "rows.jsonl"];
  const ran = await cli([...argv, "--json"], { cwd: place.dir });
  expect(ran).toMatchObject({ code: EXIT.ok, stderr: "" });
  const json = JSON.parse(ran.stdout) as ExportJson;
  expect(json).toMatchObject({ dir, file: place.path("rows.jsonl"), signals: 2, hides: 1, untilMs: null });
  expect(linesOf(readFileSync(json.file!, "utf8"))).toEqual(rows);
  if (process.platform !== "win32") expect(statSync(json.file!).mode & 0o777).toBe(0o600);
  const again = await cli(argv, { cwd: place.dir });
  expect(again).toMatchObject({ code: EXIT.failure, stderr: expect.stringContaining("CLI_FILE_EXISTS") });
  expect(linesOf(readFileSync(json.file!, "utf8"))).toEqual(rows);
});
