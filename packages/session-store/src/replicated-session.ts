import { HASH_CONTEXTS, type Hasher, preimage } from "@tidemark/core";
import { decideCancelWork, type CancelResult } from "./cancel-work.ts";
import type { ClaimRequest } from "./claim-work.ts";
import { applyCancelled, applyTurn, applyWork, readClusterHead } from "./cluster-apply.ts";
import type { ClusterAuthority } from "./cluster-authority.ts";
import { type ClusterMessage, encodeClusterMessage, readClusterMessage } from "./cluster-message.ts";
import type { ClusterHead } from "./cluster-register.ts";
import { ClusterTurns } from "./cluster-turns.ts";
import { decideTurn, type CommitBudget } from "./commit.ts";
import { nothing, runDecision } from "./decision.ts";
import { decideEnqueue, type EnqueueResult } from "./enqueue.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import { hex } from "./hex.ts";
import { appendMessage, type JournalMessage, MessageReader } from "./journal-parts.ts";
import { sessionKeys } from "./keys.ts";
import type { LeaseTimers } from "./lease-guard.ts";
import { LEASE_TTL_MS } from "./lease-limits.ts";
import { leaseFence, type LeaseFence, type LeaseRecord, leaseRecord } from "./lease.ts";
import { prepareCommit } from "./prepare-commit.ts";
import { readCommit } from "./read-commit.ts";
import type { ClaimReplicatedLeaseOptions, ReplicatedLease } from "./replicated-lease.ts";
import type { ReplicatedWork } from "./replicated-work.ts";
import { mintId, requireBound, type SessionContext } from "./session-context.ts";
import type { SessionJournal } from "./session-journal.ts";
import { SessionLease } from "./session-lease.ts";
import type { SessionMeta } from "./session-meta.ts";
import type { TurnCommit, TurnCommitResult } from "./turn-commit.ts";
import { encodeTurnRecord } from "./turn-record.ts";
import type { WorkClaim } from "./work-claim.ts";
import { workContent, type WorkDraft } from "./work-draft.ts";
import { WorkQueue } from "./work-queue.ts";
import { EMPTY_QUEUE, QUEUE_LIMITS } from "./work-queue-record.ts";
import { findNamed, findSource } from "./work-reads.ts";
import { queueRecord } from "./work-rows.ts";

/** Where the messages of sessions lie in a journal. */
const NAMESPACE = "tidemark.session-store";
/** How long what the cluster has committed is waited for, in milliseconds. */
const ARRIVAL_MS = 10_000;

/** What the sessions of one region share. */
export interface ReplicatedContext extends SessionContext {
  readonly hasher: Hasher;
  readonly authority: ClusterAuthority;
  readonly journal: SessionJournal;
  readonly timers: LeaseTimers;
  readonly budget: CommitBudget;
  /** Makes a session of this meta here, unless there is one. */
  readonly make: (meta: SessionMeta) => Promise<void>;
}

/**
 * A session whose workers may be in any region, one at a time.
 *
 * A turn is written to the session's journal first, then committed by the register of the cluster, in one comparison that
 * also judges the lease, and then applied in every region, each with a store of its own. So a worker that lost its lease
 * commits nothing, wherever it wakes up, and what was acknowledged is what the next worker goes on from. Work may be
 * queued in any region at any time; it is claimed where the lease is.
 *
 * Calls of one handle follow one another. Reads are of this region's store: what is known here to be committed.
 */
export class ReplicatedSession {
  readonly id: string;
  readonly lease: ReplicatedLease;
  readonly work: ReplicatedWork;
  readonly #context: ReplicatedContext;
  readonly #reader: MessageReader;
  readonly #queue: WorkQueue;
  readonly #turns: ClusterTurns = new ClusterTurns();
  #waiting: { readonly digest: string; readonly message: ClusterMessage }[] = [];
  #last: Promise<unknown> = Promise.resolve();
  /** Whether the register may be ahead of this region by a turn of this very handle. */
  #uncertain: boolean = true;
  /** The committed turn that the others were not told of yet. */
  #untold: ClusterHead | undefined;

  constructor(context: ReplicatedContext) {
    const { session, journal, hasher } = context;
    this.id = session;
    this.#context = context;
    this.#reader = new MessageReader(journal, hasher, { session, namespace: NAMESPACE });
    this.#queue = new WorkQueue(context);
    this.lease = {
      claim: (options) => this.#claimLease(options),
      renew: (fence, options) => this.#renewLease(fence, options),
      release: (fence) => this.#releaseLease(fence),
    };
    this.work = {
      enqueue: (draft) => this.#enqueue(draft),
      claim: (request) => this.#claimWork(request),
      abandon: (fence, completion) => this.#inTurn(() => this.#queue.abandon(fence, completion)),
      held: (fence) => this.#inTurn(() => this.#queue.held(fence)),
      cancel: (fence, ids) => this.#cancelWork(fence, ids),
      list: () => this.#queue.list(),
      find: (id) => this.#queue.find(id),
    };
  }

