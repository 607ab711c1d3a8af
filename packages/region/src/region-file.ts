import { SLOT_COUNT } from "@tidemark/replication";
import type { WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";
import { fromHex, toHex } from "./hex.ts";
import { replaceFile } from "./replace-file.ts";

/** Who a directory belongs to, as kept in `region.json`. */
export interface RegionFile {
  readonly name: string;
  readonly id: number;
  /** 16 random bytes made once by the first region of the cluster. */
  readonly seed: Uint8Array;
  /** Whether it has ever reached the head of a member, or is the first: before that its state is not served. */
  readonly joined: boolean;
  /** Shards its logs were divided into. */
  readonly shards: number;
  /** The version of the list of members with which it came, or came back, to the cluster; 0 for the first. */
  readonly since: number;
  /** Whether the cluster encrypts: chosen when it was made. */
  readonly encryption: boolean;
}

const FILE = "region.json";

/**
 * Reads `region.json`.
 *
 * @returns `undefined` in a new directory.
 * @throws RegionError `REGION_DAMAGED` if the file is there and cannot be read as what it should be.
 */
export async function readRegionFile(fs: WalFs, dir: string): Promise<RegionFile | undefined> {
  const bytes = await fs.readFile(`${dir}/${FILE}`);
  if (bytes === undefined) return undefined;
  const damaged = (cause?: unknown): RegionError =>
    new RegionError(
      "REGION_DAMAGED",
      `Cannot read ${dir}/${FILE}: restore it, or give the region another directory`,
      {
        cause,
      },
    );
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw damaged(error);
  }
  if (typeof value !== "object" || value === null) throw damaged();
  const fields = value as Record<string, unknown>;
  const { format, name, id, seed, joined = true, shards = 1, since = 0, encryption = false } = fields;
  if (format !== 1 || typeof name !== "string" || typeof seed !== "string") throw damaged();
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > 0xffff) throw damaged();
  if (!/^[0-9a-f]{32}$/.test(seed)) throw damaged();
  if (typeof joined !== "boolean") throw damaged();
  if (typeof shards !== "number" || !Number.isInteger(shards) || shards < 1 || shards > SLOT_COUNT) {
    throw damaged();
  }
  if (typeof since !== "number" || !Number.isInteger(since) || since < 0) throw damaged();
  if (typeof encryption !== "boolean") throw damaged();
  return { name, id, seed: fromHex(seed), joined, shards, since, encryption };
}

/** Writes `region.json` atomically: whole or not at all, also across a crash. */
export async function writeRegionFile(fs: WalFs, dir: string, file: RegionFile): Promise<void> {
  const { name, id, joined, shards, since, encryption } = file;
  const fields = {
    format: 1,
    name,
    id,
    seed: toHex(file.seed),
    joined,
    ...(shards === 1 ? {} : { shards }),
    ...(since === 0 ? {} : { since }),
    ...(encryption ? { encryption } : {}),
  };
  await replaceFile(fs, dir, FILE, `${JSON.stringify(fields, null, 2)}\n`);
}

/** Whether a directory holds logs: then it has been used, and a missing `region.json` was lost. */
export async function holdsLogs(fs: WalFs, dir: string): Promise<boolean> {
  for (const channel of ["signals", "sessions"]) {
    if ((await fs.list(`${dir}/${channel}`)).some((name) => name.endsWith(".wal"))) return true;
  }
  return false;
}
