import type { CancelResult } from "./cancel-work.ts";
import type { ClaimRequest } from "./claim-work.ts";
import type { EnqueueResult } from "./enqueue.ts";
import type { LeaseFence } from "./lease.ts";
import type { WorkView } from "./work-batch.ts";
import type { WorkClaim, WorkCompletion } from "./work-claim.ts";
import type { WorkDraft } from "./work-draft.ts";

/** The queued work of a session in a cluster. */
export interface ReplicatedWork {
  /**
   * Queues work in every region, whoever holds the lease. Work with a source key is the same batch wherever it is
   * queued, so it is done once. What is queued in one region keeps its order; of several regions' any.
   *
   * @throws SessionStoreError `SOURCE_CONFLICT`, `WORK_QUEUE_FULL`, `COMMIT_TOO_LARGE`, `JOURNAL_REFUSED`
   */
  enqueue(draft: WorkDraft): Promise<EnqueueResult>;
  /** Claims the next group of work: see {@link WorkQueue.claim}. @throws SessionStoreError `LEASE_EXPIRED` */
  claim(request: ClaimRequest): Promise<WorkClaim | undefined>;
  /** Gives the work of a claim back. @returns How many batches. @throws SessionStoreError `LEASE_EXPIRED` */
  abandon(fence: LeaseFence, completion: WorkCompletion): Promise<number>;
  /** The claims that the holder of the lease has. @throws SessionStoreError `LEASE_EXPIRED` */
  held(fence: LeaseFence): Promise<WorkClaim[]>;
  /**
   * Cancels open and free work in every region: only the holder of the lease knows what is free.
   *
   * @throws SessionStoreError `LEASE_EXPIRED`
   */
  cancel(fence: LeaseFence, ids: readonly string[]): Promise<readonly CancelResult[]>;
  /** Open work in order, as it is known here. */
  list(): Promise<WorkView[]>;
  /** One batch, as it is known here; `undefined` if none of that id is. */
  find(id: string): Promise<WorkView | undefined>;
}
