import { HlcClock } from "@tidemark/core";
import type { RegionId } from "@tidemark/core";
import type { WalFs } from "@tidemark/wal";
import { ClockFile } from "./clock-file.ts";
import { REGION_DEFAULTS } from "./options.ts";

/** A region's hybrid logical clock and the file that keeps its bound. */
export interface RegionClock {
  readonly clock: HlcClock;
  close(): Promise<void>;
}

/** Opens the clock of a directory: it resumes above every stamp issued there before. */
export async function openRegionClock(
  fs: WalFs,
  dir: string,
  id: RegionId,
  now: () => number,
): Promise<RegionClock> {
  const file = await ClockFile.open(fs, dir);
  const clock = new HlcClock({
    clockId: id,
    now,
    driftMsMax: REGION_DEFAULTS.driftMsMax,
    boundLeadMs: REGION_DEFAULTS.clockLeadMs,
    resumeAboveMs: file.boundMs,
    persistBound: (boundMs) => file.persist(boundMs),
  });
  return { clock, close: () => file.close() };
}
