import { cpSync, linkSync, mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { bytes, newDirectory, openFor, textOf } from "./support.ts";

// In a file of its own: what it does to this process cannot be undone.
test("another copy of lmdb that takes over the memory of reads is noticed: nothing old is given as new", async () => {
  const kv = await openFor(newDirectory());
  const key = bytes("k");
  await kv.commit("p", { puts: [{ key, value: bytes("old") }] });
  expect((await kv.get("p", [key])).map(textOf)).toEqual(["old"]);
  const noticed = { code: "KV_UNAVAILABLE", committed: "no", retryable: false };

  await import(pathToFileURL(join(secondCopy(), "node-index.js")).href);
  for (let again = 0; again < 3; again++) {
    await expect(kv.get("p", [key])).rejects.toMatchObject(noticed);
    await expect(kv.scan("p", {})).rejects.toThrow("another copy of lmdb");
    await expect(kv.commit("p", { puts: [{ key, value: bytes("new") }] })).rejects.toMatchObject(noticed);
  }
  await kv.close();
  await expect(openFor(newDirectory())).resolves.toBeDefined();
});

/** A folder with lmdb as another install of pnpm has it: files of its own, the binary a second name of the same file. */
function secondCopy(): string {
  const original = realpathSync(fileURLToPath(new URL("../node_modules/lmdb", import.meta.url)));
  const place = fileURLToPath(new URL(`../node_modules/.cache/second-copy-${process.pid}`, import.meta.url));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  const modules = join(place, "node_modules");
  mkdirSync(modules, { recursive: true });
  cpSync(original, join(modules, "lmdb"), { recursive: true });
  for (const name of readdirSync(dirname(original))) {
    if (name === "lmdb") continue;
    if (name !== "@lmdb") {
      symlinkSync(join(dirname(original), name), join(modules, name));
      continue;
    }
    for (const platform of readdirSync(join(dirname(original), name))) {
      const from = realpathSync(join(dirname(original), name, platform));
      const to = join(modules, name, platform);
      mkdirSync(to, { recursive: true });
      for (const file of readdirSync(from)) linkSync(join(from, file), join(to, file));
    }
  }
  return join(modules, "lmdb");
}
