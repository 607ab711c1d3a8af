import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
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
  "zones",
  "session-bridge",
  "region",
  "live-http",
  "ai-sdk",
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

  test("live-http/client, as small as its README says", async () => {
    const client = join(root, "packages", "live-http", "src", "client.ts");
    expect((await bundle(client)).filter((path) => path.startsWith("node:"))).toEqual([]);
    const { outputFiles } = await build({
      stdin: {
        contents: `export { stopTurn, watchSession } from ${JSON.stringify(client)};`,
        resolveDir: join(root, "scripts"),
      },
      bundle: true,
      conditions: ["@tidemark/source"],
      format: "esm",
      minify: true,
      platform: "browser",
      target: "es2022",
      write: false,
    });
    const kilobytes = gzipSync(outputFiles[0]!.contents).length / 1_000;
    const readme = readFileSync(join(root, "packages", "live-http", "README.md"), "utf8");
    const said = Number(/([\d.]+) kB, minified and gzipped/.exec(readme)?.[1]);
    expect(kilobytes).toBeLessThan(said + 0.05);
    expect(kilobytes).toBeGreaterThan(said * 0.9);
  });

  test("and the check sees one: @tidemark/wal/node does not bundle", async () => {
    await expect(bundle(join(root, "packages", "wal", "src", "node.ts"))).rejects.toThrow(/node:/);
  });
});
