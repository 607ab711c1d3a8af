import { SLOT_COUNT } from "@tidemark/replication";
import type { WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";

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
}

const FILE = "region.json";
const SEED_BYTES = 16;

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
  const { format, name, id, seed, joined = true, shards = 1 } = value as Record<string, unknown>;
  if (format !== 1 || typeof name !== "string" || typeof seed !== "string") throw damaged();
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > 0xffff) throw damaged();
  if (!/^[0-9a-f]{32}$/.test(seed)) throw damaged();
  if (typeof joined !== "boolean") throw damaged();
  if (typeof shards !== "number" || !Number.isInteger(shards) || shards < 1 || shards > SLOT_COUNT) {
    throw damaged();
  }
  return { name, id, seed: fromHex(seed), joined, shards };
}

/** Writes `region.json` atomically: whole or not at all, also across a crash. */
export async function writeRegionFile(fs: WalFs, dir: string, file: RegionFile): Promise<void> {
  const { name, id, joined, shards } = file;
  const fields = { format: 1, name, id, seed: toHex(file.seed), joined, ...(shards === 1 ? {} : { shards }) };
  const text = `${JSON.stringify(fields, null, 2)}\n`;
  const bytes = new TextEncoder().encode(text);
  const temporary = `${dir}/${FILE}.tmp`;
  // What an earlier crash may have left.
  await fs.unlink(temporary);
  const handle = await fs.open(temporary, "create");
  try {
    if (handle.write(bytes, 0) !== bytes.length)
      throw new Error(`Cannot write ${temporary}: the disk took only a part`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.rename(temporary, `${dir}/${FILE}`);
  await fs.syncDir(dir);
}

/** Whether a directory holds logs: then it has been used, and a missing `region.json` was lost. */
export async function holdsLogs(fs: WalFs, dir: string): Promise<boolean> {
  for (const channel of ["signals", "sessions"]) {
    if ((await fs.list(`${dir}/${channel}`)).some((name) => name.endsWith(".wal"))) return true;
  }
  return false;
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(SEED_BYTES);
  for (let at = 0; at < SEED_BYTES; at++) bytes[at] = Number.parseInt(text.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}
