import type { KvCallOptions, KvKey } from "@tidemark/kv";
import { decideAbandonClaim, type AbandonAs } from "./abandon-work.ts";
import { decideCancelWork, WORK_CANCEL_MAX, type CancelResult } from "./cancel-work.ts";
import {
  decideClaimWork,
  decideClaimWorkByIds,
  decideRenewClaim,
  type ClaimRequest,
  type ClaimSnapshot,
} from "./claim-work.ts";
import { nothing, runDecision, viewOf, type Decision, type View } from "./decision.ts";
import { decideEnqueue, type EnqueueResult } from "./enqueue.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import { sessionKeys } from "./keys.ts";
import { heldGeneration, leaseRecord, requireLive, type LeaseFence, type LeaseRecord } from "./lease.ts";
import { mintId, requireBound, requireOpenGate, unchanged, type SessionContext } from "./session-context.ts";
import { decideVacuumWork, WORK_VACUUM_MAX } from "./vacuum-work.ts";
import { claimIds, type WorkBatch, type WorkView } from "./work-batch.ts";
import type { WorkDecision } from "./work-change.ts";
import type { ClaimRecord, WorkClaim, WorkCompletion } from "./work-claim.ts";
import { workContent, type WorkDraft } from "./work-draft.ts";
import {
  EMPTY_QUEUE,
  QUEUE_LIMITS,
  QUEUE_OPEN_MAX,
  type QueueLimits,
  type QueueRecord,
} from "./work-queue-record.ts";
import {
  claimedBatches,
  findNamed,
  findSource,
  namedFrom,
  readSettled,
  viewNamed,
  viewsOfOpen,
} from "./work-reads.ts";
import { queueRecord, readClaim, readClaims, readOpen, workChangeRows } from "./work-rows.ts";

/** Which batches a cancel is about: some, by id, or one and all that were queued after it. */
export type CancelSelection = { readonly ids: readonly string[] } | { readonly from: string };

/** One step of the queue: what is read beside the registers, and what is decided on it. */
interface Step<Read, Result> {
  /** The lease it is done under, if any: then the decision rests on the lease too, and is made anew if that changes. */
  readonly fence?: LeaseFence;
  read(view: View): Promise<Read>;
  decide(registers: Registers, read: Read, nowMs: number): WorkDecision<Result>;
}

/** The registers that a change of the queue rests on. */
interface Registers {
  readonly queue: QueueRecord;
  readonly lease: LeaseRecord | undefined;
}

/** Where and by whom work is claimed, without how much. */
type ClaimPlace = Omit<ClaimRequest, "max">;

/** Keys of one commit that a store must take, so that a batch can be queued at all: with its checks. */
const WORK_KEYS_MIN = 7;

const KEYS: readonly KvKey[] = [sessionKeys.gate, sessionKeys.queue, sessionKeys.lease];

/**
 * The queued work of one session. Each call is one atomic step: all of it happened, or it threw and nothing did, but for
 * `STORAGE_FAILED`, after which a write may have happened.
 *
 * Input is queued by anybody, with or without a worker; only the holder of the session's lease claims it, and only a
 * turn's commit completes it.
 */
export class WorkQueue {
  readonly #context: SessionContext;
  readonly #limits: QueueLimits;

  /** @throws `RangeError` for limits above {@link QUEUE_OPEN_MAX}. */
  constructor(context: SessionContext, limits: Partial<QueueLimits> = {}) {
    this.#context = context;
    this.#limits = { ...QUEUE_LIMITS, ...limits };
    const { openMax } = this.#limits;
    if (openMax > QUEUE_OPEN_MAX)
      throw new RangeError(`openMax must be at most ${QUEUE_OPEN_MAX}: ${openMax}`);
  }

