import {
  CoreError,
  type DigestObject,
  type Hasher,
  type HideKind,
  type Hlc,
  HLC_ZERO,
  type LogId,
  SignalSums,
  StateDigest,
  type StateTerms,
} from "@tidemark/core";
import { EffectIds } from "./effect-id.ts";
import { EffectTable } from "./effect-table.ts";
import type { SessionFoldOptions, SignalRules, StableFrontier } from "./fold-options.ts";
import { restoreFold, snapshotFold } from "./fold-snapshot.ts";
import { type FoldCounts, type FoldStats, noCounts } from "./fold-counts.ts";
import { type ColdWatch, FoldCold } from "./fold-cold.ts";
import { FoldApply } from "./fold-apply.ts";
import { FoldEffects } from "./fold-effects.ts";
import type { Erasure } from "./erasure.ts";
import { FoldErase } from "./fold-erase.ts";
import { FoldPurge } from "./fold-purge.ts";
import { refoldSession } from "./fold-refold.ts";
import { FoldSettling } from "./fold-settling.ts";
import type { LaneProgress, LaneState } from "./lane.ts";
import { LaneTable } from "./lane-table.ts";
import { UNSTABLE_BYTES_MAX } from "./limits.ts";
import type { LogPositions } from "./log-positions.ts";
import { LogTable } from "./log-table.ts";
import type { OpKind } from "./op-kinds.ts";
import { decodeOp, OpView } from "./op-view.ts";
import { SessionEntry } from "./session-entry.ts";
import { SessionTable } from "./session-table.ts";
import { changeOf, type SessionChange, type SessionState, sessionStateOf } from "./session-state.ts";
import type { Tombstone } from "./tombstone.ts";
import type { LogPlace, UnstableOp } from "./unstable-op.ts";
import { type UnstableOps, unstableOpsOf } from "./unstable-ops.ts";
import { UserEntry } from "./user-entry.ts";
import type { UserSeals } from "./user-seal.ts";
import { UserView } from "./user-view.ts";

/** The first field of the state digest: what is new in the state shows in its objects. */
const DIGEST_VERSION = 1;

/** What became of a record. */
export type Applied = "applied" | "duplicate" | "malformed";

/**
 * The sessions of one shard: a function of the *set* of operations applied, whatever their order and however often each
 * arrives, in whichever log.
 *
 * `apply` takes every record of every log once it is durable; `stable` says what every member has applied.
 */