  /**
   * Applies what has arrived; resolves with the turn this region is at.
   *
   * @param options.ask - Asks the cluster's register as well: else a turn whose worker died before it could tell of it is
   * known to be committed once the next worker comes. @defaultValue false
   * @throws SessionStoreError `STORAGE_FAILED`, `BUSY`
   */
  sync({ ask = false }: { readonly ask?: boolean } = {}): Promise<ClusterHead> {
    return this.#inTurn(async () => {
      if (ask) this.#turns.commit((await this.#context.authority.read(this.id)).head);
      return this.#apply();
    });
  }

  /** Tells the regions of a session that was made here. */
  announce(meta: SessionMeta): Promise<void> {
    return this.#inTurn(() => this.#append({ kind: "created", meta }).then(() => undefined));
  }

  async #claimLease(options: ClaimReplicatedLeaseOptions): Promise<LeaseRecord | undefined> {
    const { owner, ttlMs = LEASE_TTL_MS, timeoutMs = ARRIVAL_MS, signal } = options;
    signal?.throwIfAborted();
    const { authority, session } = this.#context;
    const register = await authority.claim({ session, owner, ttlMs, nonce: mintId(this.#context) });
    const lease = register?.lease;
    if (register === undefined || lease === undefined) return undefined;
    try {
      await this.#arrival(register.head, timeoutMs, signal);
      await this.#inTurn(() => this.#mirror(lease, ttlMs));
    } catch (error) {
      await authority.release(leaseFence(lease));
      throw error;
    }
    this.#uncertain = false;
    // Nobody may have told the others of it: its worker is gone.
    this.#tell(register.head);
    return lease;
  }

  async #renewLease(
    fence: LeaseFence,
    { ttlMs = LEASE_TTL_MS }: { readonly ttlMs?: number } = {},
  ): Promise<LeaseRecord> {
    requireBound(fence, this.#context);
    const lease = await this.#context.authority.renew(fence, ttlMs);
    await this.#inTurn(() => this.#mirror(lease, ttlMs));
    return lease;
  }

  async #releaseLease(fence: LeaseFence): Promise<void> {
    requireBound(fence, this.#context);
    await this.#context.authority.release(fence);
    await this.#inTurn(() => this.#unmirror(fence));
  }

  #enqueue(draft: WorkDraft): Promise<EnqueueResult> {
    return this.#inTurn(async () => {
      await this.#apply();
      const { kv, records, session } = this.#context;
      const content = workContent(draft, this.#batchId(draft), QUEUE_LIMITS.batchBytesMax);
      const known = await runDecision(
        kv,
        records.partition,
        async (view) => ({
          source: await findSource(view, draft.sourceKey, records),
          queue: queueRecord.read((await view.get([sessionKeys.queue]))[0], sessionKeys.queue, records),
        }),
        ({ source, queue = EMPTY_QUEUE }, nowMs) =>
          nothing(decideEnqueue({ queue, source }, session, content, QUEUE_LIMITS, nowMs).result),
      );
      if (!known.enqueued) return known;
      await this.#append({ kind: "work", content });
      const { batch } = known;
      const view = await this.#queue.find(batch.id);
      return { batch: view === undefined ? batch : { ...batch, sequence: view.sequence }, enqueued: true };
    });
  }

  #claimWork(request: ClaimRequest): Promise<WorkClaim | undefined> {
    return this.#inTurn(async () => {
      await this.#apply();
      return this.#queue.claim(request);
    });
  }

  #cancelWork(fence: LeaseFence, ids: readonly string[]): Promise<readonly CancelResult[]> {
    return this.#inTurn(async () => {
      await this.#apply();
      const { authority, kv, records } = this.#context;
      requireBound(fence, this.#context);
      await authority.require(fence);
      const queue = EMPTY_QUEUE;
      const results = await runDecision(
        kv,
        records.partition,
        async (view) => ({
          named: await findNamed(view, ids, records),
          lease: leaseRecord.read((await view.get([sessionKeys.lease]))[0], sessionKeys.lease, records),
        }),
        ({ named, lease }, nowMs) => nothing(decideCancelWork({ queue, lease, named }, nowMs).result),
      );
      const cancelled = results.filter(({ outcome }) => outcome === "cancelled").map(({ id }) => id);
      if (cancelled.length > 0) await this.#append({ kind: "cancelled", ids: cancelled });
      return results;
    });
  }

  /**
   * Commits a turn in every region: as the commit of one store (see `SessionStore.commit`), and besides, the lease and the
   * head are those of the cluster.
   *
   * After `STORAGE_FAILED` the turn may be committed: the same turn again says so.
   *
   * @throws SessionStoreError as `SessionStore.commit`; `JOURNAL_REFUSED`.
   */
  commit(commit: TurnCommit): Promise<TurnCommitResult> {
    return this.#inTurn(async () => {
      const { authority, hasher, kv, records, session, budget } = this.#context;
      const prepared = prepareCommit(commit, hasher);
      if (this.#uncertain) this.#turns.commit((await authority.read(session)).head);
      const from = await this.#apply();
      const decided = await runDecision(
        kv,
        records.partition,
        (view) => readCommit(view, prepared, records),
        (snapshot, nowMs) => nothing(decideTurn(snapshot, prepared, { session, records, budget }, nowMs)),
      );
      const { outcome, result, record, settled } = decided;
      if (record !== undefined) {
        const bytes = encodeClusterMessage({ kind: "turn", from, settled, record: encodeTurnRecord(record) });
        const to = { revision: from.revision + 1, digest: await this.#write(bytes) };
        this.#uncertain = true;
        await authority.commit(commit.lease as LeaseFence, from, to);
        this.#turns.commit(to);
        await this.#apply();
        this.#uncertain = false;
        this.#tell(to);
      }
      if (commit.release === true && commit.lease !== undefined) {
        await authority.release(commit.lease);
        await this.#unmirror(commit.lease);
      }
      return { outcome, ...result };
    });
  }

  /** Applies what arrives until the signal, so that this region is at hand when a worker comes. */
  async follow(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    for await (const session of this.#context.journal.changes(signal)) {
      if (session !== this.id) continue;
      await this.sync().catch(failed);
    }
  }

  async #arrival(head: ClusterHead, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const ended = new AbortController();
    const { journal, timers, session } = this.#context;
    const stop = timers.setTimer(timeoutMs, () => ended.abort());
    const changes = journal.changes(
      signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]),
    );
    try {
      const changed = changes[Symbol.asyncIterator]();
      for (;;) {
        // Asked for before looking, so that what comes in between is not missed.
        const next = changed.next();
        const at = await this.#inTurn(() => {
          this.#turns.commit(head);
          return this.#apply();
        });
        if (at.revision >= head.revision) return;
        if ((await next).done !== true) continue;
        signal?.throwIfAborted();
        throw new SessionStoreError(
          "NOT_YET_VISIBLE",
          `Revision ${head.revision} of session ${session} is committed, and ${journal.region} has ${at.revision}`,
          { session, expected: head.revision, actual: at.revision },
        );
      }
    } finally {
      stop();
      ended.abort();
    }
  }

  /** Applies all that has arrived, in order; the rest is tried again with the next call. */
  async #apply(): Promise<ClusterHead> {
    for (const message of this.#reader.read()) this.#note(message);
    try {
      for (let waiting = this.#waiting[0]; waiting !== undefined; waiting = this.#waiting[0]) {
        const { digest, message } = waiting;
        if (message.kind === "turn") this.#turns.arrive(digest, message);
        else if (message.kind === "decided") this.#turns.commit(message.head);
        else if (message.kind === "work") await applyWork(this.#context, message.content);
        else if (message.kind === "cancelled") await applyCancelled(this.#context, message.ids);
        else await this.#context.make(message.meta);
        this.#waiting.shift();
      }
      let head = await readClusterHead(this.#context);
      for (let turn = this.#turns.next(head); turn !== undefined; turn = this.#turns.next(head)) {
        await applyTurn(this.#context, turn);
        head = await readClusterHead(this.#context);
      }
      this.#turns.applied(head.revision);
      return head;
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  #note({ digest, bytes }: JournalMessage): void {
    const message = readClusterMessage(bytes);
    if (message !== undefined) this.#waiting.push({ digest, message });
  }

  async #append(message: ClusterMessage): Promise<void> {
    await this.#write(encodeClusterMessage(message));
    await this.#apply();
  }

  #write(bytes: Uint8Array): Promise<string> {
    const { journal, hasher, session } = this.#context;
    return appendMessage(journal, hasher, { session, namespace: NAMESPACE }, bytes);
  }

  /** Tells the others of a committed turn, which nobody waits for: the next turn, or the next worker, says it too. */
  #tell(head: ClusterHead): void {
    if (head.revision === 0) return;
    this.#untold = head;
    void this.#inTurn(async () => {
      if (this.#untold !== head) return;
      await this.#write(encodeClusterMessage({ kind: "decided", head }));
      this.#untold = undefined;
    }).catch(() => undefined);
  }

  /** The lease as this region's store knows it, with an end by this store's own clock: what work is claimed under. */
  #mirror(lease: LeaseRecord, ttlMs: number): Promise<void> {
    const { kv, records } = this.#context;
    return runDecision(
      kv,
      records.partition,
      (view) => view.get([sessionKeys.lease]),
      ([stored], nowMs) => {
        const local = { ...lease, claimedAtMs: nowMs, expiresAtMs: nowMs + ttlMs };
        return {
          checks: [{ key: sessionKeys.lease, value: stored }],
          puts: [leaseRecord.item(local, sessionKeys.lease, records)],
          deletes: [],
          result: undefined,
        };
      },
    );
  }

  #unmirror(fence: LeaseFence): Promise<void> {
    return new SessionLease(this.#context).release(fence);
  }

  #batchId({ sourceKey }: WorkDraft): string {
    if (sourceKey === undefined) return mintId(this.#context);
    const texts = ["source", this.id, sourceKey].map((text) => new TextEncoder().encode(text));
    return hex(this.#context.hasher.digest(HASH_CONTEXTS.journalMessage, preimage(texts), 16));
  }

  #inTurn<Result>(call: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(call);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
