import type { Channel, Hasher } from "@tidemark/core";
import { parseCheckpointName } from "./checkpoint.ts";
import { WalError } from "./errors.ts";
import type { WalFs } from "./file-system.ts";
import { begunLogs, isBeginName, type BegunLog } from "./log-begin.ts";
import { listLogs, type StoredLog } from "./log-scan.ts";
import { sameLog } from "./log.ts";
import { isIntentName } from "./run-intent.ts";
import { parseSegmentName } from "./segment-name.ts";
import { WATERMARK_NAME, readWatermark, type Watermark } from "./watermark.ts";

/** The channels, each a folder of a directory. */
export const CHANNELS: readonly Channel[] = ["signals", "sessions"];

/**
 * What a path is: nothing, a file, a directory without anything in it, one that holds other things than a log, or
 * one that holds logs.
 */
export type DirectoryState = "missing" | "file" | "empty" | "foreign" | "wal";

/** What every tool takes. */
export interface DirectoryOptions {
  readonly hasher: Hasher;
  /** Names at the top of the directory that belong to somebody else who may use it, such as a region. */
  readonly known?: readonly string[];
}

/** The names of a directory, sorted by what they are. */
export interface DirectorySurvey {
  readonly state: DirectoryState;
  /** The live process that holds the directory. */
  readonly holder: string | undefined;
  readonly logs: readonly StoredLog[];
  /** Logs that a crash left on the way to being begun anew: opening completes that, whatever is stored of them. */
  readonly begun: readonly BegunLog[];
  readonly checkpoints: readonly string[];
  /** `*.tmp`, left behind by a crash, or in use by the holder. */
  readonly temporary: readonly string[];
  /** Names that are nobody's. */
  readonly unknown: readonly string[];
  readonly watermark: Watermark | "damaged" | undefined;
  /** A newer version wrote the watermark: this one must not touch anything. */
  readonly newer: WalError | undefined;
}

/** Looks at the names of a directory and at its watermark. Changes nothing, and needs no lock. */
export async function surveyDirectory(
  fs: WalFs,
  dir: string,
  options: DirectoryOptions,
): Promise<DirectorySurvey> {
  const nothing = { holder: undefined, logs: [], begun: [], checkpoints: [], temporary: [], unknown: [] };
  const kind = await fs.kindOf(dir);
  if (kind !== "directory") {
    return { state: kind ?? "missing", ...nothing, watermark: undefined, newer: undefined };
  }
  const logs: StoredLog[] = [];
  const begun: BegunLog[] = [];
  const checkpoints: string[] = [];
  const others: string[] = [];
  let watermarked = false;
  for (const name of await fs.list(dir)) {
    if (name === WATERMARK_NAME) watermarked = true;
    else if (parseCheckpointName(name) !== undefined) checkpoints.push(name);
    else if (!CHANNELS.some((channel) => channel === name) && !options.known?.includes(name))
      others.push(name);
  }
  for (const channel of CHANNELS) {
    const folder = `${dir}/${channel}`;
    if ((await fs.kindOf(folder)) !== "directory") continue;
    const stored = await listLogs(fs, folder, channel);
    const anew = await begunLogs(fs, folder, channel, options.hasher);
    begun.push(...anew);
    logs.push(...stored.filter((log) => !anew.some(({ id }) => sameLog(id, log.id))));
    for (const name of await fs.list(folder)) {
      if (parseSegmentName(name) === undefined && !isIntentName(name) && !isBeginName(name))
        others.push(`${channel}/${name}`);
    }
  }
  const ours = watermarked || checkpoints.length > 0 || logs.length > 0 || begun.length > 0;
  const temporary = others.filter((name) => name.endsWith(".tmp")).toSorted();
  const unknown = others.filter((name) => !name.endsWith(".tmp")).toSorted();
  return {
    state: ours ? "wal" : unknown.length > 0 ? "foreign" : "empty",
    holder: await fs.holderOf(dir),
    logs,
    begun,
    checkpoints: checkpoints.toSorted(),
    temporary,
    unknown,
    ...(await watermarkOf(fs, dir, options.hasher)),
  };
}

/** A live process writes while it is looked at: what seems damaged or gone is looked at so many times. */
export const LIVE_ATTEMPTS = 3;

/** Begins again when a file went while a live process held the directory: retention and rotation do that. */
export async function whileItLives<T>(fs: WalFs, dir: string, run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const gone = (error as { code?: unknown }).code === "ENOENT";
      if (!gone || attempt === LIVE_ATTEMPTS || (await fs.holderOf(dir)) === undefined) throw error;
    }
  }
}

async function watermarkOf(
  fs: WalFs,
  dir: string,
  hasher: Hasher,
): Promise<Pick<DirectorySurvey, "watermark" | "newer">> {
  try {
    return { watermark: await readWatermark(fs, dir, hasher), newer: undefined };
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    return { watermark: "damaged", newer: error };
  }
}
