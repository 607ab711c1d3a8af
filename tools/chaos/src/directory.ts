import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { DirectoryFiles } from "@tidemark/simulator";

/** The bytes of every file of a region's directory, by its path inside. */
export async function filesOf(dir: string): Promise<DirectoryFiles> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files: Record<string, Uint8Array> = {};
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[relative(dir, path)] = new Uint8Array(await readFile(path));
  }
  return files;
}
