import type { OpenWork, SettledWork, WorkBatch } from "./work-batch.ts";
import type { ClaimRecord } from "./work-claim.ts";
import type { QueueRecord } from "./work-queue-record.ts";

/** What a decision about the queue writes and removes; it rests on the queue register, and on the lease where it says so. */
export interface WorkChange {
  /** The register from now on. Every change has one. */
  readonly queue: QueueRecord;
  /** New batches, with the rows that find them by id and by source key. */
  readonly enqueued?: readonly WorkBatch[];
  /** Rows of open batches, new or changed. */
  readonly open?: readonly OpenWork[];
  /** Batches that end: their open rows go. */
  readonly settled?: readonly SettledWork[];
  /** New claims. */
  readonly claims?: readonly ClaimRecord[];
  /** Ids of claims that are over. */
  readonly claimsOver?: readonly string[];
  /** Batches that ended and are forgotten, with the rows that find them. */
  readonly forgotten?: readonly SettledWork[];
}

/** A decision about the queue: what changes, if anything, and what the caller is told. */
export interface WorkDecision<Result> {
  /** Absent if everything stays as it is. */
  readonly change?: WorkChange;
  readonly result: Result;
}
