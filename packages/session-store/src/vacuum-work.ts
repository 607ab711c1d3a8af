import type { SettledWork } from "./work-batch.ts";
import type { WorkDecision } from "./work-change.ts";
import type { QueueRecord } from "./work-queue-record.ts";

/** Batches that one step of a vacuum forgets, at most: each is a handful of rows. */
export const WORK_VACUUM_MAX: number = 100;

/**
 * Forgets batches that ended before `beforeMs`, with their source keys, which may then be used for other work.
 *
 * @returns How many this step forgot.
 */
export function decideVacuumWork(
  queue: QueueRecord,
  settled: readonly SettledWork[],
  beforeMs: number,
): WorkDecision<number> {
  const forgotten = settled.filter((work) => work.settledAtMs < beforeMs);
  if (forgotten.length === 0) return { result: 0 };
  return {
    change: {
      queue: { ...queue, version: queue.version + 1, settled: queue.settled - forgotten.length },
      forgotten,
    },
    result: forgotten.length,
  };
}
