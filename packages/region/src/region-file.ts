import type { WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";

/** Who a directory belongs to, as kept in `region.json`. */
export interface RegionFile {
  readonly name: string;
  readonly id: number;
  /** 16 random bytes made once by the first region of the cluster. */
  readonly seed: Uint8Array;
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
    new RegionError("REGION_DAMAGED", `Cannot read ${dir}/${FILE}: restore it, or give the region another directory`, {
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw damaged(error);
  }
  if (typeof value !== "object" || value === null) throw damaged();
  const { format, name, id, seed } = value as Record<string, unknown>;
  if (format !== 1 || typeof name !== "string" || typeof seed !== "string") throw damaged();
  if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > 0xffff) throw damaged();
  if (!/^[0-9a-f]{32}$/.test(seed)) throw damaged();
  return { name, id, seed: fromHex(seed) };
}

/** Writes `region.json` atomically: whole or not at all, also across a crash. */
export async function writeRegionFile(fs: WalFs, dir: string, file: RegionFile): Promise<void> {
  const text = `${JSON.stringify({ format: 1, name: file.name, id: file.id, seed: toHex(file.seed) }, null, 2)}\n`;
  const temporary = `${dir}/${FILE}.tmp`;
  await fs.unlink(temporary).catch(() => undefined); // What an earlier crash may have left.
  const handle = await fs.open(temporary, "create");
  try {
    handle.write(new TextEncoder().encode(text), 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fs.rename(temporary, `${dir}/${FILE}`);
  await fs.syncDir(dir);
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
