import { decideAbandonClaim, type AbandonAs } from "../src/abandon-work.ts";
import { decideCancelWork, type CancelResult } from "../src/cancel-work.ts";
import { decideClaimWork, decideClaimWorkByIds, decideRenewClaim } from "../src/claim-work.ts";
import { decideEnqueue, type EnqueueResult } from "../src/enqueue.ts";
import {
  decideClaimLease,
  decideReleaseLease,
  heldGeneration,
  type LeaseFence,
  type LeaseRecord,
} from "../src/lease.ts";
import { decideSettle } from "../src/settle-work.ts";
import { decideVacuumWork } from "../src/vacuum-work.ts";
import {
  openState,
  type OpenWork,
  type SettledWork,
  type WorkBatch,
  type WorkState,
} from "../src/work-batch.ts";
import type { WorkDecision } from "../src/work-change.ts";
import type { ClaimRecord, ClaimRows, WorkCompletion } from "../src/work-claim.ts";
import { workContent, type WorkDraft } from "../src/work-draft.ts";
import { EMPTY_QUEUE, QUEUE_LIMITS, type QueueLimits, type QueueRecord } from "../src/work-queue-record.ts";

/** A queue and a lease in plain maps: every decision is made by the product, nothing is stored as bytes. */
export class WorkModel {
  nowMs: number = 1_000;
  lease: LeaseRecord | undefined;
  queue: QueueRecord = EMPTY_QUEUE;
  readonly limits: QueueLimits;
  readonly batches: Map<number, WorkBatch> = new Map();
  readonly open: Map<number, OpenWork> = new Map();
  readonly settled: Map<number, SettledWork> = new Map();
  readonly claims: Map<string, ClaimRecord> = new Map();
  #ids: number = 0;

  constructor(limits: Partial<QueueLimits> = {}) {
    this.limits = { ...QUEUE_LIMITS, ...limits };
  }

  /** A lease of 1,000 ms on a lane that is free. */
  hold(owner: string = "a"): LeaseFence {
    const decision = decideClaimLease(
      this.lease,
      { session: "s", owner, ttlMs: 1_000, nonce: `n${++this.#ids}` },
      this.nowMs,
    );
    this.lease = decision.write as LeaseRecord;
    return this.lease;
  }

  release(): void {
    this.lease = decideReleaseLease(this.lease, this.lease as LeaseFence).write;
  }

  enqueue(draft: Partial<WorkDraft> = {}): EnqueueResult {
    const id = `b${++this.#ids}`;
    const items = draft.items ?? [{ payload: id }];
    const content = workContent({ ...draft, items }, id, this.limits.batchBytesMax);
    const source = [...this.batches.values()].find(
      (batch) => draft.sourceKey !== undefined && batch.sourceKey === draft.sourceKey,
    );
    return this.#apply(decideEnqueue({ queue: this.queue, source }, "s", content, this.limits, this.nowMs));
  }

  claim(
    fence: LeaseFence,
    { boundary = "idle", max = 10 }: { boundary?: ClaimRecord["boundary"]; max?: number } = {},
  ): ClaimRecord | undefined {
    return this.#apply(decideClaimWork(this.#claimSnapshot(), { fence, boundary, max }, this.nowMs));
  }

  claimByIds(fence: LeaseFence, ids: readonly string[]): ClaimRecord | undefined {
    const request = { fence, boundary: "idle" } as const;
    return this.#apply(decideClaimWorkByIds(this.#claimSnapshot(), request, ids, this.nowMs));
  }

  renew(fence: LeaseFence, completion: WorkCompletion): ClaimRecord {
    return decideRenewClaim(this.lease, fence, this.rows(completion.claim), completion, this.nowMs);
  }

  abandon(fence: LeaseFence, completion: WorkCompletion, as: AbandonAs = "pending"): number {
    const snapshot = { queue: this.queue, lease: this.lease, rows: this.rows(completion.claim) };
    return this.#apply(decideAbandonClaim(snapshot, fence, completion, as, this.nowMs));
  }

  cancel(...ids: string[]): readonly CancelResult[] {
    const named = ids.map((id) => {
      const open = [...this.open.values()].find((work) => work.id === id);
      const settled = [...this.settled.values()].find((work) => work.id === id);
      return { id, ...(open && { open }), ...(settled && { settled }) };
    });
    return this.#apply(decideCancelWork({ queue: this.queue, lease: this.lease, named }, this.nowMs));
  }

  settle(...completions: WorkCompletion[]): void {
    const rows = completions.map((completion) => this.rows(completion.claim));
    const change = decideSettle({ queue: this.queue, lease: this.lease, rows }, completions, this.nowMs);
    this.#apply({ change, result: undefined });
  }

  vacuum(beforeMs: number = Number.MAX_SAFE_INTEGER): number {
    return this.#apply(decideVacuumWork(this.queue, [...this.settled.values()], beforeMs));
  }

  rows(claim: string): ClaimRows {
    const record = this.claims.get(claim);
    return { claim: record, open: (record?.sequences ?? []).map((sequence) => this.open.get(sequence)) };
  }

  /** Every batch and how far it is, in order. */
  states(): [string, WorkState][] {
    const generation = heldGeneration(this.lease, this.nowMs);
    return [...this.batches.values()].map(({ sequence, id }) => {
      const open = this.open.get(sequence);
      return [id, open ? openState(open, generation) : (this.settled.get(sequence) as SettledWork).as];
    });
  }

  #claimSnapshot() {
    return { queue: this.queue, lease: this.lease, open: [...this.open.values()] };
  }

  #apply<Result>({ change, result }: WorkDecision<Result>): Result {
    if (change === undefined) return result;
    this.queue = change.queue;
    for (const batch of change.enqueued ?? []) this.batches.set(batch.sequence, batch);
    for (const work of change.open ?? []) this.open.set(work.sequence, work);
    for (const work of change.settled ?? []) {
      this.open.delete(work.sequence);
      this.settled.set(work.sequence, work);
    }
    for (const id of change.claimsOver ?? []) this.claims.delete(id);
    for (const claim of change.claims ?? []) this.claims.set(claim.id, claim);
    for (const work of change.forgotten ?? []) {
      this.settled.delete(work.sequence);
      this.batches.delete(work.sequence);
    }
    return result;
  }
}
