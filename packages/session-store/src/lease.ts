import { SessionStoreError } from "./errors.ts";
import { guardLeaseClaim } from "./lease-limits.ts";
import { recordCodec, type RecordCodec } from "./records.ts";

/**
 * The lease register of a session: who may commit, and until when by the store's clock. There is one a session, and it
 * outlives every lease, because the generation must only grow.
 */
export interface LeaseRecord {
  readonly session: string;
  /** A name for people and for claiming again; never a proof of anything. */
  readonly owner: string;
  /** Fresh for each claim: what tells a holder from its own earlier life. */
  readonly nonce: string;
  /** The fencing number: 1 for the first lease, one more for each that follows another. */
  readonly generation: number;
  /** Unix ms of the store's clock. */
  readonly claimedAtMs: number;
  /** Unix ms of the store's clock; the lease is live strictly before it. */
  readonly expiresAtMs: number;
  readonly released: boolean;
}

/** How the lease register is stored. */
export const leaseRecord: RecordCodec<LeaseRecord> = recordCodec("lease", 1);

/** What a holder shows with each write: a lease without its times. */
export interface LeaseFence {
  readonly session: string;
  readonly owner: string;
  readonly nonce: string;
  readonly generation: number;
}

/** A wish to hold the lease. */
export interface LeaseClaim {
  readonly session: string;
  readonly owner: string;
  /** Whole milliseconds; 0 gives a lease that is over at once. */
  readonly ttlMs: number;
  /** Given again, it makes a claim whose answer was lost one claim. */
  readonly nonce: string;
}

/** What a decision about the lease register comes to. */
export interface LeaseDecision {
  /** The register from now on; absent if it stays as it is. */
  readonly write?: LeaseRecord;
  /** The caller's lease; absent if another holds it, or nothing is held any more. */
  readonly lease?: LeaseRecord;
}

/** The fence of a lease. */
export function leaseFence(lease: LeaseFence): LeaseFence {
  const { session, owner, nonce, generation } = lease;
  return { session, owner, nonce, generation };
}

/** Whether somebody holds the lease: not released, and strictly before its end. */
export function isHeld(lease: LeaseRecord | undefined, nowMs: number): boolean {
  return lease !== undefined && !lease.released && lease.expiresAtMs > nowMs;
}

/** The generation of whoever holds the lease now; `undefined` if nobody does. Claims of work live by it. */
export function heldGeneration(lease: LeaseRecord | undefined, nowMs: number): number | undefined {
  return isHeld(lease, nowMs) ? lease?.generation : undefined;
}

/** Whether the lease is held by exactly this fence. */
export function isLive(lease: LeaseRecord | undefined, fence: LeaseFence, nowMs: number): boolean {
  return lease !== undefined && isHeld(lease, nowMs) && isOf(lease, fence);
}

/**
 * The lease, held by exactly this fence.
 *
 * @throws SessionStoreError `LEASE_EXPIRED` if it is absent, over, released, or held under another nonce or generation.
 */
export function requireLive(lease: LeaseRecord | undefined, fence: LeaseFence, nowMs: number): LeaseRecord {
  if (lease !== undefined && isLive(lease, fence, nowMs)) return lease;
  throw leaseExpired(fence, why(lease, fence));
}

/**
 * Claims the lease: of a free, released or expired one with the next generation; of one its owner still holds with a
 * fresh nonce, the same generation and a later end, so that the owner's earlier life can neither commit nor release.
 * Claimed again with the nonce that holds it, it is the same lease. Held by another it is left alone: `lease` is absent.
 *
 * @throws SessionStoreError `LEASE_EXPIRED` if this nonce's lease is over already: a nonce serves one lease.
 */
export function decideClaimLease(
  held: LeaseRecord | undefined,
  claim: LeaseClaim,
  nowMs: number,
): LeaseDecision {
  guardLeaseClaim(claim);
  const { session, owner, nonce, ttlMs } = claim;
  const expiresAtMs = nowMs + ttlMs;
  const free = { session, owner, nonce, claimedAtMs: nowMs, expiresAtMs, released: false };
  if (held === undefined) return granted({ ...free, generation: 1 });
  const same = held.owner === owner && held.nonce === nonce;
  if (!isHeld(held, nowMs)) {
    if (same) throw leaseExpired(held, "the claim's own lease is over");
    return granted({ ...free, generation: held.generation + 1 });
  }
  if (same) return { lease: held };
  if (held.owner !== owner) return {};
  return granted({
    ...held,
    nonce,
    claimedAtMs: nowMs,
    expiresAtMs: Math.max(held.expiresAtMs, expiresAtMs),
  });
}

/**
 * Extends a live lease to `ttlMs` from now, never to an earlier end than it has.
 *
 * @throws SessionStoreError `LEASE_EXPIRED` as {@link requireLive}: a lease that ran out does not come back.
 */
export function decideRenewLease(
  held: LeaseRecord | undefined,
  fence: LeaseFence,
  ttlMs: number,
  nowMs: number,
): LeaseDecision {
  guardLeaseClaim({ ...fence, ttlMs });
  const live = requireLive(held, fence, nowMs);
  const expiresAtMs = Math.max(live.expiresAtMs, nowMs + ttlMs);
  return expiresAtMs === live.expiresAtMs ? { lease: live } : granted({ ...live, expiresAtMs });
}

/** Releases the lease if this fence holds it or held it last; anything else is somebody's who came after, and stays. */
export function decideReleaseLease(held: LeaseRecord | undefined, fence: LeaseFence): LeaseDecision {
  if (held === undefined || held.released || !isOf(held, fence)) return {};
  return { write: { ...held, released: true } };
}

function granted(lease: LeaseRecord): LeaseDecision {
  return { write: lease, lease };
}

function isOf(lease: LeaseRecord, fence: LeaseFence): boolean {
  return (
    lease.session === fence.session &&
    lease.owner === fence.owner &&
    lease.nonce === fence.nonce &&
    lease.generation === fence.generation
  );
}

function why(lease: LeaseRecord | undefined, fence: LeaseFence): string {
  if (lease === undefined) return "the session has no lease";
  if (lease.generation !== fence.generation) return `generation ${lease.generation} followed it`;
  if (!isOf(lease, fence)) return "it was claimed again";
  return lease.released ? "it was released" : `it ended at ${lease.expiresAtMs}`;
}

function leaseExpired(fence: LeaseFence, reason: string): SessionStoreError {
  const { session, generation } = fence;
  return new SessionStoreError(
    "LEASE_EXPIRED",
    `Cannot act for session ${session} under lease generation ${generation}: ${reason}`,
    { session },
  );
}
