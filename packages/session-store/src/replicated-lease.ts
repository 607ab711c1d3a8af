import type { LeaseAuthority } from "./lease-guard.ts";
import type { LeaseFence, LeaseRecord } from "./lease.ts";

/** What a claim of the lease takes. */
export interface ClaimReplicatedLeaseOptions {
  /** Who asks, for people to read and to claim again. */
  readonly owner: string;
  /** @defaultValue 30,000 */
  readonly ttlMs?: number;
  /** How long to wait for what the cluster has committed, in milliseconds. @defaultValue 10,000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The lease of a session in a cluster: one worker at a time, in whatever region. */
export interface ReplicatedLease extends LeaseAuthority {
  /**
   * Claims the lease, and waits until this region holds all that the cluster has committed.
   *
   * @returns The lease; `undefined` if another holds it.
   * @throws SessionStoreError `NOT_YET_VISIBLE` with the revisions `expected` and `actual` if it has not arrived in time;
   * the lease is released then.
   */
  claim(options: ClaimReplicatedLeaseOptions): Promise<LeaseRecord | undefined>;
  /** Extends the lease. @throws SessionStoreError `LEASE_EXPIRED` */
  renew(fence: LeaseFence, options?: { readonly ttlMs?: number }): Promise<LeaseRecord>;
  /** Releases the lease if this fence holds it, else nothing. */
  release(fence: LeaseFence): Promise<void>;
}