  /**
   * Queues work at the end: see {@link decideEnqueue}.
   *
   * @throws SessionStoreError `SOURCE_CONFLICT`, `WORK_QUEUE_FULL`, `COMMIT_TOO_LARGE`
   */
  enqueue(draft: WorkDraft, options: KvCallOptions = {}): Promise<EnqueueResult> {
    const { session, records } = this.#context;
    const content = workContent(draft, mintId(this.#context), this.#limits.batchBytesMax);
    return this.#change<WorkBatch | undefined, EnqueueResult>(
      {
        read: (view) => findSource(view, draft.sourceKey, records),
        decide: ({ queue }, source, nowMs) =>
          decideEnqueue({ queue, source }, session, content, this.#limits, nowMs),
      },
      options,
    );
  }

  /**
   * Claims the next group of work: see {@link decideClaimWork}. Should the answer be lost, {@link WorkQueue.held} has it.
   *
   * @throws SessionStoreError `LEASE_EXPIRED`
   */
  claim(request: ClaimRequest, options: KvCallOptions = {}): Promise<WorkClaim | undefined> {
    return this.#claim(
      request.fence,
      (snapshot, nowMs) => decideClaimWork(snapshot, request, nowMs),
      options,
    );
  }

  /** Claims exactly these batches: see {@link decideClaimWorkByIds}. @throws SessionStoreError `LEASE_EXPIRED` */
  claimByIds(
    request: ClaimPlace & { readonly ids: readonly string[] },
    options: KvCallOptions = {},
  ): Promise<WorkClaim | undefined> {
    return this.#claim(
      request.fence,
      (snapshot, nowMs) => decideClaimWorkByIds(snapshot, request, request.ids, nowMs),
      options,
    );
  }

