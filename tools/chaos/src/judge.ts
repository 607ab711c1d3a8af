import {
  checkHistory,
  type FinalState,
  type History,
  type HistoryEvent,
  type Violation,
} from "@tidemark/simulator";
import { filesOf } from "./directory.ts";
import type { RegionHandle } from "./region-handle.ts";

/** What is judged, once every disaster is over. */
export interface Trial {
  readonly history: History;
  readonly regions: readonly RegionHandle[];
  /** Milliseconds since the run began. */
  readonly now: () => number;
}

/** How long regions may take until they have everything: real processes on a machine that others use, too. */
const BOUND_MS = 60_000;

/** Waits until the regions have everything, closes them, and judges what clients saw against what the disks hold. */
export async function judge({ history, regions, now }: Trial): Promise<{
  readonly convergedMs: number;
  readonly violations: readonly Violation[];
}> {
  const healedAt = now();
  const synced = await Promise.all(regions.map((region) => region.call("synced", BOUND_MS)));
  const convergedMs = now() - healedAt;
  history.converged({
    healedAt,
    boundMs: BOUND_MS,
    ...(synced.every(Boolean) ? { convergedAt: now() } : { missing: "synced() said no" }),
  });
  const named = namesOf(history.events);
  const finals: FinalState[] = [];
  for (const region of regions) {
    const shown = await region.call("final", named);
    history.certificate(region.name, shown.certificate);
    await region.close();
    finals.push({ ...shown, files: await filesOf(region.dir) });
  }
  return { convergedMs, violations: checkHistory(history.events, finals) };
}

/** An event of each session and user is enough to say which there are. */
function namesOf(events: readonly HistoryEvent[]): HistoryEvent[] {
  return events.filter((event) => event.type === "write" && event.operation === "start");
}
