import { DURABILITY_CODE } from "./watermark.ts";

/**
 * When an append resolves.
 *
 * - `"always"`: after `fdatasync`. Nothing acknowledged is lost.
 * - `{ group: ms }`: once written to the page cache; a sync follows within `ms`. A crash of the process loses
 *   nothing; a crash of the machine loses what was acknowledged in the last `ms` milliseconds.
 * - `"os"`: as `group`, with a sync a second, at rotation and at close. A crash of the machine loses what was
 *   acknowledged since.
 *
 * In every mode only what a sync has covered is read, shipped or reported as durable. The weaker two end the epoch
 * when a run did not close cleanly.
 */
export type Durability = "always" | "os" | { readonly group: number };

const OS_SYNC_MS = 1000;

/** The number of a durability in the watermark. */
export function durabilityCode(durability: Durability): number {
  if (durability === "always") return DURABILITY_CODE.always;
  return durability === "os" ? DURABILITY_CODE.os : DURABILITY_CODE.group;
}

/** How long a weak mode leaves bytes unsynced, or `undefined` for `always`. */
export function syncDelayMs(durability: Durability): number | undefined {
  if (durability === "always") return undefined;
  return durability === "os" ? OS_SYNC_MS : durability.group;
}
