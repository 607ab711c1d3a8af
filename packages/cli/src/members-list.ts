import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { regionId } from "@tidemark/core";
import type { RegionId } from "@tidemark/core";
import { MEMBERS_FILE, readMembersFile } from "@tidemark/region";
import type { MembersFile } from "@tidemark/region";
import { nextMembership, ReplicationError } from "@tidemark/replication";
import { nodeFs } from "@tidemark/wal/node";
import { parseObject, readIfThere, requireFormat, requireRegion } from "./directory.ts";
import { CliError } from "./errors.ts";

/** A list of members as `members ls --json` prints it. */
export interface MembersJson {
  readonly dir: string;
  /** 0 for a region alone. */
  readonly version: number;
  readonly shards: number;
  /** Sorted by id. `since` is the version of the list that added the region; `null` for the first. */
  readonly members: readonly { readonly name: string; readonly id: number; readonly since: number | null }[];
  /** Who was one, and the version of the list that left it out. */
  readonly removed: readonly { readonly name: string; readonly id: number; readonly version: number }[];
}

/** What `members add` and `members remove` print. */
export interface MembersChangeJson extends MembersJson {
  /** False for a dry run. */
  readonly written: boolean;
}

const NO_SEED = new Uint8Array(16);

/**
 * The list in force in a region's directory; `undefined` for a region alone.
 *
 * @throws CliError `CLI_NEWER_VERSION`, `CLI_DAMAGED` and those of {@link requireRegion}; RegionError `REGION_DAMAGED`.
 */
export async function readMembers(dir: string): Promise<MembersFile | undefined> {
  const path = join(dir, MEMBERS_FILE);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  requireFormat(parseObject(text, path), path);
  return readMembersFile(nodeFs(), dir);
}

/** What is in force, for people and programs. */
export async function describeMembers(dir: string): Promise<MembersJson> {
  const { name, id } = await requireRegion(dir);
  const list = await readMembers(dir);
  if (list === undefined)
    return { dir, version: 0, shards: 1, members: [{ name, id, since: null }], removed: [] };
  return describe(dir, list);
}

/** Plain data of a list. */
export function describe(
  dir: string,
  { version, shards, regions, removed, since }: MembersFile,
): MembersJson {
  return {
    dir,
    version,
    shards,
    members: [...regions]
      .map(([name, id]) => ({ name, id, since: since?.get(id) ?? null }))
      .toSorted((a, b) => a.id - b.id),
    removed: [...(removed ?? [])].map(([id, { name, version: at }]) => ({ name, id, version: at })),
  };
}

/**
 * The list that follows the one in force.
 *
 * @throws CliError `CLI_MEMBERS_REFUSED` for a region alone, and for a list that may not follow.
 */
export async function nextMembers(
  dir: string,
  change: (regions: Map<string, RegionId>, current: MembersFile) => void,
): Promise<MembersFile> {
  await requireRegion(dir);
  const current = await readMembers(dir);
  if (current === undefined) {
    throw new CliError(
      "CLI_MEMBERS_REFUSED",
      `The region in ${dir} is alone: open it with members before its list can be changed`,
    );
  }
  const regions = new Map(current.regions);
  change(regions, current);
  const { promised, ...list } = current;
  try {
    const version = current.version + 1;
    const { seed: _, ...next } = nextMembership({ ...list, seed: NO_SEED }, { version, regions });
    // A proposal that was not decided yet is still the region's to keep.
    return promised === undefined || promised.version <= version ? next : { ...next, promised };
  } catch (error) {
    if (!(error instanceof ReplicationError)) throw error;
    throw new CliError("CLI_MEMBERS_REFUSED", error.message, { cause: error });
  }
}

/** The lowest id above every one that was ever given out: ids are never used again. */
export function freeId({ regions, removed }: MembersFile): RegionId {
  return regionId(Math.max(0, ...regions.values(), ...(removed?.keys() ?? [])) + 1);
}

/** Whether the list on disk is the one it was: read again right before it is replaced. */
export async function unchangedSince(dir: string, version: number): Promise<boolean> {
  const text = await readFile(join(dir, MEMBERS_FILE), "utf8");
  return parseObject(text, MEMBERS_FILE)["version"] === version;
}