export class SessionFold {
  readonly ids: EffectIds;
  readonly schema: SignalRules | undefined;
  readonly #halfLifeMs: number;
  readonly unstableBytesMax: number;
  readonly kinds: ReadonlySet<OpKind> | undefined;
  readonly cold: FoldCold = new FoldCold(this);
  coldWatch: ColdWatch | undefined;
  readonly sessions: SessionTable;
  /** What is left of sessions that were purged; a session is here or in `sessions`. */
  readonly tombstones: Map<string, Tombstone> = new Map();
  readonly users: Map<string, UserEntry> = new Map();
  readonly logs: LogTable = new LogTable();
  readonly #lanes: LaneTable = new LaneTable();
  /** By number; the numbers of lanes that are forgotten are given again. */
  readonly lanes: readonly (LaneState | undefined)[] = this.#lanes.lanes;
  readonly effects: EffectTable = new EffectTable((a, b) => this.#lanes.compare(a, b));
  /** Effects of which only copies that cannot be folded are known. */
  readonly unfolded: Set<number> = new Set();
  /** Unhides that are stable, but not every member knows their kind. */
  heldUnhides: UnstableOp[] = [];
  readonly counts: FoldCounts = noCounts();
  readonly purges: FoldPurge = new FoldPurge(this);
  readonly settling: FoldSettling = new FoldSettling(this);
  /** Users' keys and erasures, in a cluster that encrypts. */
  readonly erasing: FoldErase | undefined;
  readonly seals: UserSeals | undefined;
  readonly erased: ((erasure: Erasure) => void) | undefined;
  readonly hasher: Hasher;
  readonly #terms: StateTerms;
  readonly #fold: FoldEffects;
  readonly #applying: FoldApply;
  readonly #listeners: Set<(change: SessionChange) => void> = new Set();
  #digest: StateDigest;

  constructor(options: SessionFoldOptions) {
    const {
      hasher,
      clusterId,
      schema,
      ledger,
      halfLifeMs = 7 * 24 * 60 * 60 * 1000,
      unstableBytesMax = UNSTABLE_BYTES_MAX,
    } = options;
    this.hasher = hasher;
    this.ids = new EffectIds(hasher, clusterId);
    this.schema = schema;
    this.#halfLifeMs = halfLifeMs;
    this.#terms = { foldVersion: DIGEST_VERSION, ...(schema === undefined ? {} : { schema: schema.digest }) };
    this.unstableBytesMax = unstableBytesMax;
    this.kinds = options.kinds;
    this.erased = options.erased;
    this.seals = options.seals;
    this.erasing = options.seals === undefined ? undefined : new FoldErase(this, options.seals);
    // What is erased has to be found, and nothing of it may be on a disk: where users have keys all stay in memory.
    this.sessions = new SessionTable(this.cold, options.seals === undefined ? options.cold : undefined);
    this.#fold = new FoldEffects(this);
    this.#applying = new FoldApply(this, this.#fold, ledger);
    this.#digest = new StateDigest(hasher, this.#terms);
  }

  /**
   * Applies one record. Never throws for what the bytes say: what cannot be read as an operation is counted, what is of
   * an unknown kind is kept whole.
   *
   * @param bytes - Kept for tickets while the operation is not stable: must not change.
   */
  apply(bytes: Uint8Array | OpView, log: LogId, lsn: number): Applied {
    const op = bytes instanceof OpView ? bytes : openOp(bytes);
    if (op === undefined) {
      this.counts.malformed += 1;
      return "malformed";
    }
    const number = this.logs.numberOf(log);
    const session = this.#entry(op);
    if (session === undefined) {
      // A copy of what was applied before its session was forgotten.
      this.counts.duplicates += 1;
      return "duplicate";
    }
    const lane = this.#lane(session, op);
    const key = this.ids.keyOf(op);
    const place = lane.judge(op.seqno, key);
    if (place === "known") {
      this.counts.duplicates += 1;
      const known = lane.find(op.seqno, key);
      this.#applying.note(session, known?.hides, number, lsn);
      if (known !== undefined && !known.stable) this.logs.queues[number]?.push(lsn, known);
      return "duplicate";
    }
    if (place === "fork" && !session.purged) this.#applying.fork(session, lane, op.seqno);
    lane.add(op.seqno);
    this.#applying.take(op, session, lane, key, number, lsn);
    this.#digest.touch(session);
    if (this.#listeners.size > 0) {
      const change = changeOf(op, session, log, lsn);
      for (const listener of this.#listeners) listener(change);
    }
    this.sessions.sweep();
    return "applied";
  }

  /** The stability frontier has advanced: what is at or below it can be settled and forgotten. */
  stable(frontier: StableFrontier): void {
    this.settling.advance(frontier);
    this.purges.advance(frontier);
    this.sessions.sweep();
  }

  /** A session as plain data; `undefined` if nothing of it was applied, or it was purged. */
  session(id: string): SessionState | undefined {
    const entry = this.sessions.get(id);
    const state = entry === undefined ? undefined : sessionStateOf(entry);
    this.sessions.sweep();
    return state;
  }

  /** What can be read of a user. */
  user(id: string): UserView {
    return new UserView(id, (user) => this.users.get(user), this.sessions);
  }

  /** Whether a purge of a session is known: nothing of that id is accepted here, nor a start of it. */
  purged(session: string): boolean {
    return this.tombstones.has(session);
  }

  /** What is held of a session, also of one that was purged while copies of its operations can still arrive. */
  entryOf(session: string): SessionEntry | undefined {
    return this.sessions.get(session) ?? this.tombstones.get(session)?.kept;
  }

  /** Every session in memory that something is held of, purged or not. */
  *inMemory(): Iterable<SessionEntry> {
    yield* this.sessions.inMemory();
    for (const { kept } of this.tombstones.values()) if (kept !== undefined) yield kept;
  }

  /** The latest stamp folded in a session: its next operation is stamped above it. */
  maxStamp(session: string): Hlc {
    return this.entryOf(session)?.maxStamp ?? HLC_ZERO;
  }

  /**
   * The live dots of an item, 16 latin1 characters each, that an unhide has to name: those that no known unhide names
   * already, for they go with that one.
   */
  dotsOf(user: string, kind: HideKind, item: string): string[] {
    return this.users.get(user)?.hides.unnamed(kind, item) ?? [];
  }

  /** The last record applied here of a session or of its user, log by log. */
  lastPositions(session: string): LogPlace[] {
    const entry = this.entryOf(session);
    const places = this.#places(entry?.user?.positions ?? entry?.positions);
    this.sessions.sweep();
    return places;
  }

  /** How much of each writer's operations of a session is applied here, by lane; empty for one nothing is known of. */
  lanesOf(session: string): Map<string, LaneProgress> {
    const lanes = this.entryOf(session)?.lanes ?? [];
    const progress = new Map(lanes.map(({ text, hwm, size }) => [text, { upTo: hwm, count: size }]));
    this.sessions.sweep();
    return progress;
  }

  /** The last record applied here of a user's sessions and hides, log by log. */
  lastUserPositions(user: string): LogPlace[] {
    return this.#places(this.users.get(user)?.positions);
  }

  /** The operations of a user's sessions, and on the user's hides, that are not known to be everywhere. */
  unstableOps(user: string): UnstableOps {
    return unstableOpsOf(this, user);
  }

  /** Calls a listener for each operation that is applied, in the order of application; returns how to stop. */
  onChange(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stats(): FoldStats {
    const { sessions, users, tombstones } = this;
    return { sessions: sessions.size, users: users.size, purged: tombstones.size, ...this.counts };
  }

  /** 32 bytes that equal those of any fold of the same operations: {@link StateDigest}. */
  digest(): Uint8Array {
    return this.#digest.digest();
  }

  /** The digest of one of the 4,096 slots, to narrow down where two regions differ. */
  slotDigest(slot: number): Uint8Array {
    return this.#digest.slotDigest(slot);
  }

  /** The objects of one slot with their digests. */
  objects(slot: number): { readonly kind: number; readonly id: string; readonly digest: Uint8Array }[] {
    return this.#digest.objects(slot);
  }

  /** Forgets everything, so that all operations can be applied again. */
  reset(): void {
    this.#clear();
  }

  /** Everything, in bytes that {@link SessionFold.restore} reads. */
  snapshot(): Uint8Array {
    const bytes = snapshotFold(this);
    this.sessions.sweep();
    return bytes;
  }

  /** Replaces everything. @throws {@link CoreError} `DECODE_FAILED`; the fold is empty then. */
  restore(bytes: Uint8Array): void {
    this.#clear();
    try {
      restoreFold(this, bytes);
    } catch (error) {
      this.#clear();
      throw error;
    }
    this.refold();
    for (const session of this.sessions.values()) this.#digest.touch(session);
    for (const user of this.users.values()) this.#digest.touch(user);
    for (const tombstone of this.tombstones.values()) this.#digest.touch(tombstone);
    this.sessions.restAll();
    this.sessions.sweep();
    for (const erasure of this.erasing?.erasures.values() ?? []) this.#digest.touch(erasure);
  }

  /** Folds what was kept whole and can be folded now; returns how many operations it was. */
  refold(): number {
    if (this.counts.unknown === 0) return 0;
    let count = 0;
    // One with anything kept whole stays in memory.
    const kept = [...this.tombstones.values()].flatMap((tombstone) => tombstone.kept ?? []);
    for (const session of [...this.sessions.inMemory(), ...kept]) {
      const folded = refoldSession(this, this.#fold, session);
      if (folded > 0) this.#digest.touch(session);
      count += folded;
    }
    return count;
  }

  /** Sums of a signal with nothing in them. */
  emptySums(signal: string): SignalSums {
    const decay = this.schema?.decayOf(signal) ?? { halfLifeMs: this.#halfLifeMs };
    return new SignalSums({ ...decay, windows: false });
  }

  /** The user's entry, made if it is missing. */
  userEntry(id: string): UserEntry {
    let user = this.users.get(id);
    if (user === undefined) {
      user = new UserEntry(id);
      this.users.set(id, user);
    }
    return user;
  }

  /** Puts a session under the user that its start names. */
  attach(session: SessionEntry): void {
    this.#fold.attach(session);
  }

  /** Counts the operations of a session that was purged among those of its user. */
  holdFor(session: SessionEntry, user: UserEntry): void {
    session.user = user;
    user.purged.add(session);
    this.#fold.holdFor(session, user);
  }

  /** An object of the digest has changed. */
  touch(object: DigestObject): void {
    this.#digest.touch(object);
  }

  /** An object leaves memory: what it hashes to is known from now on without it. */
  settleDigest(object: DigestObject): void {
    this.#digest.settle(object);
  }

  /** An object has no canonical bytes any more, and is let go of. */
  dropDigest(object: DigestObject): void {
    this.#digest.drop(object);
  }

  /** Whether an operation can be folded, now or by a later version or with a key. */
  mayFold(op: OpView): boolean {
    const later = op.kind === undefined || op.userKey !== 0 || this.kinds?.has(op.kind) === false;
    return later || this.#fold.folds(op);
  }

  /** The lane of a session, made if it is missing. */
  laneOf(...lane: Parameters<LaneTable["laneOf"]>): LaneState {
    return this.#lanes.laneOf(...lane);
  }

  /** Nothing names the lane any more. */
  freeLane(lane: LaneState): void {
    this.#lanes.free(lane);
  }

  /** Made if it is missing; `undefined` if it was purged and forgotten, and the operation is known. */
  #entry(op: OpView): SessionEntry | undefined {
    const id = op.session;
    const known = this.sessions.get(id);
    if (known !== undefined) return known;
    const tombstone = this.tombstones.get(id);
    if (tombstone !== undefined) return tombstone.kept ?? this.purges.recall(tombstone, op);
    const session = new SessionEntry(id);
    this.sessions.set(id, session);
    return session;
  }

  #lane(session: SessionEntry, op: OpView): LaneState {
    for (const lane of session.lanes) if (op.laneIs(lane.bytes)) return lane;
    return this.laneOf(session, op.laneBytes, () => ({ lane: op.lane, text: op.laneText }));
  }

  #places(positions: LogPositions | undefined): LogPlace[] {
    return [...(positions ?? [])].map(([number, lsn]) => ({ log: this.logs.ids[number] as LogId, lsn }));
  }

  #clear(): void {
    this.sessions.clear();
    this.users.clear();
    this.logs.clear();
    this.#lanes.clear();
    this.tombstones.clear();
    this.cold.clear();
    this.purges.clear();
    this.effects.clear();
    this.erasing?.clear();
    this.heldUnhides = [];
    this.unfolded.clear();
    Object.assign(this.counts, noCounts());
    this.#digest = new StateDigest(this.hasher, this.#terms);
  }
}

function openOp(bytes: Uint8Array): OpView | undefined {
  try {
    return decodeOp(bytes);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
