import { guardUpTo } from "@tidemark/core";
import { requireLive, type LeaseFence, type LeaseRecord } from "./lease.ts";
import { claimIds, liveClaim, type OpenWork, type WorkBoundary } from "./work-batch.ts";
import type { WorkDecision } from "./work-change.ts";
import { claimExpired } from "./settle-work.ts";
import { heldWork, type ClaimRecord, type ClaimRows, type WorkCompletion } from "./work-claim.ts";
import { touched, type QueueRecord } from "./work-queue-record.ts";

/** Batches of one claim, at most. */
export const WORK_CLAIM_MAX: number = 100;

/** What claiming work looks at. */
export interface ClaimSnapshot {
  readonly queue: QueueRecord;
  readonly lease: LeaseRecord | undefined;
  /** All open batches, in order. */
  readonly open: readonly OpenWork[];
}

/** Who asks for work, where, and for how much. */
export interface ClaimRequest {
  readonly fence: LeaseFence;
  readonly boundary: WorkBoundary;
  /** 0 to {@link WORK_CLAIM_MAX}. */
  readonly max: number;
}

/**
 * Claims the next group of work: the first batch that is available and free, and, if it joins, those directly after it
 * among the available and free that join too, with an equal delivery policy and merge key, up to `max`. At a checkpoint
 * of a running turn the first must be for the earliest safe boundary: what waits for the end of the turn is not
 * overtaken. All of the group or nothing.
 *
 * @returns The claim; `undefined` if `max` is 0 or nothing is ready.
 * @throws SessionStoreError `LEASE_EXPIRED` if the fence does not hold the lease, before anything else is looked at.
 */
export function decideClaimWork(
  snapshot: ClaimSnapshot,
  request: ClaimRequest,
  nowMs: number,
): WorkDecision<ClaimRecord | undefined> {
  const { fence, boundary, max } = request;
  guardUpTo(max, "max", WORK_CLAIM_MAX);
  const lease = requireLive(snapshot.lease, fence, nowMs);
  return take(snapshot, nextGroup(snapshot.open, boundary, max, lease.generation, nowMs), request, nowMs);
}

/**
 * Claims exactly these batches, if they are the next group, in order: nothing before them is skipped, nothing that
 * belongs to the group is left.
 *
 * @returns The claim; `undefined` if the list is empty or the next group is another. Nothing changes then.
 * @throws SessionStoreError `LEASE_EXPIRED` as {@link decideClaimWork}.
 */
export function decideClaimWorkByIds(
  snapshot: ClaimSnapshot,
  request: Omit<ClaimRequest, "max">,
  ids: readonly string[],
  nowMs: number,
): WorkDecision<ClaimRecord | undefined> {
  const { fence, boundary } = request;
  guardUpTo(ids.length, "ids.length", WORK_CLAIM_MAX);
  const lease = requireLive(snapshot.lease, fence, nowMs);
  const group = nextGroup(snapshot.open, boundary, ids.length, lease.generation, nowMs);
  const equal = group.length === ids.length && group.every((work, index) => work.id === ids[index]);
  return equal ? take(snapshot, group, request, nowMs) : { result: undefined };
}

/**
 * Verifies that a claim still holds all its batches. There is nothing to extend: it lasts as long as its lease
 * generation.
 *
 * @throws SessionStoreError `LEASE_EXPIRED` if the fence does not hold the lease; `CLAIM_EXPIRED` if the claim does not
 * hold every batch it was given.
 */
export function decideRenewClaim(
  lease: LeaseRecord | undefined,
  fence: LeaseFence,
  rows: ClaimRows,
  completion: WorkCompletion,
  nowMs: number,
): ClaimRecord {
  const { generation } = requireLive(lease, fence, nowMs);
  if (heldWork(rows, completion, generation) === undefined) throw claimExpired(completion);
  return rows.claim as ClaimRecord;
}

function nextGroup(
  open: readonly OpenWork[],
  boundary: WorkBoundary,
  max: number,
  generation: number,
  nowMs: number,
): readonly OpenWork[] {
  const candidates = open.filter(
    (work) => work.availableAtMs <= nowMs && liveClaim(work, generation) === undefined,
  );
  const first = candidates[0];
  if (first === undefined || max === 0) return [];
  if (boundary === "active-turn-checkpoint" && first.delivery !== "earliest-safe-boundary") return [];
  if (first.slot === "exclusive") return [first];
  const end = candidates.findIndex((work) => !joins(work, first));
  return candidates.slice(0, Math.min(max, end === -1 ? candidates.length : end));
}

function joins(work: OpenWork, first: OpenWork): boolean {
  return work.slot === "join" && work.delivery === first.delivery && work.mergeKey === first.mergeKey;
}

function take(
  snapshot: ClaimSnapshot,
  group: readonly OpenWork[],
  { fence, boundary }: Omit<ClaimRequest, "max">,
  nowMs: number,
): WorkDecision<ClaimRecord | undefined> {
  const first = group[0];
  if (first === undefined) return { result: undefined };
  const { session, owner, generation } = fence;
  const id = `${first.sequence}.${first.claimCount + 1}`;
  const claim: ClaimRecord = {
    id,
    session,
    owner,
    generation,
    boundary,
    sequences: group.map((work) => work.sequence),
    claimedAtMs: nowMs,
  };
  // Claims of earlier generations on these batches hold nothing any more, nor ever will: generations only grow.
  return {
    change: {
      queue: touched(snapshot.queue),
      open: group.map((work) => ({ ...work, claimCount: work.claimCount + 1, claim: { id, generation } })),
      claims: [claim],
      claimsOver: claimIds(group),
    },
    result: claim,
  };
}
