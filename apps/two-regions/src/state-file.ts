import { accessSync, closeSync, constants, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { stateJson } from "./state.ts";
import type { StateView } from "./view.ts";

const CHUNK_CHARS = 256 * 1024;

/** Makes sure before a run that the state can be written after it. @throws as `node:fs` does. */
export function checkStateFile(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) throw new Error(`EISDIR: it is a directory, open '${path}'`);
  accessSync(found === undefined ? dirname(path) : path, constants.W_OK);
}

/** Writes the final state, whole or not at all; a pipe or device is written as it is. */
export function writeStateFile(path: string, views: readonly StateView[]): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) return writeTo(path, views);
  const partial = `${path}.partial`;
  try {
    writeTo(partial, views);
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

function writeTo(path: string, views: readonly StateView[]): void {
  const descriptor = openSync(path, "w");
  try {
    let pending: string[] = [];
    let chars = 0;
    const flush = (): void => {
      const bytes = Buffer.from(pending.join(""));
      for (let from = 0; from < bytes.length;) from += writeSync(descriptor, bytes, from);
      [pending, chars] = [[], 0];
    };
    for (const piece of stateJson(views)) {
      pending.push(piece);
      chars += piece.length;
      if (chars >= CHUNK_CHARS) flush();
    }
    flush();
  } finally {
    closeSync(descriptor);
  }
}
