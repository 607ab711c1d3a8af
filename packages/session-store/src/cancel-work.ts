import { heldGeneration, type LeaseRecord } from "./lease.ts";
import { settleOpen } from "./settle-work.ts";
import { liveClaim, type OpenWork, type SettledWork } from "./work-batch.ts";
import type { WorkDecision } from "./work-change.ts";
import type { QueueRecord } from "./work-queue-record.ts";

/** Batches one call cancels, at most. */
export const WORK_CANCEL_MAX: number = 1_000;

/**
 * What became of one batch that was to be cancelled. Only `cancelled` gives it back to the caller; `already-claimed`
 * and `already-completed` mean that the agent has it or had it.
 */
export type CancelOutcome =
  | "cancelled"
  | "already-claimed"
  | "already-completed"
  | "already-cancelled"
  | "not-found";

/** One batch and what became of it. */
export interface CancelResult {
  readonly id: string;
  readonly outcome: CancelOutcome;
}

/** A batch that was named, in whatever state it is; neither if none of that id is known. */
export interface NamedWork {
  readonly id: string;
  readonly open?: OpenWork;
  readonly settled?: SettledWork;
}

/** What cancelling looks at. */
export interface CancelSnapshot {
  readonly queue: QueueRecord;
  readonly lease: LeaseRecord | undefined;
  /** In the order the outcomes are told in. */
  readonly named: readonly NamedWork[];
}

/**
 * Cancels those of the named batches that are open and free, at once; of the others the outcome says why not. A claim
 * whose lease generation is over holds nothing.
 */
export function decideCancelWork(
  snapshot: CancelSnapshot,
  nowMs: number,
): WorkDecision<readonly CancelResult[]> {
  const generation = heldGeneration(snapshot.lease, nowMs);
  const cancelled = new Map<string, OpenWork>();
  const result = snapshot.named.map((named): CancelResult => {
    const outcome = outcomeOf(named, generation);
    // A batch that is named twice is cancelled once.
    if (outcome === "cancelled" && cancelled.has(named.id))
      return { id: named.id, outcome: "already-cancelled" };
    if (outcome === "cancelled") cancelled.set(named.id, named.open as OpenWork);
    return { id: named.id, outcome };
  });
  if (cancelled.size === 0) return { result };
  const change = settleOpen(snapshot.queue, [...cancelled.values()], "cancelled", nowMs);
  return { change, result };
}

function outcomeOf({ open, settled }: NamedWork, generation: number | undefined): CancelOutcome {
  if (open !== undefined) return liveClaim(open, generation) === undefined ? "cancelled" : "already-claimed";
  if (settled === undefined) return "not-found";
  return settled.as === "completed" ? "already-completed" : "already-cancelled";
}
