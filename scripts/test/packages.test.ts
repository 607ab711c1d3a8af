import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findViolations, importsOf, readTable } from "../lib/picture.mjs";
import { workspacePackages } from "../lib/packages.mjs";
import { root } from "../lib/root.mjs";

const table = readTable(readFileSync(join(root, "docs", "packages.md"), "utf8"));

test("every package keeps to the table of docs/packages.md", () => {
  expect(findViolations()).toEqual([]);
});

test("the table lists every package of the workspace once", () => {
  expect([...table.keys()].sort()).toEqual(workspacePackages().map((one) => one.short));
});

test("the README lists every public package once", () => {
  const listed = readFileSync(join(root, "README.md"), "utf8").matchAll(
    /\(packages\/([a-z0-9-]+)\/README\.md\) +\|/g,
  );
  const published = workspacePackages().filter(({ manifest }) => manifest["private"] !== true);
  expect([...listed].map(([, name]) => name).sort()).toEqual(published.map(({ short }) => short).sort());
});

test("all public packages share one version", () => {
  const versions = workspacePackages()
    .filter(({ manifest }) => manifest["private"] !== true)
    .map(({ manifest }) => manifest["version"]);
  expect(new Set(versions).size).toBe(1);
});

describe("a planted arrow is found", () => {
  const wal = workspacePackages().filter((one) =>
    ["core", "wal", "session", "transport-inprocess"].includes(one.short),
  );
  const plant = (text: string, path = "packages/wal/src/planted.ts"): string[] =>
    findViolations({
      packages: wal,
      table: new Map([...table].filter(([name]) => wal.some((one) => one.short === name))),
      sources: (one: { short: string }) => (one.short === "wal" ? [{ path, text }] : []),
    }).filter((line) => !line.includes("package.json"));

  test("of a type import", () => {
    expect(plant(`import type { Op } from "@tidemark/session";`)).toHaveLength(1);
  });
  test("of a node module outside src/node.ts", () => {
    expect(plant(`import { open } from "node:fs/promises";`)).toHaveLength(1);
    expect(plant(`import { open } from "node:fs/promises";`, "packages/wal/src/node.ts")).toEqual([]);
    expect(plant(`export { join } from "path";`)).toHaveLength(2);
  });
  test("of an undeclared dependency, loaded late", () => {
    expect(plant(`const x = await import("left-pad");`)).toHaveLength(1);
  });
  test("but not in a comment or a docstring", () => {
    expect(plant(`/** import { Op } from "@tidemark/session"; */ // import "node:fs";\nexport {};`)).toEqual(
      [],
    );
  });
});

test("importsOf() reads every form of import", () => {
  const text = [
    `import a, {\n  b,\n} from "one";`,
    `export * from 'two';`,
    `import "three";`,
    `const x = await import("four");`,
    `const url = "https://example.org"; // not from "five"`,
  ].join("\n");
  expect(importsOf(text).sort()).toEqual(["four", "one", "three", "two"]);
  expect(importsOf('command({ name: "import", summary: "Takes" })')).toEqual([]);
});