  /**
   * Verifies that a claim still holds its work: see {@link decideRenewClaim}.
   *
   * @throws SessionStoreError `LEASE_EXPIRED`, `CLAIM_EXPIRED`
   */
  renewClaim(
    fence: LeaseFence,
    completion: WorkCompletion,
    options: KvCallOptions = {},
  ): Promise<ClaimRecord> {
    const { records } = this.#context;
    return this.#change(
      {
        fence,
        read: (view) => readClaim(view, completion, records),
        decide: ({ lease }, rows, nowMs) => ({
          result: decideRenewClaim(lease, fence, rows, completion, nowMs),
        }),
      },
      options,
    );
  }

  /** Gives the work of a claim back: see {@link decideAbandonClaim}. @returns How many batches. */
  abandon(
    fence: LeaseFence,
    completion: WorkCompletion,
    options: KvCallOptions & { readonly as?: AbandonAs } = {},
  ): Promise<number> {
    const { records } = this.#context;
    const { as = "pending", ...callOptions } = options;
    return this.#change(
      {
        fence,
        read: (view) => readClaim(view, completion, records),
        decide: (registers, rows, nowMs) =>
          decideAbandonClaim({ ...registers, rows }, fence, completion, as, nowMs),
      },
      callOptions,
    );
  }

  /**
   * Cancels work that is open and free: see {@link decideCancelWork}. With `from`, that batch and all that were queued
   * after it and are open, in order.
   *
   * @returns One result for each batch, in the order of `ids`, or of the queue.
   */
  cancel(selection: CancelSelection, options: KvCallOptions = {}): Promise<readonly CancelResult[]> {
    const { records } = this.#context;
    if ("ids" in selection && selection.ids.length > WORK_CANCEL_MAX) {
      throw new RangeError(`ids must be at most ${WORK_CANCEL_MAX}: ${selection.ids.length}`);
    }
    return this.#change(
      {
        read: (view) =>
          "ids" in selection
            ? findNamed(view, selection.ids, records)
            : namedFrom(view, selection.from, records),
        decide: (registers, named, nowMs) => decideCancelWork({ ...registers, named }, nowMs),
      },
      options,
    );
  }

  /** All open work in order, with what is claimed. */
  list(options: KvCallOptions = {}): Promise<WorkView[]> {
    return this.#read((view, generation) => viewsOfOpen(view, generation, this.#context.records), options);
  }

  /** Open work that no live claim holds, in order. */
  async pending(options: KvCallOptions = {}): Promise<WorkView[]> {
    return (await this.list(options)).filter((work) => work.state !== "accepted");
  }

  /** One batch, in whatever state it is; `undefined` if none of that id is known, or a vacuum took it. */
  find(id: string, options: KvCallOptions = {}): Promise<WorkView | undefined> {
    return this.#read((view, generation) => viewNamed(view, id, generation, this.#context.records), options);
  }

  /**
   * The claims that the holder of the lease has, by their first batch: what a worker goes on with that was started anew
   * under the same owner, or never got the answer to a claim.
   *
   * @throws SessionStoreError `LEASE_EXPIRED`
   */
  async held(fence: LeaseFence, options: KvCallOptions = {}): Promise<WorkClaim[]> {
    const { records } = this.#context;
    const claims = await this.#change(
      {
        fence,
        read: async (view) => {
          const { session, generation } = fence;
          const open = await readOpen(view, records);
          const held = claimIds(open.filter((work) => work.claim?.generation === generation));
          return readClaims(
            view,
            held.map((claim) => ({ session, claim, generation })),
            records,
          );
        },
        decide: ({ lease }, rows, nowMs) => {
          requireLive(lease, fence, nowMs);
          return { result: rows.flatMap(({ claim }) => claim ?? []) };
        },
      },
      options,
    );
    return Promise.all(claims.map((claim) => this.#withBatches(claim, options)));
  }

  /**
   * Forgets work that ended before `beforeMs` (Unix ms of the store's clock), with the source keys it had: see
   * {@link decideVacuumWork}. Several steps; one that fails leaves what the others did.
   *
   * @returns How many batches this call forgot.
   */
  async vacuum(options: KvCallOptions & { readonly beforeMs?: number } = {}): Promise<number> {
    const { records } = this.#context;
    const { beforeMs = Number.MAX_SAFE_INTEGER, ...callOptions } = options;
    let forgotten = 0;
    let start: KvKey | undefined;
    do {
      const from = start;
      const step = await this.#change(
        {
          read: (view) => readSettled(view, from, WORK_VACUUM_MAX, records),
          decide: ({ queue }, page) => {
            const { change, result } = decideVacuumWork(queue, page.settled, beforeMs);
            return {
              ...(change === undefined ? {} : { change }),
              result: { count: result, next: page.next },
            };
          },
        },
        callOptions,
      );
      forgotten += step.count;
      start = step.next;
    } while (start !== undefined);
    return forgotten;
  }

  async #claim(
    fence: LeaseFence,
    decide: (snapshot: ClaimSnapshot, nowMs: number) => WorkDecision<ClaimRecord | undefined>,
    options: KvCallOptions,
  ): Promise<WorkClaim | undefined> {
    const { records } = this.#context;
    const claim = await this.#change(
      {
        fence,
        read: (view) => readOpen(view, records),
        decide: (registers, open, nowMs) => decide({ ...registers, open }, nowMs),
      },
      options,
    );
    return claim === undefined ? undefined : this.#withBatches(claim, options);
  }

  /** A batch is written once, so its content is read when it is known which ones a claim has. */
  #withBatches(claim: ClaimRecord, options: KvCallOptions): Promise<WorkClaim> {
    const { records } = this.#context;
    return this.#read(
      async (view) => ({ ...claim, batches: await claimedBatches(view, claim.sequences, records) }),
      options,
    );
  }

  /** Reads with the generation that was live shortly before. */
  async #read<Result>(
    read: (view: View, generation: number | undefined) => Promise<Result>,
    options: KvCallOptions,
  ): Promise<Result> {
    const { kv, records } = this.#context;
    this.#requireSupport();
    const view = viewOf(kv, records.partition, options);
    try {
      const [[lease], nowMs] = await Promise.all([view.get([sessionKeys.lease]), kv.nowMs()]);
      return await read(view, heldGeneration(leaseRecord.read(lease, sessionKeys.lease, records), nowMs));
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  /** Reads the registers and what else a step needs, decides, and writes. */
  async #change<Read, Result>(step: Step<Read, Result>, options: KvCallOptions): Promise<Result> {
    const { kv, records } = this.#context;
    this.#requireSupport();
    if (step.fence !== undefined) requireBound(step.fence, this.#context);
    return runDecision(
      kv,
      records.partition,
      async (view) => ({ values: await view.get(KEYS), read: await step.read(view) }),
      ({ values, read }, nowMs): Decision<Result> => {
        requireOpenGate(values[0], this.#context);
        const queue = queueRecord.read(values[1], sessionKeys.queue, records) ?? EMPTY_QUEUE;
        const lease = leaseRecord.read(values[2], sessionKeys.lease, records);
        const { change, result } = step.decide({ queue, lease }, read, nowMs);
        if (change === undefined) return nothing(result);
        const checked = step.fence ? KEYS : [sessionKeys.gate, sessionKeys.queue];
        return { checks: unchanged(checked, values), ...workChangeRows(change, records), result };
      },
      options,
    );
  }

  #requireSupport(): void {
    const { name, scan, keysPerCommitMax } = this.#context.kv.capabilities;
    if (scan && keysPerCommitMax >= WORK_KEYS_MIN) return;
    throw new SessionStoreError("WORK_UNSUPPORTED", `Cannot keep queued work in a store of kind ${name}`);
  }
}
