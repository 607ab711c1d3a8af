import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeRegion } from "./harness.ts";

/** A directory something is wrong with. */
export interface BadDay {
  readonly name: string;
  /** Makes it; what it returns ends what keeps it so. */
  make(dir: string): Promise<void | (() => Promise<void>)>;
}

/** Files of one directory whose name ends so. */
export function filesOf(dir: string, ending: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith(ending))
    .toSorted()
    .map((name) => join(dir, name));
}

/** Changes the bytes of a file. */
export function change(path: string, edit: (bytes: Uint8Array) => Uint8Array): void {
  writeFileSync(path, edit(new Uint8Array(readFileSync(path))));
}

/** A sound region that was closed. */
export async function closed(dir: string): Promise<void> {
  await (await makeRegion(dir)).close();
}

/** What can have become of a directory, besides damage to its logs. */
export const BAD_DAYS: readonly BadDay[] = [
  { name: "missing", make: async () => undefined },
  { name: "a file", make: async (dir) => writeFileSync(dir, "") },
  { name: "empty", make: async (dir) => mkdirSync(dir) },
  {
    name: "not ours",
    make: async (dir) => {
      mkdirSync(dir);
      writeFileSync(join(dir, "notes.txt"), "mine");
    },
  },
  {
    name: "without region.json",
    make: async (dir) => {
      await closed(`${dir}.whole`);
      cpSync(`${dir}.whole`, dir, { recursive: true, filter: (path) => !path.endsWith("region.json") });
    },
  },
  {
    name: "with region.json damaged",
    make: async (dir) => {
      await closed(dir);
      change(join(dir, "region.json"), (bytes) => bytes.subarray(0, bytes.length - 9));
    },
  },
  {
    name: "from a newer version",
    make: async (dir) => {
      await closed(dir);
      writeFileSync(join(dir, "region.json"), JSON.stringify({ format: 2, name: "local", id: 0 }));
      writeFileSync(join(dir, "status.json"), JSON.stringify({ format: 2 }));
    },
  },
  {
    name: "with status.json damaged",
    make: async (dir) => {
      await closed(dir);
      change(join(dir, "status.json"), (bytes) => bytes.subarray(0, 40));
    },
  },
  {
    name: "with a status of a newer version",
    make: async (dir) => {
      await closed(dir);
      writeFileSync(join(dir, "status.json"), JSON.stringify({ format: 2 }));
    },
  },
  {
    name: "with a status that is something else",
    make: async (dir) => {
      await closed(dir);
      writeFileSync(join(dir, "status.json"), JSON.stringify({ format: 1, health: "good" }));
    },
  },
  {
    name: "with members.json damaged",
    make: async (dir) => {
      await closed(dir);
      writeFileSync(join(dir, "members.json"), '{"format":1,"version":1,"regions":{}}');
    },
  },
  {
    name: "with members.json of a newer version",
    make: async (dir) => {
      await closed(dir);
      writeFileSync(join(dir, "members.json"), '{"format":2}');
    },
  },
  {
    name: "held by a live process",
    make: async (dir) => {
      const region = await makeRegion(dir);
      return () => region.close();
    },
  },
];
