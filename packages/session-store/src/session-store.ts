import type { KvCallOptions, KvCapabilities } from "@tidemark/kv";
import { SessionAnchors } from "./anchors.ts";
import type { AttachmentKeeper } from "./attachment-keeper.ts";
import type { Attachments } from "./attachments.ts";
import { componentMissing } from "./checkpoint.ts";
import { type CommitBudget, decideCommit } from "./commit.ts";
import { runDecision, viewOf } from "./decision.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import type { GraphNode } from "./graph.ts";
import { collectComponents, type ComponentReport, tombstoneNodes, vacuumGraph } from "./graph-vacuum.ts";
import { type Head, type HeadMeta, headRecord, type PickerInfo } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { prepareCommit } from "./prepare-commit.ts";
import { readCommit } from "./read-commit.ts";
import { readComponent, readHead, readHeadMeta, readNode, type ReadScope } from "./read-session.ts";
import { requireOpenGate, type SessionContext, unchanged } from "./session-context.ts";
import { requireReadable, type SessionGate, sessionGateRecord } from "./session-gate.ts";
import { SessionLease } from "./session-lease.ts";
import { guardMeta, type SessionMeta, sessionMetaRecord } from "./session-meta.ts";
import type { TurnCommit, TurnCommitResult } from "./turn-commit.ts";
import type { QueueLimits } from "./work-queue-record.ts";
import { WorkQueue } from "./work-queue.ts";

/** What a session of a store is opened with. */
export interface SessionStoreOptions {
  readonly budget: CommitBudget;
  readonly queue?: Partial<QueueLimits>;
  /** Where the attachments of all sessions are kept. */
  readonly attachments: AttachmentKeeper;
}

/** What {@link SessionStore.fork} takes. */
export interface ForkOptions {
  /** Of the child; given again it is the same child. @defaultValue a fresh one */
  readonly id?: string;
  /** The node the child is at. @defaultValue where the session is */
  readonly leaf?: string;
  /** @defaultValue the child's id */
  readonly name?: string;
  /** Why, in the caller's words. */
  readonly cause?: string;
}

/**
 * The persistence of one session, to which this handle is bound. Every call is one step: all of it happened, or it
 * rejected and nothing did, but for `STORAGE_FAILED`, after which a write may have happened.
 *
 * Handles may be as many as you like, in as many processes as the key-value store allows. All reject with
 * `SESSION_DELETED` once the session is deleted, and what writes with `SESSION_ARCHIVED` while it is archived.
 */
export class SessionStore {
  /** The session this is bound to. */
  readonly id: string;
  /** What an acknowledged write survives. */
  readonly durability: KvCapabilities["durability"];
  /** One worker at a time. */
  readonly lease: SessionLease;
  /** Input that waits for the worker. */
  readonly work: WorkQueue;
  /** Bytes the session refers to. */
  readonly attachments: Attachments;
  /** What keeps nodes that the head no longer reaches. */
  readonly anchors: SessionAnchors;
  readonly #context: SessionContext;
  readonly #budget: CommitBudget;
  readonly #forkTo: (options: ForkOptions) => Promise<SessionStore>;

  constructor(
    context: SessionContext,
    { budget, queue = {}, attachments }: SessionStoreOptions,
    forkTo: (options: ForkOptions) => Promise<SessionStore>,
  ) {
    this.id = context.session;
    this.durability = context.kv.capabilities.durability;
    this.lease = new SessionLease(context);
    this.work = new WorkQueue(context, queue);
    this.attachments = attachments.of(context.session);
    this.anchors = new SessionAnchors(context);
    this.#context = context;
    this.#budget = budget;
    this.#forkTo = forkTo;
  }

