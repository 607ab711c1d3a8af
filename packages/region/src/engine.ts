import { ShardRouter } from "@tidemark/replication";
import type { Membership, Replication } from "@tidemark/replication";
import { erasureSession, SessionFold } from "@tidemark/session";
import type { OpRequest, RequestOf, SessionChange } from "@tidemark/session";
import { absent } from "./absent.ts";
import { sessionChanges } from "./changes.ts";
import { beginError } from "./begin.ts";
import { RegionEmitter } from "./diagnostics.ts";
import { RegionError } from "./errors.ts";
import { handOver, unknownOf } from "./hand-over.ts";
import type { RegionHealth } from "./health.ts";
import { drawHealth } from "./health-view.ts";
import { toHex } from "./hex.ts";
import type { RegionMetrics } from "./metrics.ts";
import { drawMetrics } from "./metrics-view.ts";
import { membersOf, moveSlots, setMembers } from "./change-members.ts";
import { parseMembers } from "./members.ts";
import type { MembersOption, RegionMembers } from "./members.ts";
import { Monitor } from "./monitor.ts";
import { REGION_DEFAULTS } from "./options.ts";
import type {
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
} from "./region.ts";
import { SessionHandle } from "./session-handle.ts";
import type { RegionPolicies } from "./region-policies.ts";
import { RegionTokens } from "./tokens.ts";
import { closedError, translate } from "./translate.ts";
import { UserHandle } from "./user-handle.ts";
import { waitFor } from "./wait.ts";
import type { RegionParts, Running, StartHow } from "./running.ts";
import { startRunning, writeCheckpoint } from "./running.ts";
import { WriteDesk } from "./write-desk.ts";

const SESSION_ID_BYTES = 16;

/** The inside of a region: everything the handles call. */
export class RegionEngine {
  readonly parts: RegionParts;
  readonly policies: RegionPolicies;
  readonly desk: WriteDesk;
  readonly emitter: RegionEmitter;
  readonly monitor: Monitor;
  /** What keeps the region from joining: the first call that needs it throws it, until an attempt succeeds. */
  joinProblem: Error | undefined;
  readonly #closing: AbortController = new AbortController();
  readonly #closingListeners: Set<() => void> = new Set();
  readonly #listeners: Set<(change: SessionChange) => void> = new Set();
  #running: Running | undefined;
  #joining: Promise<void> = Promise.resolve();
  #noting: Promise<void> = Promise.resolve();
  #waiting: Set<() => void> = new Set();
  #closed: Promise<void> | undefined;

  constructor(parts: RegionParts) {
    this.parts = parts;
    this.policies = parts.policies;
    this.desk = new WriteDesk({
      name: parts.name,
      role: parts.options.role ?? "member",
      running: () => this.running,
      requireOpen: () => this.#requireOpen(),
      closed: this.#closing.signal,
    });
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
    const running = await startRunning(this.parts, membership, how, {
      closed: this.#closing.signal,
      emitter: this.emitter,
      changed: (change) => {
        for (const listener of this.#listeners) this.#tell(listener, change);
      },
      track: (writing) => this.desk.track(writing),
    });
    this.#running = running;
    this.joinProblem = undefined;
    if (how.joining) this.#noting = this.#noteJoined(running.replication);
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
    return membersOf(this.#running?.replication, this.parts.options);
  }

  /** Takes another list of members, which spreads from here. */
  async setMembers(option: MembersOption): Promise<void> {
    const members = parseMembers(option);
    await this.#translating(setMembers(this.#joined(), members));
  }

  /** Spreads the slots over another number of shards, in every region. */
  async moveSlots(shards: number): Promise<void> {
    ShardRouter.hash(shards);
    await this.#translating(moveSlots(this.#joined(), shards));
  }

  /** What can be used while the region does not serve. */
  #joined(): Replication {
    this.#requireOpen();
    if (this.#running === undefined) throw this.#notReady("wait with ready()");
    return this.#running.replication;
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

  /** An id for a new session of a user. */
  mintSessionId(user: string): string {
    return this.desk.writable().slots.mint(user, this.parts.platform.randomBytes(SESSION_ID_BYTES));
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
    const result = await this.desk.write(id, request, options);
    if (result.outcome !== "refused") return new SessionHandle(this, id);
    throw beginError(id, result);
  }

  /** Destroys a user's keys, here and in every member. */
  async eraseUser(user: string, options: WriteOptions): Promise<EraseResult> {
    const { keys, erasures } = this.desk.writable();
    if (keys === undefined || erasures === undefined) {
      throw new RegionError(
        "ENCRYPTION_OFF",
        "Cannot erase a user: the cluster does not encrypt, so there is no key to destroy; encryption is chosen when a cluster is made",
      );
    }
    const pseudonym = keys.seals.pseudonymOf(user);
    const result = await this.desk.write(erasureSession(pseudonym), { kind: "erase", user }, options);
    await erasures.settled();
    const report = erasures.of(toHex(pseudonym));
    return result.outcome === "refused" || report === undefined ? result : { ...result, report };
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
      else await this.desk.track(bridge.relay(tail, signal === undefined ? { user } : { user, signal }));
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
      onClosed: (listener) => {
        this.#closingListeners.add(listener);
        return () => this.#closingListeners.delete(listener);
      },
      follow: options.follow ?? true,
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
    // Whoever was told so finds it ready after a crash, too.
    await this.#noting;
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
      refused: this.desk.refused,
      policies: this.policies,
    });
  }

  metrics(health: RegionHealth = this.health()): RegionMetrics {
    const replication = this.#running?.replication.metrics();
    return drawMetrics({ parts: this.parts, health, replication, fenced: this.desk.fenced });
  }

  /** Lets writes under way finish, replicates a last ack, keeps a checkpoint, and releases the directory. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close({ leave = false, timeoutMs = REGION_DEFAULTS.leaveTimeoutMs }: CloseOptions): Promise<void> {
    const { wal, closeClock, cold, name } = this.parts;
    this.#closing.abort(closedError(name));
    for (const listener of [...this.#closingListeners]) listener();
    await this.#joining;
    this.#running?.keeping.close();
    await this.desk.idle();
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
        if (running !== undefined) await writeCheckpoint(running, this.parts);
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
