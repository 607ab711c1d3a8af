import type { Channel, HlcClock, RegionId } from "@tidemark/core";
import {
  clusterIdOf,
  formatMembership,
  nextMembership,
  openReplication,
  ShardRouter,
} from "@tidemark/replication";
import type {
  ClusterKey,
  Membership,
  MembershipPromise,
  Replicated,
  Replication,
} from "@tidemark/replication";
import { SessionReplicationBridge } from "@tidemark/session-bridge";
import type { Submitted } from "@tidemark/session-bridge";
import { erasureSession, SessionAdmission, SessionFold } from "@tidemark/session";
import type { OpRequest, RequestOf, SessionChange } from "@tidemark/session";
import { SignalEffects, SignalLedger } from "@tidemark/signals";
import type { SignalContent } from "@tidemark/signals";
import type { Transport } from "@tidemark/transport";
import type { Checkpoint, Wal } from "@tidemark/wal";
import { absent } from "./absent.ts";
import { acknowledged } from "./ack-ladder.ts";
import { sessionChanges } from "./changes.ts";
import { beginError } from "./begin.ts";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { ColdFile } from "./cold-file.ts";
import { RegionEmitter, replicationEvents } from "./diagnostics.ts";
import { Erasures } from "./erasures.ts";
import { RegionError } from "./errors.ts";
import { handOver, unknownOf } from "./hand-over.ts";
import type { RegionHealth } from "./health.ts";
import { drawHealth } from "./health-view.ts";
import { toHex } from "./hex.ts";
import type { KeyFile } from "./key-file.ts";
import { KeyStore } from "./key-store.ts";
import type { RegionMetrics } from "./metrics.ts";
import { drawMetrics } from "./metrics-view.ts";
import { MembersKeeper } from "./members-keeper.ts";
import { parseMembers, toRegionMembers } from "./members.ts";
import type { MembersOption, RegionMembers } from "./members.ts";
import { regionIds } from "./opening-list.ts";
import { Monitor } from "./monitor.ts";
import { LedgerState } from "./ledger-state.ts";
import { REGION_DEFAULTS, replicationLimits } from "./options.ts";
import type { RegionOptions, RegionPlatform } from "./options.ts";
import type {
  AckLevel,
  ChangesOptions,
  EraseResult,
  CloseOptions,
  ForkOptions,
  ResumeOptions,
  Session,
  SessionSync,
  StartOptions,
  User,
  WriteOptions,
  WriteResult,
} from "./region.ts";
import type { SignalResult } from "./region-signals.ts";
import { SessionHandle } from "./session-handle.ts";
import { SignalWriter } from "./signal-writer.ts";
import type { Recorded } from "./signal-writer.ts";
import { SlotMap } from "./slot-map.ts";
import type { RegionPolicies } from "./region-policies.ts";
import { SessionKeeping } from "./session-keeping.ts";
import { RegionTokens } from "./tokens.ts";
import { closedError, translate } from "./translate.ts";
import { UserHandle } from "./user-handle.ts";
import { waitFor } from "./wait.ts";

const SESSION_ID_BYTES = 16;

/** What a region is made of, opened by {@link openRegion}. */
export interface RegionParts {
  readonly options: RegionOptions;
  readonly platform: RegionPlatform;
  readonly name: string;
  readonly id: RegionId;
  readonly wal: Wal;
  readonly clock: HlcClock;
  readonly closeClock: () => Promise<void>;
  /** Where cold sessions lie; absent where files cannot be read at once. */
  readonly cold: ColdFile | undefined;
  readonly clusterKeys: readonly ClusterKey[];
  readonly policies: RegionPolicies;
  readonly transport: Transport;
  /** Notes for good that the region has reached the head of a member. */
  readonly noteJoined: (membership: Membership) => Promise<void>;
  /** Notes for good that the region is back after a removal, as a member since this version of the list. */
  readonly noteReturned: (since: number) => Promise<void>;
}

/** How a region starts. */
export interface StartHow {
  readonly bootstrap: boolean;
  /** It has not reached the head of a member since its directory was made. */
  readonly joining: boolean;
  readonly checkpoint: Checkpoint | undefined;
  /** The version of the list with which this directory came to the cluster. */
  readonly joinedSince?: number;
  /** The keys of users, where the cluster encrypts. */
  readonly keys: KeyFile | undefined;
  /** What was promised to a proposal of another list in an earlier run. */
  readonly promised?: MembershipPromise;
  /** The list gives slots to other shards than the logs of the last run were written under. */
  readonly slotsMoved?: boolean;
}

