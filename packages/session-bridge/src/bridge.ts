import { CoreError, shardId, type HlcClock, type LogId, type RegionId, type ShardId } from "@tidemark/core";
import { ReplicationError } from "@tidemark/replication";
import type { DigestObjectEntry, Frontier, Replicated, Replication, WalBatch } from "@tidemark/replication";
import { decodeOp, erasedBy, FOLD_VERSION, OP_KIND_CODE, SessionError } from "@tidemark/session";
import type {
  Admission,
  OpDraft,
  OpPlace,
  OpView,
  OpRequest,
  RefusalCode,
  SessionAdmission,
  SessionFold,
} from "@tidemark/session";

/** The type of a session operation's record in a log. */
export const RECORD_SESSION_OP = 0x02;
/** How often a write is judged again because its log ended while it waited. */
export const ATTEMPTS_MAX = 4;

/** What a bridge joins. */
export interface SessionBridgeOptions {
  readonly fold: SessionFold;
  readonly admission: SessionAdmission<Promise<Submitted>>;
  /** The region's clock: stamps operations as their batch is formed, and follows those of other regions. */
  readonly clock: HlcClock;
  /** This region: what arrives from others moves the clock and tells their skew. */
  readonly self: RegionId;
  /** The shard whose log an operation goes to, by its session and, once that is known, its user. @defaultValue always 0 */
  readonly shardOf?: (session: string, user: string | undefined) => ShardId;
  /** The keys of users, in a cluster that encrypts. */
  readonly keys?: BridgeKeys;
}

/** The keys of users, as far as a bridge needs them. */
export interface BridgeKeys {
  /** Destroys a user's keys up to a generation; what is folded under them is still read until it is erased. */
  retire(pseudonym: Uint8Array, upTo: number): void;
  /** Waits until what was destroyed is gone from the disk; `undefined` if it is. */
  saved(): Promise<void> | undefined;
}

/** How a write is sent. */
export interface SubmitOptions {
  readonly operationId?: string;
  /** Ends the waiting; the write may take effect all the same. */
  readonly signal?: AbortSignal;
}

/** What became of a write. */
export type Submitted =
  | {
      readonly outcome: "applied" | "duplicate";
      /** 32 hexadecimal digits. */
      readonly effectId: string;
      readonly position: OpPlace;
      /** Where it stands in this region's log, if it was written now. */
      readonly written?: { readonly log: LogId; readonly lsn: number };
    }
  | { readonly outcome: "refused"; readonly code: RefusalCode; readonly message: string };

/** How far a session has travelled to another region, in one log. */
export interface SessionProgress {
  readonly log: LogId;
  /** The last record there of the session or its user. */
  readonly lsn: number;
  /** How far this region has published that log; absent where another region publishes it. */
  readonly shippedLsn?: number;
  /** How far the other region has acknowledged that log. */
  readonly acknowledgedLsn: number;
}

/**
 * Sessions as the replicated state of the `sessions` channel: journals travel on their own channel, apart from
 * signals, as the very batches the log wrote; an operation that reaches a region through two logs folds once.
 */
export class SessionReplicationBridge implements Replicated {
  readonly channel = "sessions";
  readonly foldVersion: number = FOLD_VERSION;
  /** Writes that an earlier one had answered already. */
  duplicates: number = 0;
  readonly #fold: SessionFold;
  readonly #admission: SessionAdmission<Promise<Submitted>>;
  readonly #clock: HlcClock;
  readonly #self: RegionId;
  readonly #shardOf: (session: string, user: string | undefined) => ShardId;
  /** Sessions with a close or purge that waits to be folded. */
  readonly #ending: Set<string> = new Set();
  #replication: Replication | undefined;
  readonly #keys: BridgeKeys | undefined;

  constructor(options: SessionBridgeOptions) {
    this.#fold = options.fold;
    this.#admission = options.admission;
    this.#clock = options.clock;
    this.#self = options.self;
    this.#shardOf = options.shardOf ?? (() => shardId(0));
    this.#keys = options.keys;
  }

  /** Gives the bridge its way to the logs; writes are possible from then on. */
  attach(replication: Replication): void {
    this.#replication = replication;
  }

