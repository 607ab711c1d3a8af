import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ZonesError } from "../errors.ts";
import { guardFileBytes } from "../memory-zone-files.ts";
import type { ZoneFile, ZoneFiles } from "../zone-files.ts";
import { formatZoneFolder, parseZoneFolder } from "./zone-folder.ts";

/** Begins the name of a file that is being written. A crash leaves it: it is no file of the zone, and goes with it. */
const TEMPORARY = ".writing-";
const FILE_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;

/**
 * Zones of agents as folders of a directory, which is made when the first is written. A file is replaced whole and synced
 * before it has its name. Folders that other programs named `agent:<id>:current` are read, too.
 *
 * Every call rejects with {@link ZonesError} `ZONE_FILES_FAILED`, which keeps its cause, when the machine refuses.
 */
export function nodeZoneFiles(dir: string): ZoneFiles {
  return new NodeZoneFiles(dir);
}

class NodeZoneFiles implements ZoneFiles {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async zones(): Promise<readonly string[]> {
    const folders = await entriesOf(this.#dir, "folders");
    return [...new Set(folders.flatMap((folder) => parseZoneFolder(folder) ?? []))].toSorted();
  }

  async files(zone: string): Promise<readonly string[]> {
    const folder = await this.#folderOf(zone);
    return (await entriesOf(folder, "files")).filter((name) => FILE_NAME.test(name)).toSorted();
  }

  async read(
    zone: string,
    file: string,
    { bytesMax = Number.POSITIVE_INFINITY }: { readonly bytesMax?: number } = {},
  ): Promise<ZoneFile | undefined> {
    const path = join(await this.#folderOf(zone), fileName(file));
    return refusing(`read ${path}`, async () => {
      let handle: FileHandle;
      try {
        handle = await open(path, "r");
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
      try {
        const { size, mtimeMs } = await handle.stat();
        guardFileBytes(zone, file, size, bytesMax);
        // Rounded: a time that was set comes back a little before itself.
        return { bytes: new Uint8Array(await handle.readFile()), modifiedMs: Math.round(mtimeMs) };
      } finally {
        await handle.close();
      }
    });
  }

  async write(zone: string, file: string, { bytes, modifiedMs }: ZoneFile): Promise<void> {
    const folder = await this.#folderOf(zone);
    const name = fileName(file);
    await refusing(`write ${name} of ${zone}`, async () => {
      const made = await mkdir(folder, { recursive: true });
      const temporary = join(folder, `${TEMPORARY}${randomUUID()}`);
      const handle = await open(temporary, "wx");
      try {
        await handle.writeFile(bytes);
        await handle.utimes(modifiedMs / 1_000, modifiedMs / 1_000);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, join(folder, name));
      await syncFolder(folder);
      if (made !== undefined) await syncFolder(this.#dir);
    });
  }

  async remove(zone: string): Promise<void> {
    const folder = await this.#folderOf(zone);
    await refusing(`remove ${zone}`, async () => {
      await rm(folder, { recursive: true, force: true });
      await syncFolder(this.#dir);
    });
  }

  /** Where a zone is, or would be. Names are compared here: the file system may take two of them for one. */
  async #folderOf(zone: string): Promise<string> {
    const folder = formatZoneFolder(zone);
    if (folder === undefined)
      throw new ZonesError("ZONE_FILES_FAILED", `${JSON.stringify(zone)} is no zone of an agent`);
    const folders = await entriesOf(this.#dir, "folders");
    const literal = !folders.includes(folder) && folders.includes(zone);
    return join(this.#dir, literal ? zone : folder);
  }
}

async function entriesOf(dir: string, kind: "folders" | "files"): Promise<string[]> {
  return refusing(`list ${dir}`, async () => {
    try {
      const entries = await readdir(dir, { withFileTypes: true });
      return entries
        .filter((entry) => (kind === "folders" ? entry.isDirectory() : entry.isFile()))
        .map(({ name }) => name);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  });
}

async function syncFolder(dir: string): Promise<void> {
  // Windows has no folders to sync.
  if (process.platform === "win32") return;
  let handle: FileHandle;
  try {
    handle = await open(dir, "r");
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** @throws {@link ZonesError} `ZONE_FILES_FAILED`: a name is never a path. */
function fileName(file: string): string {
  if (FILE_NAME.test(file)) return file;
  throw new ZonesError("ZONE_FILES_FAILED", `${JSON.stringify(file)} is no name of a zone's file`);
}

async function refusing<Result>(what: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof ZonesError) throw cause;
    throw new ZonesError("ZONE_FILES_FAILED", `Cannot ${what}: ${(cause as Error).message}`, { cause });
  }
}

function isMissing(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null)?.code === "ENOENT";
}