/** What exists once the region knows its cluster. */
export interface Running {
  readonly replication: Replication;
  readonly bridge: SessionReplicationBridge;
  readonly fold: SessionFold;
  /** Their sum is what is read. */
  readonly ledgers: readonly SignalLedger[];
  readonly signals: SignalWriter;
  readonly tokens: RegionTokens;
  readonly checkpoints: Checkpoints;
  readonly schedule: CheckpointSchedule;
  readonly keeper: MembersKeeper;
  readonly slots: SlotMap;
  /** Where the cluster encrypts. */
  readonly keys: KeyStore | undefined;
  readonly erasures: Erasures | undefined;
}

/** The inside of a region: everything the handles call. */
export class RegionEngine {
  readonly parts: RegionParts;
  /** Writes refused, by code. */
  readonly refused: Map<string, number> = new Map();
  /** Writes that came while this region may not write at all, by code. */
  readonly fenced: Map<string, number> = new Map();
  readonly policies: RegionPolicies;
  readonly emitter: RegionEmitter;
  readonly monitor: Monitor;
  /** What keeps the region from joining: the first call that needs it throws it, until an attempt succeeds. */
  joinProblem: Error | undefined;
  readonly #closing: AbortController = new AbortController();
  readonly #listeners: Set<(change: SessionChange) => void> = new Set();
  /** Writes under way: a close waits for them. */
  #writing: number = 0;
  #wroteAll: () => void = () => undefined;
  #running: Running | undefined;
  #keeping: SessionKeeping | undefined;
  #joining: Promise<void> = Promise.resolve();
  #noting: Promise<void> = Promise.resolve();
  #waiting: Set<() => void> = new Set();
  #closed: Promise<void> | undefined;

  constructor(parts: RegionParts) {
    this.parts = parts;
    this.policies = parts.policies;
    this.emitter = new RegionEmitter(parts.name, parts.platform.diagnostics);
    this.monitor = new Monitor({
      parts,
      emitter: this.emitter,
      health: () => this.health(),
      metrics: (health) => this.metrics(health),
    });
  }

  /** Told once the region is open: from here on it is watched. */
  opened(): void {
    const { id, options } = this.parts;
    this.emitter.emit("tidemark:region.opened", () => ({ id, role: options.role ?? "member" }));
    this.monitor.start();
  }

