import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Operation } from "./operation.ts";

const FOLDER = fileURLToPath(new URL("../corpus", import.meta.url));

/** A history that found something once. */
export interface Kept {
  readonly name: string;
  readonly operations: readonly Operation[];
}

/** Everything that found something once, to be run first. */
export async function readCorpus(): Promise<Kept[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(".json")).sort();
  return Promise.all(
    names.map(async (name) => ({
      name,
      operations: JSON.parse(await readFile(join(FOLDER, name), "utf8")) as Operation[],
    })),
  );
}

/** Keeps a shrunk failure. @returns the path of its file */
export async function keep(name: string, operations: readonly Operation[]): Promise<string> {
  await mkdir(FOLDER, { recursive: true });
  const path = join(FOLDER, `${name}.json`);
  await writeFile(path, `${JSON.stringify(operations, undefined, 2)}\n`);
  return path;
}
