import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { docstringExamplesOf, fencesOf, printedBy } from "../lib/fences.mjs";
import { filesBelow, publicPackages } from "../lib/packages.mjs";
import { root } from "../lib/root.mjs";
import { createSandbox, runFile } from "../lib/sandbox.mjs";
import { Brokers } from "./brokers.ts";

const TIMEOUT_MS = 120_000;

const documents = [
  join(root, "README.md"),
  join(root, "docs", "quickstart.md"),
  join(root, "docs", "migrate.md"),
  ...publicPackages().map((one) => join(one.dir, "README.md")),
];

describe.concurrent("the examples of a document run, in its order, in one empty folder", () => {
  test.each(documents.map((path) => relative(root, path)))(
    "%s",
    async (document) => {
      const path = join(root, document);
      expect(existsSync(path), `${document} is missing`).toBe(true);
      const examples = fencesOf(readFileSync(path, "utf8")).filter((fence) => fence.language === "js");
      expect(examples.length, `${document} has no js example`).toBeGreaterThan(0);
      const sandbox = createSandbox();
      await using brokers = await Brokers.for(examples.map(({ code }) => code).join());
      try {
        for (const { file: named, line, code } of examples) {
          if (!brokers.suffice(code)) continue;
          const file = named || `line-${line}.js`;
          writeFileSync(join(sandbox.dir, file), code);
          const { status, output } = await runFile(sandbox.dir, file, { env: brokers.env });
          expect(status, `${document}:${line}\n${output}`).toBe(0);
          for (const printed of printedBy(code)) expect(output.split("\n")).toContain(printed);
        }
      } finally {
        sandbox.remove();
      }
    },
    TIMEOUT_MS,
  );
});

describe.concurrent("the examples in docstrings hold", () => {
  test.each(publicPackages().map((one) => one.short))(
    "%s",
    async (short) => {
      const found = examplesIn(short);
      if (found.length === 0) return;
      const sandbox = createSandbox();
      try {
        found.forEach(({ code }, index) => writeFileSync(join(sandbox.dir, `example-${index}.ts`), code));
        writeFileSync(join(sandbox.dir, "all.js"), runner(found.map((example) => example.place)));
        const { status, output } = await runFile(sandbox.dir, "all.js");
        expect(status, output).toBe(0);
      } finally {
        sandbox.remove();
      }
    },
    TIMEOUT_MS,
  );

  test("and each asserts what it claims", () => {
    const silent = publicPackages().flatMap((one) =>
      examplesIn(one.short)
        .filter(({ asserts }) => !asserts)
        .map(({ place }) => place),
    );
    expect(silent).toEqual([]);
  });
});

interface Example {
  readonly place: string;
  readonly code: string;
  readonly asserts: boolean;
}

/** The docstring examples of a package, with the imports that are implied written out. */
function examplesIn(short: string): Example[] {
  const dir = join(root, "packages", short);
  return filesBelow(join(dir, "src"), ".ts").flatMap((file) =>
    docstringExamplesOf(readFileSync(file, "utf8")).map(({ line, code }) => ({
      place: `${relative(root, file)}:${line}`,
      code: `${impliedImports(dir, short, code)}\n${code}`,
      asserts: /\bassert\b/.test(code),
    })),
  );
}

/** `assert`, and what the code mentions of its package and of those it depends on, and does not import itself. */
function impliedImports(dir: string, short: string, code: string): string {
  const lines = /\bassert\s+from\b/.test(code) ? [] : [`import assert from "node:assert/strict";`];
  const taken = new Set<string>();
  for (const [file, specifier] of entriesOf(dir, short)) {
    const names = exportsOf(file).filter(
      (name) =>
        !taken.has(name) &&
        new RegExp(`\\b${name}\\b`).test(code) &&
        !new RegExp(`\\b(?:import|const|let|function|class)\\b[^;=(]*\\b${name}\\b`).test(code),
    );
    names.forEach((name) => taken.add(name));
    if (names.length > 0) lines.push(`import { ${names.join(", ")} } from "${specifier}";`);
  }
  return lines.join("\n");
}

/** Source and name of each entry an example may take names from: the package's own first. */
function entriesOf(dir: string, short: string): [file: string, specifier: string][] {
  const own = publicPackages().find((one) => one.short === short)!;
  const others = publicPackages().filter((one) => one.name in (own.manifest["dependencies"] ?? {}));
  const exported = Object.entries(own.manifest["exports"] as Record<string, string | Record<string, string>>);
  return [
    ...exported.flatMap(([subpath, target]): [string, string][] =>
      typeof target === "string"
        ? []
        : [[join(dir, target["@tidemark/source"]!), own.name + subpath.slice(1)]],
    ),
    ...others.map((one): [string, string] => [join(one.dir, "src", "index.ts"), one.name]),
  ];
}

/** Names of the values a module exports, `export *` and `export { … } from` followed. */
function exportsOf(file: string): string[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, "utf8");
  const names = [...text.matchAll(/^export (?:async )?(?:const|let|function\*?|class) (\w+)/gm)].map(
    (match) => match[1]!,
  );
  for (const [, list] of text.matchAll(/^export \{([^}]*)\}/gm)) {
    for (const item of list!.split(",").map((one) => one.trim())) {
      if (item !== "" && !item.startsWith("type ")) names.push(item.split(/\s+as\s+/).at(-1)!);
    }
  }
  for (const [, from] of text.matchAll(/^export \* from "(\.[^"]+)"/gm)) {
    names.push(...exportsOf(join(file, "..", from!)));
  }
  return [...new Set(names)];
}

/** A module that runs every example and names the ones that fail. */
function runner(places: readonly string[]): string {
  return [
    `const places = ${JSON.stringify(places)};`,
    `for (const [index, place] of places.entries()) {`,
    `  try {`,
    `    await import("./example-" + index + ".ts");`,
    `  } catch (error) {`,
    `    console.error(place, error);`,
    `    process.exitCode = 1;`,
    `  }`,
    `}`,
  ].join("\n");
}
