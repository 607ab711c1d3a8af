import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CliError } from "./errors.ts";

/** Who a directory belongs to, as `region.json` has it. */
export interface RegionIdentity {
  readonly name: string;
  readonly id: number;
}

/** Names a region's directory may begin with before `region.json` is there. */
const OURS = new Set(["signals", "sessions", "watermark", "clock", "keys"]);

/**
 * Makes sure that a directory is there and is a region's. Nothing is changed.
 *
 * @throws CliError `CLI_NO_DIRECTORY`, `CLI_NOT_A_REGION`, `CLI_NEWER_VERSION`, `CLI_DAMAGED`.
 */
export async function requireRegion(dir: string): Promise<RegionIdentity> {
  await requireDirectory(dir);
  const text = await readIfThere(join(dir, "region.json"));
  if (text === undefined) {
    const names = await readdir(dir);
    if (names.length === 0)
      throw new CliError("CLI_NOT_A_REGION", `${dir} is empty: no region has been opened in it`);
    if (names.some((name) => OURS.has(name))) {
      throw new CliError(
        "CLI_DAMAGED",
        `${dir} has no region.json, which says whose it is: restore it, or let the region begin anew`,
      );
    }
    throw new CliError(
      "CLI_NOT_A_REGION",
      `${dir} is not the directory of a region: there is no region.json`,
    );
  }
  const value = parseObject(text, join(dir, "region.json"));
  requireFormat(value, join(dir, "region.json"));
  const { name, id } = value;
  if (typeof name !== "string" || typeof id !== "number")
    throw new CliError("CLI_DAMAGED", `Cannot read ${join(dir, "region.json")}: it has no name or id`);
  return { name, id };
}

/**
 * A region of a newer version may keep its logs in another way. Anything else is no matter here: logs tell what they
 * hold without a region, too.
 *
 * @throws CliError `CLI_NEWER_VERSION`.
 */
export async function requireKnownVersion(dir: string): Promise<void> {
  try {
    await requireSoundIdentity(dir);
  } catch (error) {
    if (error instanceof CliError && error.code === "CLI_NEWER_VERSION") throw error;
  }
}

/**
 * `region.json` says whose keys lie beside the logs: where it is there, it must be readable.
 *
 * @throws CliError `CLI_DAMAGED`, `CLI_NEWER_VERSION`.
 */
export async function requireSoundIdentity(dir: string): Promise<void> {
  const path = join(dir, "region.json");
  const text = await readIfThere(path);
  if (text !== undefined) requireFormat(parseObject(text, path), path);
}

/** @throws CliError `CLI_NO_DIRECTORY`. */
export async function requireDirectory(dir: string): Promise<void> {
  let found;
  try {
    found = await stat(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    throw new CliError("CLI_NO_DIRECTORY", `There is no directory ${dir}`, { cause: error });
  }
  if (!found.isDirectory()) throw new CliError("CLI_NO_DIRECTORY", `${dir} is no directory`);
}

/** The text of a file, or `undefined` if it is not there. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** @throws CliError `CLI_DAMAGED` unless the text is one JSON object. */
export function parseObject(text: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CliError("CLI_DAMAGED", `Cannot read ${path}: it is not JSON`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new CliError("CLI_DAMAGED", `Cannot read ${path}: it is not what Tidemark writes there`);
  return value as Record<string, unknown>;
}

/** Format 1 is what this version knows. @throws CliError `CLI_NEWER_VERSION`, `CLI_DAMAGED`. */
export function requireFormat({ format }: Record<string, unknown>, path: string): void {
  if (format === 1) return;
  if (typeof format === "number" && format > 1) {
    throw new CliError(
      "CLI_NEWER_VERSION",
      `Cannot read ${path}: a newer version of Tidemark wrote it (format ${format}); use its tidemark`,
    );
  }
  throw new CliError("CLI_DAMAGED", `Cannot read ${path}: it is not what Tidemark writes there`);
}
