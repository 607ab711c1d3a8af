import type { KvCallOptions } from "@tidemark/kv";
import { nothing, runDecision, type Decision } from "./decision.ts";
import { sessionKeys } from "./keys.ts";
import { LEASE_TTL_MS } from "./lease-limits.ts";
import {
  decideClaimLease,
  decideReleaseLease,
  decideRenewLease,
  leaseRecord,
  type LeaseDecision,
  type LeaseFence,
  type LeaseRecord,
} from "./lease.ts";
import { mintId, requireBound, requireOpenGate, unchanged, type SessionContext } from "./session-context.ts";

/** What a claim of the lease takes. */
export interface ClaimLeaseOptions extends KvCallOptions {
  /** Who asks, for people to read and to claim again. */
  readonly owner: string;
  /** @defaultValue 30,000 */
  readonly ttlMs?: number;
  /** Of an earlier claim whose answer was lost, so that both are one. @defaultValue a fresh one */
  readonly nonce?: string;
}

/** What a renewal of the lease takes. */
export interface RenewLeaseOptions extends KvCallOptions {
  /** Milliseconds from now. @defaultValue 30,000 */
  readonly ttlMs?: number;
}

/** The execution lease of one session: one worker at a time, judged by the clock of the store. */
export class SessionLease {
  readonly #context: SessionContext;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  /**
   * Claims the lease: see {@link decideClaimLease}. `undefined` if another holds it; {@link SessionLease.current} says who.
   *
   * @throws SessionStoreError `LEASE_EXPIRED` if `nonce` is given and its lease is over already.
   */
  async claim(options: ClaimLeaseOptions): Promise<LeaseRecord | undefined> {
    const { owner, ttlMs = LEASE_TTL_MS, nonce = mintId(this.#context), signal } = options;
    const { session } = this.#context;
    const claim = { session, owner, ttlMs, nonce };
    const decision = await this.#decide((lease, nowMs) => decideClaimLease(lease, claim, nowMs), { signal });
    return decision.lease;
  }

  /** Extends the lease: see {@link decideRenewLease}. @throws SessionStoreError `LEASE_EXPIRED` */
  async renew(fence: LeaseFence, options: RenewLeaseOptions = {}): Promise<LeaseRecord> {
    const { ttlMs = LEASE_TTL_MS, signal } = options;
    requireBound(fence, this.#context);
    const decision = await this.#decide((lease, nowMs) => decideRenewLease(lease, fence, ttlMs, nowMs), {
      signal,
    });
    return decision.lease as LeaseRecord;
  }

  /** Releases the lease if this fence holds it, else nothing: see {@link decideReleaseLease}. */
  async release(fence: LeaseFence, options: KvCallOptions = {}): Promise<void> {
    requireBound(fence, this.#context);
    const { kv, records } = this.#context;
    const keys = [sessionKeys.lease];
    await runDecision(
      kv,
      records.partition,
      (view) => view.get(keys),
      (values): Decision<void> => {
        const { write } = decideReleaseLease(leaseRecord.read(values[0], sessionKeys.lease, records), fence);
        if (write === undefined) return nothing(undefined);
        const puts = [leaseRecord.item(write, sessionKeys.lease, records)];
        return { checks: unchanged(keys, values), puts, deletes: [], result: undefined };
      },
      options,
    );
  }

  /** The lease register: who held the lease last, whether or not it is live. `undefined` before the first claim. */
  async current(options: KvCallOptions = {}): Promise<LeaseRecord | undefined> {
    const { kv, records } = this.#context;
    return runDecision(
      kv,
      records.partition,
      (view) => view.get([sessionKeys.lease]),
      ([lease]) => nothing(leaseRecord.read(lease, sessionKeys.lease, records)),
      options,
    );
  }

  #decide(
    decide: (lease: LeaseRecord | undefined, nowMs: number) => LeaseDecision,
    { signal }: { readonly signal: AbortSignal | undefined },
  ): Promise<LeaseDecision> {
    const { kv, records } = this.#context;
    const keys = [sessionKeys.gate, sessionKeys.lease];
    return runDecision(
      kv,
      records.partition,
      (view) => view.get(keys),
      (values, nowMs): Decision<LeaseDecision> => {
        requireOpenGate(values[0], this.#context);
        const result = decide(leaseRecord.read(values[1], sessionKeys.lease, records), nowMs);
        if (result.write === undefined) return nothing(result);
        const puts = [leaseRecord.item(result.write, sessionKeys.lease, records)];
        return { checks: unchanged(keys, values), puts, deletes: [], result };
      },
      signal === undefined ? {} : { signal },
    );
  }
}
