import { regionId } from "@tidemark/core";
import type { RegionId } from "@tidemark/core";
import { routerOf, ShardRouter } from "@tidemark/replication";
import type { Membership, MembershipPromise, RemovedRegion } from "@tidemark/replication";
import type { WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";
import { fromHex, toHex } from "./hex.ts";
import { replaceFile } from "./replace-file.ts";

/** The file in a region's directory that holds the list of members in force. */
export const MEMBERS_FILE: string = "members.json";

/** A list of members as a directory has it; the seed is in `region.json`. */
export interface MembersFile extends Omit<Membership, "seed"> {
  /** What this region has said to a proposal that was not decided yet. */
  readonly promised?: MembershipPromise;
}

/**
 * Reads `members.json`.
 *
 * @returns `undefined` where there is none: a region alone, or a directory of old.
 * @throws RegionError `REGION_DAMAGED` if it is there and cannot be read as what it should be.
 */
export async function readMembersFile(fs: WalFs, dir: string): Promise<MembersFile | undefined> {
  const bytes = await fs.readFile(`${dir}/${MEMBERS_FILE}`);
  return bytes === undefined ? undefined : parseMembersFile(bytes, dir);
}

/** Reads the content of `members.json`. @throws RegionError `REGION_DAMAGED`. */
export function parseMembersFile(bytes: Uint8Array, dir: string): MembersFile {
  try {
    return read(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new RegionError(
      "REGION_DAMAGED",
      `Cannot read ${dir}/${MEMBERS_FILE}: ${(error as Error).message}; copy it from another member, or mend it`,
      { cause: error },
    );
  }
}

/** The content of `members.json`. */
export function formatMembersFile(list: MembersFile): string {
  const { version, regions, removed = new Map(), since = new Map(), shards, promised } = list;
  const fields = {
    format: 1,
    version,
    regions: Object.fromEntries([...regions].toSorted(([, a], [, b]) => a - b)),
    removed: Object.fromEntries(removed),
    since: Object.fromEntries(since),
    shards,
    slots: routerOf({ ...list, seed: new Uint8Array(0) }).format(),
    ...(promised === undefined
      ? {}
      : { promised: { version: promised.version, digest: toHex(promised.digest) } }),
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

/** Replaces `members.json` atomically: whole or not at all, also across a crash. */
export async function writeMembersFile(fs: WalFs, dir: string, list: MembersFile): Promise<void> {
  await replaceFile(fs, dir, MEMBERS_FILE, formatMembersFile(list));
}

function read(value: unknown): MembersFile {
  const {
    format,
    version,
    regions,
    removed = {},
    since = {},
    shards = 1,
    slots,
    promised,
  } = record(value, "it");
  if (format !== 1) throw new RangeError(`its format is ${String(format)}`);
  const checked = u32(version, "version");
  const names = new Map<string, RegionId>();
  for (const [name, id] of Object.entries(record(regions, "regions"))) names.set(name, idOf(id));
  if (names.size === 0) throw new RangeError("it names no region");
  if (new Set(names.values()).size < names.size) throw new RangeError("two regions share an id");
  const gone = new Map<RegionId, RemovedRegion>();
  for (const [id, entry] of Object.entries(record(removed, "removed"))) {
    const { name, version: at } = record(entry, "removed");
    if (typeof name !== "string") throw new RangeError("a removed region has no name");
    gone.set(idOf(Number(id)), { name, version: u32(at, "version") });
  }
  const came = new Map<RegionId, number>();
  for (const [id, at] of Object.entries(record(since, "since"))) came.set(idOf(Number(id)), u32(at, "since"));
  for (const id of names.values())
    if (gone.has(id)) throw new RangeError(`region ${id} is a member and removed`);
  if (slots !== undefined && typeof slots !== "string") throw new RangeError("slots are no text");
  const router = slots === undefined ? ShardRouter.hash(u32(shards, "shards")) : ShardRouter.parse(slots);
  if (router.shards > u32(shards, "shards"))
    throw new RangeError("slots belong to more shards than there are");
  const list = {
    version: checked,
    regions: names,
    removed: gone,
    since: came,
    shards: u32(shards, "shards"),
    router,
  };
  if (promised === undefined) return list;
  const { version: of, digest } = record(promised, "promised");
  if (typeof digest !== "string" || !/^[0-9a-f]{32}$/.test(digest))
    throw new RangeError("promised has no digest");
  return { ...list, promised: { version: u32(of, "promised"), digest: fromHex(digest) } };
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new RangeError(`${what} is no object`);
  return value as Readonly<Record<string, unknown>>;
}

function u32(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new RangeError(`${what} is ${String(value)}`);
  return value;
}

function idOf(value: unknown): RegionId {
  const id = u32(value, "an id");
  if (id > 0xffff) throw new RangeError(`an id is ${id}`);
  return regionId(id);
}
