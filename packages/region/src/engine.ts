import { shardId } from "@tidemark/core";
import type { HlcClock, RegionId, ShardId } from "@tidemark/core";
import { clusterIdOf, openReplication, ReplicationError } from "@tidemark/replication";
import type { ClusterKey, Membership, Replication } from "@tidemark/replication";
import { SessionReplicationBridge } from "@tidemark/session-bridge";
import type { Submitted } from "@tidemark/session-bridge";
import { SessionAdmission, SessionError, SessionFold } from "@tidemark/session";
import type { OpRequest, SessionChange } from "@tidemark/session";
import type { Transport } from "@tidemark/transport";
import { writeCheckpoint } from "@tidemark/wal";
import type { Checkpoint, Wal } from "@tidemark/wal";
import { sessionChanges } from "./changes.ts";
import { RegionError } from "./errors.ts";
import type { RegionHealth } from "./health.ts";
import { REGION_DEFAULTS } from "./options.ts";
import type { RegionOptions, RegionPlatform } from "./options.ts";
import type { ChangesOptions, ResumeOptions, Session, StartOptions, User, WriteOptions, WriteResult } from "./region.ts";
import { SessionHandle } from "./session-handle.ts";
import { RegionTokens } from "./tokens.ts";
import { UserHandle } from "./user-handle.ts";

/** What a region is made of, opened by {@link openRegion}. */
export interface RegionParts {
  readonly options: RegionOptions;
  readonly platform: RegionPlatform;
  readonly name: string;
  readonly id: RegionId;
  readonly wal: Wal;
  readonly clock: HlcClock;
  readonly clusterKeys: readonly ClusterKey[];
  readonly transport: Transport;
}

/** What exists once the region knows its cluster. */
interface Running {
  readonly replication: Replication;
  readonly bridge: SessionReplicationBridge;
  readonly fold: SessionFold;
  readonly tokens: RegionTokens;
}

/** The inside of a region: everything the handles call. */
export class RegionEngine {
  readonly parts: RegionParts;
  readonly #closing: AbortController = new AbortController();
  readonly #listeners: Set<(change: SessionChange) => void> = new Set();
  readonly #refused: Map<string, number> = new Map();
  #running: Running | undefined;
  #started: Promise<void> | undefined;
  #joinFailure: unknown;
  #closed: Promise<void> | undefined;

  constructor(parts: RegionParts) {
    this.parts = parts;
  }

