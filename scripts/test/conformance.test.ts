import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { expect, test } from "vitest";
import { SUITES } from "../../suites/suites.mjs";
import { documentsOf, rowsIn, rowsOf, rowsWith, tableIn, tableOf, withTable } from "../../suites/table.mjs";
import { root } from "../lib/root.mjs";

/** A result of every file of every suite, as a run of all has it. */
const results = SUITES.flatMap(({ name, folder }) =>
  readdirSync(join(root, "suites", folder)).flatMap((file) =>
    file.endsWith(".suite.mjs")
      ? [{ suite: name, backend: basename(file, ".suite.mjs"), passed: 1, failed: 0, skipped: 0 }]
      : [],
  ),
);

test.each(documentsOf(root).map(({ path, folder }) => ({ document: relative(root, path), path, folder })))(
  "RUN-13 $document has a row for every suite and backend, and in none a check that failed",
  ({ path, folder }) => {
    const rows = rowsOf(results).filter((row) => folder === undefined || row.package === folder);
    const found = cellsOf(tableIn(readFileSync(path, "utf8")) ?? "");
    expect(found.map((cells) => cells.slice(0, 3))).toEqual(
      cellsOf(tableOf(rows)).map((cells) => cells.slice(0, 3)),
    );
    for (const [, , , passed, failed] of found.slice(2)) {
      expect(Number(passed)).toBeGreaterThan(0);
      expect(Number(failed)).toBe(0);
    }
  },
);

test("RUN-13 the root README and those of the packages that implement other people's interfaces have the table", () => {
  const folders = documentsOf(root).map(({ folder }) => folder ?? "");
  expect(folders).toEqual(expect.arrayContaining(["", "langgraph", "express-session", "openai-agents"]));
});

test("every suite has a package and at least one backend", () => {
  for (const suite of SUITES) {
    expect(existsSync(join(root, "packages", suite.package, "README.md")), suite.name).toBe(true);
    expect(
      results.some((result) => result.suite === suite.name),
      suite.name,
    ).toBe(true);
  }
});

test("withTable() puts a table between the markers and leaves the rest", () => {
  const path = join(root, "README.md");
  const before = readFileSync(path, "utf8");
  const after = withTable(before, rowsOf(results));
  expect(tableIn(after)).toBe(tableOf(rowsOf(results)));
  expect(withTable(after, rowsOf(results))).toBe(after);
  expect(withTable("no markers", rowsOf(results))).toBe("no markers");
});

test("rowsWith() puts what ran anew where it belongs, and keeps the rest", () => {
  const all = rowsOf(results);
  const [ran, others] = [0, 1].map((want) => all.filter((row) => Number(row.package !== "kv-lmdb") === want));
  const before = rowsIn(withTable(readFileSync(join(root, "README.md"), "utf8"), all));
  const anew = ran!.map((row) => ({ ...row, passed: 2 }));
  expect(tableOf(rowsWith(before, anew))).toBe(
    tableOf(all.map((row) => (others!.includes(row) ? row : { ...row, passed: 2 }))),
  );
  expect(rowsWith([], anew)).toEqual(anew);
});

function cellsOf(table: string): string[][] {
  return table.split("\n").map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/-+/, "-")),
  );
}
