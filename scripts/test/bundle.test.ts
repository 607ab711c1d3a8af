import { join } from "node:path";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { root } from "../lib/root.mjs";

/** Packages that run where there is no Node: their main entries, whole, with everything they import. */
const ISOMORPHIC = [
  "core",
  "blake3-wasm",
  "wal",
  "transport",
  "transport-inprocess",
  "replication",
  "session",
  "kv",
  "live",
  "session-store",
  "session-bridge",
  "region",
  "live-http",
];

async function bundle(entry: string): Promise<readonly string[]> {
  const { metafile, errors } = await build({
    stdin: { contents: `export * from ${JSON.stringify(entry)};`, resolveDir: join(root, "scripts") },
    bundle: true,
    conditions: ["@tidemark/source"],
    format: "esm",
    logLevel: "silent",
    metafile: true,
    platform: "browser",
    target: "es2022",
    treeShaking: false,
    write: false,
  });
  expect(errors).toEqual([]);
  return Object.values(metafile.inputs).flatMap((input) => input.imports.map((one) => one.path));
}

describe("bundles for a browser without a node: module", () => {
  test.each(ISOMORPHIC)("%s", async (name) => {
    const imports = await bundle(join(root, "packages", name, "src", "index.ts"));
    expect(imports.filter((path) => path.startsWith("node:"))).toEqual([]);
  });

  test("and the check sees one: @tidemark/wal/node does not bundle", async () => {
    await expect(bundle(join(root, "packages", "wal", "src", "node.ts"))).rejects.toThrow(/node:/);
  });
});
