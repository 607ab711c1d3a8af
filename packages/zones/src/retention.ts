import { guardSafe } from "@tidemark/core";
import { prefixRange } from "@tidemark/kv";
import { scanAll } from "@tidemark/session-store";
import { type ArchiveSummary, summaryOf } from "./list-archives.ts";
import { ZonesError } from "./errors.ts";
import { writerOf, type ZoneContext } from "./zone-context.ts";
import type { Zones } from "./zones.ts";

/** Which archives stay. */
export interface RetainOptions {
  /** How many of the newest. */
  readonly keepMax?: number;
  /** How old they may be, in milliseconds by the clock of the store. */
  readonly ageMsMax?: number;
  /** Only says what would go. @defaultValue false */
  readonly dryRun?: boolean;
}

/**
 * The archives that a rule lets go, newest first.
 *
 * @throws `TypeError` without a bound, `RangeError` for one that is none.
 */
export async function expiredArchives(
  context: ZoneContext,
  definition: string,
  { keepMax, ageMsMax }: RetainOptions,
): Promise<ArchiveSummary[]> {
  if (keepMax === undefined && ageMsMax === undefined)
    throw new TypeError("Say how many archives stay, or how old they may be");
  if (keepMax !== undefined) guardSafe(keepMax, "keepMax");
  if (ageMsMax !== undefined) guardSafe(ageMsMax, "ageMsMax");
  const { records } = writerOf(context, definition);
  const archives = await context.commits.read(definition, async (view) => {
    const items = await scanAll(view, prefixRange(["archive"]));
    return items.toReversed().map((item) => summaryOf(item, definition, records));
  });
  const oldestMs = ageMsMax === undefined ? 0 : (await context.kv.nowMs()) - ageMsMax;
  return archives.filter(
    ({ archivedAtMs }, index) => archivedAtMs < oldestMs || (keepMax !== undefined && index >= keepMax),
  );
}

/**
 * Removes archives, each in one step. One that somebody else removed or restored meanwhile is passed by.
 *
 * @returns Those that were removed by this call.
 */
export async function removeArchives(
  zones: Pick<Zones, "deleteArchive">,
  definition: string,
  archives: readonly ArchiveSummary[],
): Promise<ArchiveSummary[]> {
  const removed: ArchiveSummary[] = [];
  for (const archive of archives) {
    try {
      await zones.deleteArchive(definition, archive.archivedAtMs);
      removed.push(archive);
    } catch (error) {
      if (!(error instanceof ZonesError) || error.code !== "ZONE_UNKNOWN") throw error;
    }
  }
  return removed;
}
