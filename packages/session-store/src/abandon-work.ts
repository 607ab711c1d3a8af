import { isLive, type LeaseFence, type LeaseRecord } from "./lease.ts";
import { settleOpen } from "./settle-work.ts";
import type { OpenWork } from "./work-batch.ts";
import type { WorkDecision } from "./work-change.ts";
import { heldWork, type ClaimRows, type WorkCompletion } from "./work-claim.ts";
import { touched, type QueueRecord } from "./work-queue-record.ts";

/**
 * What becomes of work that its holder gives back: `pending` as it was before, `deferred` until no turn runs, or
 * `cancelled` for ever.
 */
export type AbandonAs = "pending" | "deferred" | "cancelled";

/** What giving work back looks at. */
export interface AbandonSnapshot {
  readonly queue: QueueRecord;
  readonly lease: LeaseRecord | undefined;
  readonly rows: ClaimRows;
}

/**
 * Gives the batches of a claim back without completing them: they can be claimed and cancelled again. Fenced like a
 * release: where the fence does not hold the lease, or the claim its batches, nothing changes.
 *
 * @returns How many batches were given back: all of the claim, or none.
 */
export function decideAbandonClaim(
  snapshot: AbandonSnapshot,
  fence: LeaseFence,
  completion: WorkCompletion,
  as: AbandonAs,
  nowMs: number,
): WorkDecision<number> {
  if (!isLive(snapshot.lease, fence, nowMs)) return { result: 0 };
  const held = heldWork(snapshot.rows, completion, fence.generation);
  if (held === undefined) return { result: 0 };
  const result = held.length;
  if (as === "cancelled") {
    return { change: settleOpen(snapshot.queue, held, "cancelled", nowMs), result };
  }
  const open = held.map((work) => freed(work, as));
  return { change: { queue: touched(snapshot.queue), open, claimsOver: [completion.claim] }, result };
}

function freed(work: OpenWork, as: "pending" | "deferred"): OpenWork {
  const { claim: _over, ...free } = work;
  return as === "deferred" ? { ...free, delivery: "after-current-turn" } : free;
}
