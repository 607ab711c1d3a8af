import { SessionStoreError } from "./errors.ts";
import {
  decideClaimLease,
  decideReleaseLease,
  decideRenewLease,
  type LeaseClaim,
  type LeaseFence,
  type LeaseRecord,
  requireLive,
} from "./lease.ts";

/** The last turn of a session that is committed, whichever region its worker was in. */
export interface ClusterHead {
  /** Turns committed so far; 0 before the first. */
  readonly revision: number;
  /** Names the message that carries the turn; `""` before the first. */
  readonly digest: string;
}

/**
 * The one register a session has for a whole cluster: who may commit, and what is committed. A turn is committed at the
 * moment its digest stands here, and never before or after; what carries the turn to the regions was written before.
 */
export interface ClusterRegister {
  readonly lease?: LeaseRecord;
  readonly head: ClusterHead;
}

/** What a decision about the register comes to. */
export interface ClusterDecision<Result> {
  /** The register from now on; absent if it stays. */
  readonly write?: ClusterRegister;
  readonly result: Result;
}

/** A session nobody has worked on. */
export const EMPTY_CLUSTER_REGISTER: ClusterRegister = { head: { revision: 0, digest: "" } };

/** As {@link decideClaimLease}: the register with the caller's lease, or no lease if another holds it. */
export function decideClusterClaim(
  register: ClusterRegister,
  claim: LeaseClaim,
  nowMs: number,
): ClusterDecision<ClusterRegister | undefined> {
  const { write, lease } = decideClaimLease(register.lease, claim, nowMs);
  const next = write === undefined ? register : { ...register, lease: write };
  return { ...(write === undefined ? {} : { write: next }), result: lease === undefined ? undefined : next };
}

/** As {@link decideRenewLease}. @throws SessionStoreError `LEASE_EXPIRED` */
export function decideClusterRenew(
  register: ClusterRegister,
  fence: LeaseFence,
  ttlMs: number,
  nowMs: number,
): ClusterDecision<LeaseRecord> {
  const { write, lease } = decideRenewLease(register.lease, fence, ttlMs, nowMs);
  const result = lease as LeaseRecord;
  return write === undefined ? { result } : { write: { ...register, lease: write }, result };
}

/** As {@link decideReleaseLease}. */
export function decideClusterRelease(
  register: ClusterRegister,
  fence: LeaseFence,
): ClusterDecision<undefined> {
  const { write } = decideReleaseLease(register.lease, fence);
  return write === undefined
    ? { result: undefined }
    : { write: { ...register, lease: write }, result: undefined };
}

/**
 * Commits a turn: the head goes from what it follows to it. Decided again once it stands there it changes nothing.
 *
 * @throws SessionStoreError `LEASE_EXPIRED` unless the fence holds the lease; `HEAD_CONFLICT` if another turn was
 * committed after the one it follows.
 */
export function decideClusterCommit(
  register: ClusterRegister,
  step: { readonly fence: LeaseFence; readonly from: ClusterHead; readonly to: ClusterHead },
  nowMs: number,
): ClusterDecision<undefined> {
  const { head, lease } = register;
  const { fence, from, to } = step;
  if (head.digest === to.digest) return { result: undefined };
  requireLive(lease, fence, nowMs);
  if (head.revision !== from.revision || head.digest !== from.digest)
    throw new SessionStoreError(
      "HEAD_CONFLICT",
      `Cannot commit revision ${to.revision} of session ${fence.session}: the cluster is at ${head.revision}`,
      { session: fence.session, expected: from.revision, actual: head.revision },
    );
  return { write: { ...register, head: to }, result: undefined };
}