  /**
   * Commits a turn, in one atomic step: see {@link decideCommit} for the errors and their order. Rejected with
   * `STORAGE_FAILED` or `BUSY` it is tried again with the same turn stamp: it counts once.
   */
  async commit(commit: TurnCommit, options: KvCallOptions = {}): Promise<TurnCommitResult> {
    const { kv, records, session } = this.#context;
    const prepared = prepareCommit(commit, records.hasher);
    const place = { session, records, budget: this.#budget };
    return runDecision(
      kv,
      records.partition,
      (view) => readCommit(view, prepared, records),
      (snapshot, nowMs) => decideCommit(snapshot, prepared, place, nowMs),
      options,
    );
  }

  /**
   * The state after the last turn, with the graph in full or the path to a leaf; `undefined` if nothing was ever committed.
   *
   * @throws {@link SessionStoreError} `UNSUPPORTED_READ_SCOPE`, `LEAF_UNRESOLVABLE`, `DATA_CORRUPT`, `RECORD_VERSION`,
   * `COMPONENT_MISSING`, `BUSY`
   */
  load(scope: ReadScope = { scope: "full" }): Promise<Head | undefined> {
    return readHead(this.#context, scope);
  }

  /** {@link SessionStore.load} without the graph; its cost does not grow with the graph. */
  headMeta(): Promise<HeadMeta | undefined> {
    return readHeadMeta(this.#context);
  }

  /** One node; `undefined` if none of that id is in the graph, or it is hidden. */
  node(id: string): Promise<GraphNode | undefined> {
    return readNode(this.#context, id);
  }

  /** The bytes of a component of a checkpoint or a frame. @throws {@link SessionStoreError} `COMPONENT_MISSING` */
  component(ref: string): Promise<Uint8Array> {
    if (!/^[0-9a-f]{64}$/.test(ref)) return Promise.reject(componentMissing(ref));
    const { kv, records } = this.#context;
    return readComponent(viewOf(kv, records.partition), ref, records).catch((error: unknown) => {
      throw asSessionStoreError(error);
    });
  }

  /** What people know the session by. */
  async meta(): Promise<SessionMeta | undefined> {
    const [, meta] = await this.#registers();
    return meta;
  }

  /** Replaces the meta. A commit never touches it, and it makes no session loadable. */
  async saveMeta(meta: SessionMeta): Promise<void> {
    const { kv, records, session: bound } = this.#context;
    const saved = guardMeta(meta);
    if (saved.id !== bound) {
      throw new SessionStoreError(
        "SESSION_BINDING_MISMATCH",
        `Cannot save the meta of session ${saved.id}: the store is bound to ${bound}`,
        { bound, attempted: saved.id },
      );
    }
    const keys = [sessionKeys.gate];
    await runDecision(
      kv,
      records.partition,
      (view) => view.get(keys),
      (values) => {
        requireOpenGate(values[0], this.#context);
        const puts = [sessionMetaRecord.item(saved, sessionKeys.meta, records)];
        return { checks: unchanged(keys, values), puts, deletes: [], result: undefined };
      },
    );
  }

  /** What a list of sessions shows; no graph is read. `undefined` before the first meta. */
  async pickerInfo(): Promise<PickerInfo | undefined> {
    const [, meta, head] = await this.#registers();
    if (meta === undefined) return undefined;
    const { first, user } = head?.messages ?? { user: 0 };
    const { id, workingDirectory, relation } = meta;
    return {
      id,
      relation,
      userMessageCount: user,
      ...(workingDirectory === undefined ? {} : { workingDirectory }),
      ...(first === undefined ? {} : { firstUserMessage: first }),
    };
  }

  /**
   * Hides nodes, and all below them, from every read at once; their records stay until {@link SessionStore.vacuum}. Ids
   * that are unknown or hidden already are ignored.
   *
   * @returns How many nodes this call hid.
   * @throws {@link SessionStoreError} `NODE_REACHABLE` if the head or an anchor reaches one of them: then none was hidden.
   */
  tombstone(ids: readonly string[]): Promise<number> {
    return tombstoneNodes(this.#context, ids);
  }

  /**
   * Removes the records of nodes that are hidden or were replaced and that no anchor reaches. No read sees a difference.
   *
   * @returns How many nodes this call removed.
   */
  vacuum(): Promise<number> {
    return vacuumGraph(this.#context);
  }

  /**
   * Removes the bytes of components that neither the head, nor a frame, nor an anchor names. If any of those cannot be
   * read, it rejects and removes nothing.
   */
  collectComponents(): Promise<ComponentReport> {
    return collectComponents(this.#context);
  }

  /** Makes a child: a session of its own that begins as this one is at a leaf, and from then on stands by itself. */
  fork(options: ForkOptions = {}): Promise<SessionStore> {
    return this.#forkTo(options);
  }

  /** Whether the session is archived: read, not written. */
  async archived(): Promise<boolean> {
    const [gate] = await this.#registers();
    return gate.state === "archived";
  }

  /** Makes the session read-only. Fine if it is; a lease that is held ends of itself. */
  archive(): Promise<void> {
    return this.#setState("archived");
  }

  /** Makes the session writable again. Fine if it is. */
  unarchive(): Promise<void> {
    return this.#setState("open");
  }

  async #registers() {
    const { kv, records, session } = this.#context;
    const { gate, meta, head } = sessionKeys;
    try {
      const values = await kv.get(records.partition, [gate, meta, head]);
      return [
        requireReadable(sessionGateRecord.read(values[0], gate, records), session),
        sessionMetaRecord.read(values[1], meta, records),
        headRecord.read(values[2], head, records),
      ] as const;
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  #setState(state: SessionGate["state"]): Promise<void> {
    const { kv, records, session } = this.#context;
    const key = sessionKeys.gate;
    return runDecision(
      kv,
      records.partition,
      (view) => view.get([key]),
      ([value], nowMs) => {
        const gate = requireReadable(sessionGateRecord.read(value, key, records), session);
        const item = sessionGateRecord.item({ state, sinceMs: nowMs }, key, records);
        const puts = gate.state === state ? [] : [item];
        return { checks: [{ key, value }], puts, deletes: [], result: undefined };
      },
    );
  }
}
