import { systemClock } from "./node/platform.ts";

/** How many commits one transaction takes at most. */
export const GROUP_COMMITS_MAX: number = 256;

/** How many bytes of keys and values a transaction takes before the next commit waits for another. */
export const GROUP_BYTES_MAX: number = 4 * 1_024 * 1_024;

/** How many bytes of keys and values may wait for a transaction before `commit()` answers `KV_BUSY`. */
export const PENDING_BYTES_MAX: number = 64 * 1_024 * 1_024;

/** How often a watch looks for commits of other processes, in milliseconds. */
export const WATCH_POLL_MS: number = 50;

/** Where a store lies, and how it is kept. */
export interface LmdbKvOptions {
  /**
   * The directory of the store, made if there is none. It must be on a disk of this machine: a network file system is
   * refused with `KV_UNSUPPORTED`, since locks and maps do not hold across machines.
   */
  readonly dir: string;
  /** Unix milliseconds. All processes of the store must go by the same clock. @defaultValue `Date.now` */
  readonly nowMs?: () => number;
  /** How often a watch looks for commits of other processes: 1 to 60,000 ms. @defaultValue 50 */
  readonly watchPollMs?: number;
  /**
   * The address space to map at first, in bytes: 1 MiB to 16 TiB. It is no memory and no limit: the map grows when the
   * store does, and a store that is larger is mapped whole.
   *
   * @defaultValue 16 GiB
   */
  readonly mapBytes?: number;
}

/** {@link LmdbKvOptions} with every field filled. */
export interface LmdbKvSettings {
  readonly dir: string;
  readonly nowMs: () => number;
  readonly watchPollMs: number;
  readonly mapBytes: number;
}

const MAP_BYTES_MIN = 1_024 ** 2;
const MAP_BYTES_MAX = 16 * 1_024 ** 4;

/** @throws `TypeError` or `RangeError` for what an option may not be. */
export function settingsOf(options: LmdbKvOptions): LmdbKvSettings {
  const { dir, nowMs = systemClock, watchPollMs = WATCH_POLL_MS, mapBytes = 16 * 1_024 ** 3 } = options;
  if (typeof dir !== "string") throw new TypeError("dir must be a string");
  if (dir === "") throw new RangeError("dir must not be empty");
  guardInteger("watchPollMs", watchPollMs, 1, 60_000);
  guardInteger("mapBytes", mapBytes, MAP_BYTES_MIN, MAP_BYTES_MAX);
  return { dir, nowMs, watchPollMs, mapBytes };
}

function guardInteger(name: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} must be an integer from ${least} to ${most}: ${value}`);
}