  /**
   * An erasure is applied, and acknowledged, once the keys are gone from the disk. A close or purge by another region waits until what is being written of its session is durable: this region must
   * not say that it knows it, and write something after that was accepted without knowing it.
   */
  prepare(batch: WalBatch): Promise<void> | undefined {
    const saved = this.#keys === undefined ? undefined : destroyKeys(batch, this.#keys);
    if (saved !== undefined) return saved;
    if (batch.log.region === this.#self || !this.#admission.writing) return undefined;
    for (const { type, body } of batch.records()) {
      const kind = type === RECORD_SESSION_OP ? endOf(body) : undefined;
      if (kind === undefined) continue;
      const op = readOp(body);
      const settled = op && this.#admission.end(op.session, kind);
      if (settled === undefined) continue;
      this.#ending.add(op?.session as string);
      return settled;
    }
    return undefined;
  }

  apply(batch: WalBatch): void {
    let last: Uint8Array | undefined;
    for (const { type, body, lsn } of batch.records()) {
      if (type !== RECORD_SESSION_OP) continue;
      if (this.#fold.apply(body, batch.log, lsn) !== "malformed") last = body;
      if (this.#ending.size > 0 && endOf(body) !== undefined) this.#ended(body);
    }
    // One stamp a batch is enough: they grow along a log, and a clock is only pulled within its bound.
    if (last !== undefined && batch.log.region !== this.#self) this.#followClock(last, batch.log.region);
  }

  stable(frontier: Frontier): void {
    this.#fold.stable(frontier);
  }

  snapshot(): Uint8Array {
    return this.#fold.snapshot();
  }

  restore(bytes: Uint8Array): void {
    this.#ending.clear();
    this.#admission.ended();
    this.#fold.restore(bytes);
  }

  digest(): Uint8Array {
    return this.#fold.digest();
  }

  slotDigest(slot: number): Uint8Array {
    return this.#fold.slotDigest(slot);
  }

  objects(slot: number): readonly DigestObjectEntry[] {
    return this.#fold.objects(slot);
  }

  reset(): void {
    this.#ending.clear();
    this.#admission.ended();
    this.#fold.reset();
  }

  /**
   * Judges a write and, if it is accepted, appends it to this region's log. Resolves once it is durable and folded.
   * A log that ends while the write waits sends it round again, judged anew, at most {@link ATTEMPTS_MAX} times.
   *
   * @throws SessionError `INVALID_INPUT`; CoreError `INVALID_WEIGHT`, `HLC_DRIFT_EXCEEDED`; errors of the log; the
   * signal's reason.
   */
  submit(session: string, request: OpRequest, options: SubmitOptions = {}): Promise<Submitted> {
    try {
      options.signal?.throwIfAborted();
      const admission = this.#admission.admit(session, request, options.operationId);
      if (admission.type !== "accepted") return this.#submit(session, request, options, admission);
      // The hot path: accepted, and written at the first attempt.
      const outcome = this.#write(admission.draft);
      return orAborted(outcome, options.signal).catch((error: unknown) => {
        if (!isRolled(error)) throw error;
        return this.#submit(session, request, options, undefined);
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @param first - What the admission has said already; without it one attempt was made. */
  async #submit(
    session: string,
    request: OpRequest,
    options: SubmitOptions,
    first: Admission<Promise<Submitted>> | undefined,
  ): Promise<Submitted> {
    let judged = first;
    for (let attempt = first === undefined ? 2 : 1; ; attempt++) {
      options.signal?.throwIfAborted();
      const admission = judged ?? this.#admission.admit(session, request, options.operationId);
      judged = undefined;
      switch (admission.type) {
        case "refused":
          return { outcome: "refused", code: admission.code, message: admission.message };
        case "duplicate":
          this.duplicates += 1;
          return { outcome: "duplicate", effectId: admission.effectId, position: admission.position };
        case "shared": {
          const { entry } = admission;
          try {
            // One whose writer is called before it returns has no outcome yet: a bug of the admission, not a wait.
            const shared = await orAborted(entry.outcome ?? Promise.reject(rolled()), options.signal);
            if (shared.outcome === "applied") {
              this.duplicates += 1;
              return { ...shared, outcome: "duplicate" };
            }
          } catch (error) {
            options.signal?.throwIfAborted();
            // The one it waited for was not written: this one is judged by itself.
            if (attempt >= ATTEMPTS_MAX) throw error;
          }
          continue;
        }
        case "accepted": {
          try {
            return await orAborted(this.#write(admission.draft), options.signal);
          } catch (error) {
            if (attempt >= ATTEMPTS_MAX || !isRolled(error)) throw error;
          }
        }
      }
    }
  }

  /** The operations of a ticket that this region does not have yet. @throws CoreError `DECODE_FAILED`. */
  unknownOf(ops: readonly Uint8Array[]): Uint8Array[] {
    return ops.filter((bytes) => this.#admission.relay(bytes) !== "known");
  }

  /**
   * Appends sealed operations as they are: they keep their stamp, lane and number, and get a place in this region's
   * log. What became known meanwhile is left out. Resolves once all are durable and folded.
   */
  async relay(
    ops: readonly Uint8Array[],
    options: {
      readonly signal?: AbortSignal;
      /** Whose ticket it is, where that is known. */
      readonly user?: string;
    } = {},
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const unknown = this.unknownOf(ops);
      if (unknown.length === 0) return;
      const { signal } = options;
      signal?.throwIfAborted();
      const written = unknown.map((bytes) =>
        this.#attached().append(this.channel, RECORD_SESSION_OP, (writer) => writer.raw(bytes), {
          shard: this.#shard(decodeOp(bytes).session, options.user),
        }),
      );
      try {
        await orAborted(Promise.all(written), signal);
        return;
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !isRolled(error)) throw error;
      }
    }
  }

  /** How far a session has travelled to another region: "synced" where every `acknowledgedLsn` has reached its `lsn`. */
  progress(session: string, region: RegionId): SessionProgress[] {
    const replication = this.#attached();
    return this.#fold.lastPositions(session).map(({ log, lsn }) => {
      const shippedLsn = replication.shippedLsn(log);
      const acknowledgedLsn = replication.acknowledgedLsn(region, log);
      return { log, lsn, ...(shippedLsn === undefined ? {} : { shippedLsn }), acknowledgedLsn };
    });
  }

  /** Never aborted: a draft's number is only free again once it is certain that it was not written. */
  #write(draft: OpDraft<Promise<Submitted>>): Promise<Submitted> {
    const clock = this.#clock;
    const outcome = this.#attached()
      .append(
        this.channel,
        RECORD_SESSION_OP,
        (writer, _lsn, log) => draft.encode(writer, log, clock.tick()),
        { shard: this.#shard(draft.session, draft.user) },
      )
      .then(
        (written): Submitted => {
          draft.settle(true);
          return { outcome: "applied", effectId: draft.effectId, position: draft.position, written };
        },
        (error: unknown): Submitted => {
          draft.settle(false);
          // Accepted before the purge was known, and judged again as its batch was formed.
          if (error instanceof SessionError && error.code === "SESSION_PURGED")
            return { outcome: "refused", code: error.code, message: error.message };
          throw error;
        },
      );
    draft.outcome = outcome;
    return outcome;
  }

  /** A session stays with its user: once the start is known, whatever else is said. */
  #shard(session: string, user: string | undefined): ShardId {
    return this.#shardOf(session, this.#fold.sessions.get(session)?.user?.id ?? user);
  }

  #ended(body: Uint8Array): void {
    const session = readOp(body)?.session;
    if (session !== undefined && this.#ending.delete(session)) this.#admission.ended(session);
  }

  #followClock(bytes: Uint8Array, region: RegionId): void {
    const { stamp } = decodeOp(bytes);
    this.#clock.observeSkew(region, stamp.wallMs);
    try {
      this.#clock.receive(stamp);
    } catch {
      // Its bound could not be kept on disk, so it stays where it was: what is applied is no less applied, every
      // stamp of a session follows what is folded there, and the next write here tells its caller of the disk.
    }
  }

  #attached(): Replication {
    if (this.#replication === undefined)
      throw new TypeError("The bridge is not attached to a replication yet");
    return this.#replication;
  }
}

/** What an operation does to its session, if it ends it; told by one byte. */
function endOf(body: Uint8Array): "close" | "purge" | undefined {
  const kind = body[1];
  return kind === OP_KIND_CODE.close ? "close" : kind === OP_KIND_CODE.purge ? "purge" : undefined;
}

/** An operation, unless its bytes are none. */
function readOp(body: Uint8Array): OpView | undefined {
  try {
    return decodeOp(body);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

function destroyKeys(batch: WalBatch, keys: BridgeKeys): Promise<void> | undefined {
  let erases = false;
  for (const { type, body } of batch.records()) {
    if (type !== RECORD_SESSION_OP || body[1] !== OP_KIND_CODE.erase) continue;
    const erased = erasedBy(body);
    if (erased === undefined) continue;
    keys.retire(erased.pseudonym, erased.upTo);
    erases = true;
  }
  return erases ? keys.saved() : undefined;
}

/** Ends the waiting for a promise, not what it stands for. */
function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function isRolled(error: unknown): boolean {
  return error instanceof ReplicationError && error.code === "EPOCH_ROLLED";
}

function rolled(): ReplicationError {
  return new ReplicationError(
    "EPOCH_ROLLED",
    "Cannot write: the log ended again and again while the write waited",
    {
      retryable: true,
    },
  );
}