  /** Joins in the background; what makes joining impossible is thrown by the calls that need it. */
  joinWith(join: (signal: AbortSignal) => Promise<void>): void {
    this.#joining = join(this.#closing.signal).catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.cannotJoin(error);
    });
  }

  /** Says why the region does not join; whoever waits for it is told. */
  cannotJoin(error: unknown): void {
    const translated = translate(error, this.parts.name);
    const problem = translated instanceof Error ? translated : new Error(String(translated));
    const before = this.joinProblem;
    this.joinProblem = problem;
    // Once a problem, not once an attempt.
    if (before?.message === problem.message) return;
    this.parts.options.logger?.error({ err: problem }, "Cannot join the cluster");
    this.#wake();
  }

  /** Restores the checkpoint, replays the logs and begins to replicate. */
  async start(membership: Membership, how: StartHow): Promise<void> {
    const { options, platform, id, wal, clock, clusterKeys, transport, cold } = this.parts;
    const { hasher } = platform;
    const clusterId = clusterIdOf(hasher, membership.seed);
    const { schema } = options;
    const ledger = new SignalLedger({ hasher, schema });
    const { memoryBudgetBytes: budgetBytes = REGION_DEFAULTS.memoryBudgetBytes } = options;
    const keys = how.keys === undefined ? undefined : this.#keyStore(how.keys, membership.seed, clusterId);
    if (keys !== undefined && membership.regions.size > 1 && clusterKeys.length === 0)
      throw new TypeError("A cluster that encrypts needs a clusterKey: the keys of users travel under it");
    const fold = new SessionFold({
      hasher,
      clusterId,
      schema,
      ledger,
      unstableBytesMax: REGION_DEFAULTS.ticketBytesMax,
      ...(cold === undefined ? {} : { cold: { store: cold, budgetBytes } }),
      ...(keys === undefined ? {} : { seals: keys.seals }),
      erased: () => {
        keys?.soil();
        this.#running?.erasures?.changed();
      },
    });
    fold.onChange((change) => {
      for (const listener of this.#listeners) this.#tell(listener, change);
    });
    const { gate, book } = this.policies;
    const admission = new SessionAdmission<Promise<Submitted>>({ fold, clock, gate });
    const slots = new SlotMap(() => replication.membership, hasher);
    const bridge = new SessionReplicationBridge({
      fold,
      admission,
      clock,
      self: id,
      shardOf: (session, user) => slots.shardOfSession(session, user),
      ...(keys === undefined ? {} : { keys }),
    });
    const channels = new Map<Channel, Replicated>([
      ["sessions", bridge],
      ["signals", new LedgerState({ ledger, clock, self: id })],
    ]);
    const checkpoints = new Checkpoints({ fs: platform.fs, dir: options.dir, hasher, wal, channels, fold });
    const applied = await checkpoints.restore(how.checkpoint, options.logger);
    const { promised, joinedSince } = how;
    const keeper = new MembersKeeper({
      platform,
      dir: options.dir,
      logger: options.logger,
      list: membership,
      promised,
    });
    const replication: Replication = await openReplication({
      wal,
      transport,
      hasher,
      self: id,
      membership,
      membershipStore: keeper,
      ...(promised === undefined ? {} : { promised }),
      ...(joinedSince === undefined ? {} : { joinedSince }),
      ...(options.removeAfterMs === undefined ? {} : { removeAfterMs: options.removeAfterMs }),
      returned: (since) => this.parts.noteReturned(since),
      clusterKeys,
      acceptUnsigned: options.acceptUnsigned ?? false,
      role: options.role ?? "member",
      bootstrap: how.bootstrap,
      joining: how.joining,
      slotsMoved: how.slotsMoved ?? false,
      channels: { sessions: bridge, signals: channels.get("signals") as Replicated },
      ...(schema === undefined ? {} : { schema: schema.digest }),
      relay: (records) => this.#relayed(bridge.relay(records)),
      ...(keys === undefined || clusterKeys.length === 0 ? {} : { keys: () => keys.wrapped() }),
      ...(applied === undefined ? {} : { applied }),
      limits: replicationLimits(),
      timers: platform.timers,
      randomBytes: platform.randomBytes,
      wallClock: platform.now,
      ...(options.logger === undefined ? {} : { logger: options.logger }),
      events: replicationEvents(this.emitter),
      checkpoints: { fs: platform.fs, dir: options.dir },
      replaced: () => {
        checkpoints.forget();
        schedule.now();
      },
      ...(options.onDiverged === undefined ? {} : { diverged: options.onDiverged }),
    });
    const { checkpointMs = REGION_DEFAULTS.checkpointMs, checkpointBytes = REGION_DEFAULTS.checkpointBytes } =
      options;
    const schedule = new CheckpointSchedule({
      timers: platform.timers,
      checkMs: Math.min(1_000, checkpointMs),
      everyMs: checkpointMs,
      everyBytes: checkpointBytes,
      bytes: () => wal.byteCount(),
      write: () => this.#keep(),
    });
    bridge.attach(replication);
    const tokens = new RegionTokens({
      fold,
      replication,
      slots,
      hasher,
      clusterId,
      clusterKeys,
      options,
      now: platform.now,
    });
    const signals = new SignalWriter({
      ledger,
      effects: new SignalEffects(hasher, clusterId),
      clock,
      replication,
      shardOf: (entity) => slots.shardOfEntity(entity),
    });
    const { logger } = options;
    const erasures =
      keys === undefined
        ? undefined
        : new Erasures({ keys, fold, replication, checkpoints, self: id, logger });
    this.#running = {
      keys,
      erasures,
      ledgers: [ledger],
      signals,
      replication,
      bridge,
      fold,
      tokens,
      checkpoints,
      schedule,
      keeper,
      slots,
    };
    schedule.start();
    this.joinProblem = undefined;
    this.#keeping = new SessionKeeping({
      fold,
      book,
      self: id,
      replication,
      timers: platform.timers,
      now: platform.now,
      everyMs: REGION_DEFAULTS.keepEveryMs,
      write: ({ session, request }) => this.#writes(bridge.submit(session, request)),
      logger: options.logger,
    });
    if (book.policies.length > 0 && options.role !== "follower") this.#keeping.start();
    if (how.joining) this.#noting = this.#noteJoined(replication);
    if (id !== 0) keeper.watch(replication);
    this.#wake();
  }

  get running(): Running {
    this.#requireOpen();
    if (this.joinProblem !== undefined) throw this.joinProblem;
    if (this.#running === undefined || this.#running.replication.joining)
      throw this.#notReady("wait with ready()");
    if (this.#running.replication.fence.stage !== "open") this.#requireServing(this.#running.replication);
    return this.#running;
  }

  #requireServing(replication: Replication): void {
    try {
      replication.requireServing();
    } catch (error) {
      throw translate(error, this.parts.name);
    }
  }

  members(): RegionMembers {
    const list = this.#running?.replication.membership;
    const { version, regions } = parseMembers(this.parts.options.members);
    return list === undefined
      ? {
          version,
          regions: Object.fromEntries(regions),
          removed: [],
          shards: this.parts.options.shards ?? 1,
        }
      : toRegionMembers(list);
  }

  /** Takes another list of members, which spreads from here. */
  async setMembers(option: MembersOption): Promise<void> {
    const members = parseMembers(option);
    this.#requireOpen();
    const replication = this.#running?.replication;
    if (replication === undefined) throw this.#notReady("wait with ready()");
    const current = replication.membership;
    const given = { version: members.version, regions: regionIds(members) };
    const same = formatMembership(given) === formatMembership(current);
    const next = (): Membership =>
      given.version === current.version ? { ...current, ...given } : nextMembership(current, given);
    await this.#translating((async () => (same ? undefined : replication.setMembership(next())))());
  }

  /** Spreads the slots over another number of shards, in every region. */
  async moveSlots(shards: number): Promise<void> {
    ShardRouter.hash(shards);
    this.#requireOpen();
    const replication = this.#running?.replication;
    if (replication === undefined) throw this.#notReady("wait with ready()");
    const { membership } = replication;
    if (shards === membership.shards) return;
    const { version, regions } = membership;
    const next = nextMembership(membership, { version: version + 1, regions, shards });
    await this.#translating(replication.setMembership(next));
  }

  get fold(): SessionFold {
    return this.running.fold;
  }

  get tokens(): RegionTokens {
    return this.running.tokens;
  }

  now(): number {
    return this.parts.platform.now();
  }

  onChange(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One write, all the way to the level of acknowledgement asked for. */
  write(session: string, request: OpRequest, options: WriteOptions): Promise<WriteResult> {
    const { ack = "local" } = options;
    try {
      this.#requireOpen();
      const running = this.#writable();
      requireAckLevel(ack);
      return this.#writes(running.bridge.submit(session, request, options)).then((result) =>
        result.outcome === "refused" || ack === "local"
          ? this.#resultOf(result, "local")
          : this.#confirmed(running, session, result, ack, options),
      );
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  #resultOf(
    result: Submitted | Extract<Recorded, { readonly outcome: "refused" }>,
    ack: NonNullable<WriteResult["ack"]>,
  ): WriteResult {
    if (result.outcome === "refused") {
      increment(this.refused, result.code);
      return { outcome: "refused", reason: result.code, message: result.message };
    }
    const { outcome, effectId, position } = result;
    return { outcome, effectId, position, ack };
  }

  async #confirmed(
    { fold, replication }: Running,
    session: string,
    result: Exclude<Submitted, { readonly outcome: "refused" }>,
    ack: AckLevel,
    options: WriteOptions,
  ): Promise<WriteResult> {
    // Of a duplicate only the session is known: its last positions cover every one of its operations.
    const places = result.written === undefined ? fold.lastPositions(session) : [result.written];
    const wait = { ...options, closed: this.#closing.signal };
    return this.#resultOf(result, await this.#translating(acknowledged(replication, places, ack, wait)));
  }

  /** One signal without a session, all the way to the level of acknowledgement asked for. */
  recordSignal(content: SignalContent, options: WriteOptions): Promise<SignalResult> {
    const { ack = "local", operationId, signal } = options;
    try {
      this.#requireOpen();
      const { signals, replication } = this.#writable();
      requireAckLevel(ack);
      return this.#writes(signals.record(content, operationId, signal)).then(async (result) => {
        if (result.outcome === "refused") return this.#resultOf(result, "local");
        const { outcome, effectId, written } = result;
        const places = written === undefined ? replication.vector().entries() : [written];
        const wait = { ...options, closed: this.#closing.signal };
        const reached = await this.#translating(acknowledged(replication, places, ack, wait));
        return { outcome, ...(effectId === undefined ? {} : { effectId }), ack: reached };
      });
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** An id for a new session of a user. */
  mintSessionId(user: string): string {
    return this.#writable().slots.mint(user, this.parts.platform.randomBytes(SESSION_ID_BYTES));
  }

  /** Starts a session or, for a retry of the same start, finds it. */
  async startSession(id: string, user: string, options: StartOptions): Promise<Session> {
    const request: OpRequest = {
      kind: "start",
      user,
      agent: options.agent,
      metadata: options.metadata ?? {},
      ...this.policies.named(options.policy),
    };
    return this.#begin(id, request, options);
  }

  /** Begins a session with what others hold here. */
  beginFrom(
    request: RequestOf<"fork"> | RequestOf<"merge">,
    { id, agent, metadata, ...options }: ForkOptions,
  ): Promise<Session> {
    const first = request.kind === "fork" ? request.parent : request.parents[0];
    const given = {
      ...(agent === undefined ? {} : { agent }),
      ...(metadata === undefined ? {} : { metadata }),
    };
    return this.#begin(id ?? this.mintSessionId(this.userOf(first).id), { ...request, ...given }, options);
  }

  async #begin(id: string, request: OpRequest, options: WriteOptions): Promise<Session> {
    const result = await this.write(id, request, options);
    if (result.outcome !== "refused") return new SessionHandle(this, id);
    throw beginError(id, result);
  }

  /** Destroys a user's keys, here and in every member. */
  async eraseUser(user: string, options: WriteOptions): Promise<EraseResult> {
    const { keys, erasures } = this.#writable();
    if (keys === undefined || erasures === undefined) {
      throw new RegionError(
        "ENCRYPTION_OFF",
        "Cannot erase a user: the cluster does not encrypt, so there is no key to destroy; encryption is chosen when a cluster is made",
      );
    }
    const pseudonym = keys.seals.pseudonymOf(user);
    const result = await this.write(erasureSession(pseudonym), { kind: "erase", user }, options);
    await erasures.settled();
    const report = erasures.of(toHex(pseudonym));
    return result.outcome === "refused" || report === undefined ? result : { ...result, report };
  }

  #keyStore(file: KeyFile, seed: Uint8Array, clusterId: Uint8Array): KeyStore {
    const { options, platform, clusterKeys } = this.parts;
    const { fs, hasher, timers, randomBytes } = platform;
    const closed = this.#closing.signal;
    const { dir, logger } = options;
    return new KeyStore(file, {
      ...{ fs, dir, hasher, timers, randomBytes, seed, clusterId, clusterKeys, logger, closed },
    });
  }

  userOf(session: string): User {
    const user = this.fold.sessions.get(session)?.user?.id;
    if (user === undefined) throw absent(this.fold, session, `tell whose session ${session} is`);
    return new UserHandle(this, user);
  }

  /** Waits until this region covers a session's cursor. */
  async resumeSession(id: string, token: string, options: ResumeOptions): Promise<Session> {
    const { tokens, fold } = this.running;
    await this.#translating(tokens.covered(tokens.readCursor(id, token), options));
    if (!fold.sessions.has(id)) throw absent(fold, id, `resume session ${id}`);
    return new SessionHandle(this, id);
  }

  /** Applies a ticket's operations and waits for what lies below them. */
  async resumeUser(user: string, token: string, options: ResumeOptions): Promise<User> {
    const { tokens, bridge } = this.running;
    const { timers } = this.parts.platform;
    const { timeoutMs = REGION_DEFAULTS.resumeTimeoutMs, signal } = options;
    signal?.throwIfAborted();
    const deadline = timers.now() + timeoutMs;
    const ticket = tokens.readTicket(user, token);
    const tail = unknownOf(bridge, ticket.tail);
    if (tail.length > 0) {
      const wait = { timeoutMs, signal, closed: this.#closing.signal };
      if (this.parts.options.role === "follower")
        await handOver(this.running, this.parts, ticket, tail, wait);
      else await this.#writes(bridge.relay(tail, signal === undefined ? { user } : { user, signal }));
    }
    const left = Math.max(0, deadline - timers.now());
    await this.#translating(tokens.covered(ticket.need, { ...options, timeoutMs: left }));
    return new UserHandle(this, user);
  }

  changes(session: string, options: ChangesOptions): AsyncIterable<SessionChange> {
    const { tokens, replication } = this.running;
    const after =
      options.after === undefined ? undefined : tokens.readCursor(session, options.after.toString());
    return sessionChanges({
      session,
      wal: this.parts.wal,
      vector: () => replication.vector(),
      onChange: (listener) => this.onChange(listener),
      closed: this.#closing.signal,
      ...(after === undefined ? {} : { after }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  /** How far a session has travelled to another member. */
  progress(session: string, region: string): SessionSync {
    const { bridge, replication, fold } = this.running;
    const { membership } = replication;
    const id = membership.regions.get(region);
    if (id === undefined) {
      throw new TypeError(
        `${JSON.stringify(region)} is no member: ${[...membership.regions.keys()].join(", ")}`,
      );
    }
    // Of a purged one it tells how far the purge has travelled.
    if (!fold.sessions.has(session) && !fold.purged(session))
      throw absent(fold, session, `tell how far session ${session} has travelled`);
    const logs = id === this.parts.id ? [] : bridge.progress(session, id);
    return { region, synced: logs.every(({ lsn, acknowledgedLsn }) => acknowledgedLsn >= lsn), logs };
  }

  async ready(options: ResumeOptions): Promise<void> {
    const { timeoutMs = REGION_DEFAULTS.resumeTimeoutMs, signal } = options;
    const { timers } = this.parts.platform;
    this.#requireOpen();
    signal?.throwIfAborted();
    const deadline = timers.now() + timeoutMs;
    if (this.#running === undefined && this.joinProblem === undefined) {
      await waitFor({ timers, timeoutMs, signals: [signal, this.#closing.signal] }, (done) => {
        this.#waiting.add(done);
        return () => this.#waiting.delete(done);
      });
    }
    if (this.joinProblem !== undefined) throw this.joinProblem;
    if (this.#running === undefined)
      throw this.#notReady(`no member has told its cluster after ${timeoutMs} ms`);
    const wait = {
      timeoutMs: Math.max(0, deadline - timers.now()),
      ...(signal === undefined ? {} : { signal }),
    };
    await this.#translating(this.#running.replication.ready(wait));
  }

  synced(options: ResumeOptions): Promise<boolean> {
    const { timeoutMs = REGION_DEFAULTS.resumeTimeoutMs, signal } = options;
    return this.#translating(
      this.running.replication.synced({ timeoutMs, ...(signal === undefined ? {} : { signal }) }),
    );
  }

  health(): RegionHealth {
    const { closing, problem } = { closing: this.#closing.signal.aborted, problem: this.joinProblem };
    return drawHealth({
      parts: this.parts,
      running: this.#running,
      closed: closing,
      problem,
      refused: this.refused,
      policies: this.policies,
    });
  }

  metrics(health: RegionHealth = this.health()): RegionMetrics {
    const replication = this.#running?.replication.metrics();
    return drawMetrics({ parts: this.parts, health, replication, fenced: this.fenced });
  }

  /** Lets writes under way finish, replicates a last ack, keeps a checkpoint, and releases the directory. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close({ leave = false, timeoutMs = REGION_DEFAULTS.leaveTimeoutMs }: CloseOptions): Promise<void> {
    const { wal, closeClock, cold, name } = this.parts;
    this.#closing.abort(closedError(name));
    await this.#joining;
    this.#keeping?.close();
    if (this.#writing > 0) await new Promise<void>((resolve) => (this.#wroteAll = resolve));
    const running = this.#running;
    // Whatever fails, the directory is released and the first failure is told.
    const steps = [
      async () => running?.keeper.close(),
      async () => running?.schedule.close(),
      async () => (leave ? this.#leave(running?.replication, timeoutMs) : undefined),
      async () => running?.replication.close(),
      async () => this.#noting,
      async () => running?.erasures?.settled(),
      async () => {
        // Without it the next start replays more; nothing is lost.
        if (running !== undefined) await this.#checkpoint(running);
      },
      // Before the directory is released: the next to open it writes its own.
      () => this.monitor.close(),
      async () => cold?.close(),
      () => wal.close(),
      closeClock,
    ];
    let failure: { readonly error: unknown } | undefined;
    for (const step of steps) await step().catch((error: unknown) => (failure ??= { error }));
    this.#listeners.clear();
    this.emitter.emit("tidemark:region.closed", () => ({}));
    if (failure !== undefined) throw failure.error;
  }

  async #leave(replication: Replication | undefined, timeoutMs: number): Promise<void> {
    if (replication?.fence.stage === "removed" || (await replication?.leave({ timeoutMs })) === true) return;
    throw new RegionError(
      "LEAVE_FAILED",
      `Cannot retire the region ${this.parts.name} within ${timeoutMs} ms: not every member that is there holds its records, or too few agreed; it was closed, open it and try again, or remove it with setMembers in another`,
      { retryable: true },
    );
  }

  /** Writes a checkpoint, and lets go what no member and no start needs any more. */
  async #keep(): Promise<void> {
    const running = this.#running;
    if (running === undefined || running.replication.joining) return;
    const { options } = this.parts;
    await this.#checkpoint(running);
    try {
      await running.replication.retain({
        checkpoint: running.checkpoints.floor,
        keepBytes: options.retentionKeepBytes ?? REGION_DEFAULTS.retentionKeepBytes,
        capBytes: options.retentionCapBytes ?? REGION_DEFAULTS.retentionCapBytes,
      });
    } catch (error) {
      options.logger?.warn({ err: error }, "Cannot remove old segments");
    }
  }

  async #checkpoint({ checkpoints, replication }: Running): Promise<void> {
    try {
      await checkpoints.write(replication.vector(), replication.membership.version);
    } catch (error) {
      this.parts.options.logger?.warn({ err: error }, "Cannot write a checkpoint");
    }
  }

  /** What a write needs. @throws RegionError when this region may not write now, which is counted. */
  #writable(): Running {
    try {
      if (this.parts.options.role === "follower") throw readOnly(this.parts.name);
      return this.running;
    } catch (error) {
      const { code } = error as { readonly code?: unknown };
      if (typeof code === "string") increment(this.fenced, code);
      throw error;
    }
  }

  /** A write under way. */
  #writes<Value>(writing: Promise<Value>): Promise<Value> {
    this.#writing += 1;
    return writing.then(
      (value) => {
        this.#wrote();
        return value;
      },
      (error: unknown) => {
        this.#wrote();
        throw translate(error, this.parts.name);
      },
    );
  }

  #wrote(): void {
    this.#writing -= 1;
    if (this.#writing === 0) this.#wroteAll();
  }

  /** What a follower handed over; a region that is closing takes no more. */
  async #relayed(relaying: Promise<void>): Promise<void> {
    await this.#writes(relaying);
  }

  async #translating<Value>(promise: Promise<Value>): Promise<Value> {
    try {
      return await promise;
    } catch (error) {
      throw translate(error, this.parts.name);
    }
  }

  async #noteJoined(replication: Replication): Promise<void> {
    try {
      await replication.ready({ timeoutMs: Number.POSITIVE_INFINITY, of: "any" });
      await this.parts.noteJoined(replication.membership);
    } catch (error) {
      // Then the next start joins again: nothing is served too early.
      if (!this.#closing.signal.aborted)
        this.parts.options.logger?.warn({ err: error }, "Cannot note that the region has joined");
    }
  }

  /** One listener that throws must not keep an operation from the others. */
  #tell(listener: (change: SessionChange) => void, change: SessionChange): void {
    try {
      listener(change);
    } catch (error) {
      this.parts.options.logger?.error({ err: error }, "A listener for changes has failed");
    }
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }

  #requireOpen(): void {
    if (this.#closing.signal.aborted) throw closedError(this.parts.name);
  }

  #notReady(why: string): RegionError {
    return new RegionError(
      "REGION_NOT_READY",
      `Cannot use the region ${this.parts.name} before it has reached a member: ${why}`,
      {
        retryable: true,
      },
    );
  }
}

function increment(counts: Map<string, number>, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}

function requireAckLevel(ack: AckLevel): void {
  if (typeof ack === "object" && !(Number.isSafeInteger(ack.remote) && ack.remote > 0))
    throw new RangeError(`ack.remote must be a number of members from 1: ${String(ack.remote)}`);
}

function readOnly(name: string): RegionError {
  return new RegionError("READ_ONLY", `Cannot write in ${name}: its role is follower; write in a member`);
}
