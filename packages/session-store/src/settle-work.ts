import { SessionStoreError } from "./errors.ts";
import { heldGeneration, type LeaseRecord } from "./lease.ts";
import { claimIds, type OpenWork, type SettledAs, type SettledWork } from "./work-batch.ts";
import type { WorkChange } from "./work-change.ts";
import { heldWork, type ClaimRows, type WorkCompletion } from "./work-claim.ts";
import { withSettled, type QueueRecord } from "./work-queue-record.ts";

/** What settling claims looks at. */
export interface SettleSnapshot {
  readonly queue: QueueRecord;
  readonly lease: LeaseRecord | undefined;
  /** For each completion, in its order. */
  readonly rows: readonly ClaimRows[];
}

/**
 * Completes the batches of claims with the turn that answers them. All are settled or none.
 *
 * @throws SessionStoreError `CLAIM_EXPIRED` for the first completion whose claim is unknown, of another session, taken
 * under another generation than the live one, named twice, or no longer holds one of its batches.
 */
export function decideSettle(
  snapshot: SettleSnapshot,
  completions: readonly WorkCompletion[],
  nowMs: number,
): WorkChange {
  const generation = heldGeneration(snapshot.lease, nowMs);
  const claims = new Set<string>();
  const work: OpenWork[] = [];
  for (const [index, completion] of completions.entries()) {
    const held = heldWork(snapshot.rows[index] as ClaimRows, completion, generation);
    if (held === undefined || claims.has(completion.claim)) throw claimExpired(completion);
    claims.add(completion.claim);
    work.push(...held);
  }
  return settleOpen(snapshot.queue, work, "completed", nowMs);
}

/** The change that ends open batches, whoever decided that they end; every claim that was on one of them is over. */
export function settleOpen(
  queue: QueueRecord,
  work: readonly OpenWork[],
  as: SettledAs,
  nowMs: number,
): WorkChange {
  return {
    queue: withSettled(
      queue,
      work.map((one) => one.bytes),
    ),
    settled: work.map((one) => settledWork(one, as, nowMs)),
    claimsOver: claimIds(work),
  };
}

/** The error of a claim that is missing or no longer holds its batches. */
export function claimExpired(completion: WorkCompletion): SessionStoreError {
  const { session, claim } = completion;
  return new SessionStoreError(
    "CLAIM_EXPIRED",
    `Claim ${claim} of session ${session} holds its work no longer`,
    {
      session,
      claim,
    },
  );
}

function settledWork(work: OpenWork, as: SettledAs, settledAtMs: number): SettledWork {
  const { sequence, id, claimCount, sourceKey } = work;
  return { sequence, id, as, claimCount, settledAtMs, ...(sourceKey === undefined ? {} : { sourceKey }) };
}