  /** Joins in the background; what makes joining impossible is thrown by the first call that needs it. */
  joinWith(join: (signal: AbortSignal) => Promise<void>): void {
    this.#started = join(this.#closing.signal).catch((error: unknown) => {
      this.#joinFailure = error;
      this.parts.options.logger?.error({ error }, "Cannot join the cluster");
    });
  }

  /** Restores the checkpoint, replays the logs and begins to replicate. */
  async start(membership: Membership, how: { readonly bootstrap: boolean; readonly checkpoint: Checkpoint | undefined }): Promise<void> {
    const { options, platform, id, wal, clock, clusterKeys, transport } = this.parts;
    const { hasher } = platform;
    const clusterId = clusterIdOf(hasher, membership.seed);
    const fold = new SessionFold({ hasher, clusterId });
    fold.onChange((change) => {
      for (const listener of this.#listeners) listener(change);
    });
    const admission = new SessionAdmission<Promise<Submitted>>({ fold, clock });
    const bridge = new SessionReplicationBridge({ fold, admission, clock, self: id });
    if (how.checkpoint !== undefined) bridge.restore(how.checkpoint.body);
    const replication = await openReplication({
      wal,
      transport,
      hasher,
      self: id,
      membership,
      clusterKeys,
      acceptUnsigned: options.acceptUnsigned ?? false,
      role: options.role ?? "member",
      bootstrap: how.bootstrap,
      channels: { sessions: bridge },
      ...(how.checkpoint === undefined ? {} : { applied: how.checkpoint.vector }),
      timers: platform.timers,
      randomBytes: platform.randomBytes,
      wallClock: platform.now,
      ...(options.logger === undefined ? {} : { logger: options.logger }),
    });
    bridge.attach(replication);
    const tokens = new RegionTokens({ fold, replication, hasher, clusterId, clusterKeys, options, now: platform.now });
    this.#running = { replication, bridge, fold, tokens };
  }

  get running(): Running {
    if (this.#closing.signal.aborted) throw new RegionError("REGION_CLOSED", `Cannot use the region ${this.parts.name}: it was closed`);
    if (this.#joinFailure !== undefined) throw this.#joinFailure;
    if (this.#running === undefined || this.#running.replication.joining) {
      throw new RegionError("REGION_NOT_READY", `Cannot use the region ${this.parts.name} yet: wait with ready()`, { retryable: true });
    }
    return this.#running;
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
  async write(session: string, request: OpRequest, options: WriteOptions): Promise<WriteResult> {
    const { bridge, replication } = this.running;
    if (this.parts.options.role === "follower") throw readOnly(this.parts.name);
    const { operationId, signal } = options;
    const result = await bridge.submit(session, request, {
      ...(operationId === undefined ? {} : { operationId }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (result.outcome === "refused") {
      this.#refused.set(result.code, (this.#refused.get(result.code) ?? 0) + 1);
      return { outcome: "refused", reason: result.code };
    }
    const written = { outcome: result.outcome, effectId: result.effectId, position: result.position };
    const level = options.ack ?? "local";
    const place = result.written;
    if (level === "local" || place === undefined) return { ...written, ack: "local" };
    const wait = { timeoutMs: options.timeoutMs ?? REGION_DEFAULTS.ackTimeoutMs, ...(signal === undefined ? {} : { signal }) };
    const confirmed = await replication.acknowledged(place.log, place.lsn, level, wait);
    return { ...written, ack: confirmed ? (level === "all" ? "all" : "remote") : "unconfirmed" };
  }

  /** Starts a session or, for a retry of the same start, finds it. */
  async startSession(id: string, user: string, options: StartOptions): Promise<Session> {
    const { operationId } = options;
    const request: OpRequest = { kind: "start", user, agent: options.agent, metadata: options.metadata ?? {} };
    const result = await this.write(id, request, operationId === undefined ? {} : { operationId });
    if (result.outcome === "refused") {
      throw new SessionError(result.reason === "OPERATION_CONFLICT" ? "OPERATION_CONFLICT" : "SESSION_EXISTS", `Cannot start session ${id}: it is known here`);
    }
    return new SessionHandle(this, id);
  }

  userOf(session: string): User {
    const user = this.fold.session(session)?.user;
    if (user === undefined) {
      throw new SessionError("SESSION_UNKNOWN", `Cannot tell whose session ${session} is: its start is not known here`);
    }
    return new UserHandle(this, user);
  }

  /** Waits until this region covers a session's cursor. */
  async resumeSession(id: string, token: string, options: ResumeOptions): Promise<Session> {
    const { tokens } = this.running;
    await tokens.covered(tokens.readCursor(id, token), options);
    return new SessionHandle(this, id);
  }

  /** Applies a ticket's operations and waits for what lies below them. */
  async resumeUser(user: string, token: string, options: ResumeOptions): Promise<User> {
    const { tokens, bridge } = this.running;
    const ticket = tokens.readTicket(user, token);
    const tail = bridge.unknownOf(ticket.tail);
    if (tail.length > 0) {
      if (this.parts.options.role === "follower") throw readOnly(this.parts.name);
      await bridge.relay(tail, options.signal === undefined ? {} : { signal: options.signal });
    }
    await tokens.covered(ticket.need, options);
    return new UserHandle(this, user);
  }

  changes(session: string, options: ChangesOptions): AsyncIterable<SessionChange> {
    const { tokens } = this.running;
    const after = options.after === undefined ? undefined : tokens.readCursor(session, options.after.toString());
    return sessionChanges({
      session,
      wal: this.parts.wal,
      onChange: (listener) => this.onChange(listener),
      closed: this.#closing.signal,
      ...(after === undefined ? {} : { after }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async ready(options: ResumeOptions): Promise<void> {
    const timeoutMs = options.timeoutMs ?? REGION_DEFAULTS.resumeTimeoutMs;
    const deadline = this.parts.platform.timers.now() + timeoutMs;
    if (this.#running === undefined) await this.#untilStarted(timeoutMs, options.signal);
    if (this.#joinFailure !== undefined) throw this.#joinFailure;
    const running = this.#running;
    if (running === undefined) throw this.#notReady();
    const left = Math.max(0, deadline - this.parts.platform.timers.now());
    try {
      await running.replication.ready({ timeoutMs: left, ...(options.signal === undefined ? {} : { signal: options.signal }) });
    } catch (error) {
      if (error instanceof ReplicationError && error.code === "NOT_READY") throw this.#notReady(error);
      throw error;
    }
  }

  async synced(options: ResumeOptions): Promise<boolean> {
    const { replication } = this.running;
    const timeoutMs = options.timeoutMs ?? REGION_DEFAULTS.resumeTimeoutMs;
    return replication.synced({ timeoutMs, ...(options.signal === undefined ? {} : { signal: options.signal }) });
  }

  health(): RegionHealth {
    const { options, wal } = this.parts;
    const running = this.#running;
    const replication = running?.replication.health();
    const own = (channel: "signals" | "sessions"): number => {
      const log = running?.replication.ownLog(channel);
      return log === undefined ? 0 : (wal.log(log)?.durable.lsn ?? 0);
    };
    const stats = running?.fold.stats();
    return {
      status: this.#closing.signal.aborted ? "closed" : (replication?.state ?? "joining"),
      role: options.role ?? "member",
      opsApplied: stats?.effects ?? 0,
      duplicates: (stats?.duplicates ?? 0) + (running?.bridge.duplicates ?? 0) + (running?.replication.metrics().duplicatesHeld ?? 0),
      refused: Object.fromEntries(this.#refused),
      withheld: stats?.withheld ?? 0,
      unhidesPending: stats?.unhidesPending ?? 0,
      walSegments: this.#closing.signal.aborted ? 0 : wal.segmentCount(),
      durableLsn: { signals: own("signals"), sessions: own("sessions") },
      replication,
    };
  }

  /** Stops writing, replicates a last ack, keeps a checkpoint, and releases the directory. */
  close(closeClock: () => Promise<void>): Promise<void> {
    this.#closed ??= (async () => {
      const running = this.#running;
      this.#closing.abort(new RegionError("REGION_CLOSED", `The region ${this.parts.name} was closed`));
      await this.#started;
      const { platform, options, wal } = this.parts;
      if (this.#running !== undefined) await this.#running.replication.close();
      if (running !== undefined) {
        const { replication, bridge } = running;
        await writeCheckpoint(platform.fs, options.dir, platform.hasher, { vector: replication.vector(), body: bridge.snapshot() });
      }
      await wal.close();
      await closeClock();
    })();
    return this.#closed;
  }

  async #untilStarted(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const cancel = this.parts.platform.timers.setTimer(timeoutMs, () => settle(resolve));
      const abort = (): void => settle(() => reject(signal?.reason));
      const settle = (then: () => void): void => {
        cancel();
        signal?.removeEventListener("abort", abort);
        then();
      };
      signal?.addEventListener("abort", abort, { once: true });
      void this.#started?.then(() => settle(resolve));
    });
  }

  #notReady(cause?: unknown): RegionError {
    return new RegionError("REGION_NOT_READY", `The region ${this.parts.name} has not reached every member's head before the deadline`, {
      retryable: true,
      cause,
    });
  }
}

/** The shard whose logs a region writes: the only one. */
export const SHARD: ShardId = shardId(0);

function readOnly(name: string): RegionError {
  return new RegionError("READ_ONLY", `Cannot write in ${name}: its role is follower; write in a member`);
}
