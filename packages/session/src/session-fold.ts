import {
  CoreError,
  effectKey,
  type Hasher,
  type HideKind,
  type Hlc,
  HLC_ZERO,
  laterHlc,
  type LogId,
  SignalSums,
  StateDigest,
  type StateTerms,
} from "@tidemark/core";
import { EffectIds } from "./effect-id.ts";
import type { OpPosition } from "./effect-list.ts";
import { EffectTable } from "./effect-table.ts";
import type { SessionFoldOptions, SignalRules, SignalSink, StableFrontier } from "./fold-options.ts";
import { restoreFold, snapshotFold } from "./fold-snapshot.ts";
import { type FoldCounts, type FoldStats, noCounts } from "./fold-counts.ts";
import { FoldEffects } from "./fold-effects.ts";
import { refoldSession } from "./fold-refold.ts";
import { hexOf } from "./hex.ts";
import { LaneState } from "./lane.ts";
import { UNSTABLE_BYTES_MAX } from "./limits.ts";
import { LogTable } from "./log-table.ts";
import { foldVersionOf, type OpKind } from "./op-kinds.ts";
import { decodeOp, OpView } from "./op-view.ts";
import type { SignalClear } from "./op.ts";
import type { SignalView } from "./signal-view.ts";
import { SessionEntry } from "./session-entry.ts";
import { type SessionChange, type SessionState, sessionStateOf } from "./session-state.ts";
import { heldOf, type LogPlace, type UnstableOp, type UnstableOps } from "./unstable-op.ts";
import { UserEntry } from "./user-entry.ts";
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
  readonly #ledger: SignalSink | undefined;
  readonly unstableBytesMax: number;
  readonly kinds: ReadonlySet<OpKind> | undefined;
  readonly sessions: Map<string, SessionEntry> = new Map();
  readonly users: Map<string, UserEntry> = new Map();
  readonly logs: LogTable = new LogTable();
  /** By number. */
  readonly lanes: LaneState[] = [];
  readonly effects: EffectTable = new EffectTable((a, b) => this.#compareLanes(a, b));
  /** Effects of which only copies that cannot be folded are known. */
  readonly unfolded: Set<number> = new Set();
  /** Unhides that are stable, but not every member knows their kind. */
  heldUnhides: UnstableOp[] = [];
  readonly counts: FoldCounts = noCounts();
  readonly hasher: Hasher;
  readonly #terms: StateTerms;
  readonly #fold: FoldEffects;
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
    this.#ledger = ledger;
    this.#halfLifeMs = halfLifeMs;
    this.#terms = { foldVersion: DIGEST_VERSION, ...(schema === undefined ? {} : { schema: schema.digest }) };
    this.unstableBytesMax = unstableBytesMax;
    this.kinds = options.kinds;
    this.#fold = new FoldEffects(this);
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
    const session = this.#entry(op.session);
    const lane = this.#lane(session, op);
    const key = this.ids.keyOf(op);
    const place = lane.judge(op.seqno, key);
    if (place === "known") {
      this.counts.duplicates += 1;
      const known = lane.find(op.seqno, key);
      this.#note(session, known?.hides, number, lsn);
      if (known !== undefined && !known.stable) this.logs.queues[number]?.push(lsn, known);
      return "duplicate";
    }
    if (place === "fork") this.#fork(session, lane, op.seqno);
    lane.add(op.seqno);
    this.#applyNew(op, session, lane, key, number, lsn);
    this.#digest.touch(session);
    if (this.#listeners.size > 0) this.#notify(op, session, log, lsn);
    return "applied";
  }

  /** The stability frontier has advanced: what is at or below it can be settled and forgotten. */
  stable(frontier: StableFrontier): void {
    const held = this.heldUnhides;
    if (held.length > 0) {
      this.heldUnhides = [];
      for (const op of held) this.#settleUnhide(op, frontier);
    }
    const { ids, queues } = this.logs;
    for (const [number, id] of ids.entries()) {
      const queue = queues[number] as (typeof queues)[number];
      const lsn = frontier.lsnOf(id);
      for (let op = queue.take(lsn); op !== undefined; op = queue.take(lsn))
        if (!op.stable) this.#settle(op, frontier);
    }
  }

  /** A session as plain data; `undefined` if nothing of it was applied. */
  session(id: string): SessionState | undefined {
    const entry = this.sessions.get(id);
    return entry === undefined ? undefined : sessionStateOf(entry);
  }

  /** What can be read of a user. */
  user(id: string): UserView {
    return new UserView(id, (user) => this.users.get(user));
  }

  /** The latest stamp folded in a session: its next operation is stamped above it. */
  maxStamp(session: string): Hlc {
    return this.sessions.get(session)?.maxStamp ?? HLC_ZERO;
  }

  /** The live dots of an item, 16 latin1 characters each: what an unhide names. */
  dotsOf(user: string, kind: HideKind, item: string): string[] {
    return this.users.get(user)?.hides.observed(kind, item) ?? [];
  }

  /** The last record applied here of a session or of its user, log by log. */
  lastPositions(session: string): LogPlace[] {
    const entry = this.sessions.get(session);
    return this.#places(entry?.user?.positions ?? entry?.positions);
  }

  /** The last record applied here of a user's sessions and hides, log by log. */
  lastUserPositions(user: string): LogPlace[] {
    return this.#places(this.users.get(user)?.positions);
  }

  /** The operations of a user's sessions, and on the user's hides, that are not known to be everywhere. */
  unstableOps(user: string): UnstableOps {
    const entry = this.users.get(user);
    if (entry === undefined) return { ops: [], complete: true };
    // Told by counts where they suffice: a user may have thousands of sessions.
    const { held, unstableHides } = entry;
    if (held.missing > 0) return { ops: [], complete: false };
    if (held.bytes === 0 && unstableHides.size === 0) return { ops: [], complete: true };
    const found = new Set<UnstableOp>(unstableHides);
    for (const session of entry.sessions.values()) {
      for (const op of heldOf(session)) if (!op.stable) found.add(op);
    }
    const ops: (LogPlace & { bytes: Uint8Array })[] = [];
    let left = this.unstableBytesMax;
    for (const { log, lsn, bytes, size } of found) {
      left -= size;
      if (bytes === undefined || left < 0) return { ops: [], complete: false };
      ops.push({ log: this.logs.ids[log] as LogId, lsn, bytes });
    }
    return {
      ops: ops.sort((a, b) => (a.log === b.log ? a.lsn - b.lsn : this.#number(a.log) - this.#number(b.log))),
      complete: true,
    };
  }

  /** Calls a listener for each operation that is applied, in the order of application; returns how to stop. */
  onChange(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stats(): FoldStats {
    return { sessions: this.sessions.size, users: this.users.size, ...this.counts };
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
    return snapshotFold(this);
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
  }

  /** Folds what was kept whole and can be folded now; returns how many operations it was. */
  refold(): number {
    if (this.counts.unknown === 0) return 0;
    let count = 0;
    for (const session of this.sessions.values()) {
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

  /** A user's hides have changed. */
  touchUser(user: UserEntry): void {
    this.#digest.touch(user);
  }

  /** The lane of a session, made if it is missing. */
  laneOf(
    session: SessionEntry,
    bytes: Uint8Array,
    make: () => { lane: LaneState["lane"]; text: string },
  ): LaneState {
    for (const lane of session.lanes) if (same(lane.bytes, bytes)) return lane;
    const { lane: id, text } = make();
    const lane = new LaneState(id, text, bytes.slice(), this.lanes.length, session.id);
    this.lanes.push(lane);
    session.lanes.push(lane);
    return lane;
  }

  #applyNew(
    op: OpView,
    session: SessionEntry,
    lane: LaneState,
    key: Uint8Array,
    log: number,
    lsn: number,
  ): void {
    const position: OpPosition = { stamp: op.stamp, lane, seqno: op.seqno, key };
    session.maxStamp = laterHlc(session.maxStamp, op.stamp);
    let isNew = true;
    let effect = -1;
    if (op.hasOperation) {
      const added = this.effects.add(op.bytes, op.operationAt, {
        stamp: op.stamp,
        lane: lane.index,
        seqno: op.seqno,
      });
      effect = added.index;
      isNew = added.isNew;
      if (added.conflict) this.#conflict(session, hexOf(op.bytes, op.operationAt, 8));
    }
    if (isNew) {
      session.effectCount += 1;
      this.counts.effects += 1;
    } else {
      this.counts.duplicates += 1;
    }
    if (isNew) this.#toLedger(op);
    const folds = this.#fold.folds(op);
    const waiting: UnstableOp = {
      session,
      lane,
      seqno: op.seqno,
      key,
      kind: folds ? op.kind : undefined,
      log,
      lsn,
      size: op.bytes.length,
      bytes: op.bytes,
      effect,
      list: undefined,
      hides: undefined,
      stable: false,
      twin: undefined,
    };
    lane.hold(waiting);
    this.logs.queues[log]?.push(lsn, waiting);
    this.counts.unstable += 1;
    session.held.add(waiting, this.unstableBytesMax);
    if (folds) this.#fold.fold(op, waiting, position, isNew || this.unfolded.delete(effect));
    else {
      if (isNew && effect >= 0) this.unfolded.add(effect);
      session.unknown.set(hexOf(key), op.bytes.slice());
      this.counts.unknown += 1;
    }
    this.#note(session, waiting.hides, log, lsn);
  }

  /** A signal counts in the ledger once it is known, whatever becomes of its session, and whoever may read the rest. */
  #toLedger(op: OpView): void {
    if (this.#ledger === undefined || op.kind !== "signal") return;
    const signal = readSignal(op);
    if (signal !== undefined)
      this.#ledger.add(signal.entity, signal.signal, signal.weight, signal.eventTimeMs);
  }

  #fork(session: SessionEntry, lane: LaneState, seqno: number): void {
    const before = session.forks.size;
    session.forks.set(`${lane.text} ${seqno}`, { lane: lane.text, seqno });
    this.counts.forks += session.forks.size - before;
  }

  #conflict(session: SessionEntry, tag: string): void {
    const before = session.conflicts.size;
    session.conflicts.add(tag);
    this.counts.conflicts += session.conflicts.size - before;
  }

  #settle(op: UnstableOp, frontier: StableFrontier): void {
    op.stable = true;
    this.counts.unstable -= 1;
    op.lane.release(op.seqno);
    op.session.held.remove(op);
    op.list?.settle(op.effect);
    op.hides?.unstableHides.delete(op);
    if (op.kind === "unhide" || op.kind === "unmute" || op.kind === "unblock")
      this.#settleUnhide(op, frontier);
  }

  /** The removal takes effect; where a member does not know its kind, it waits on. */
  #settleUnhide(op: UnstableOp, frontier: StableFrontier): void {
    const { hides: user, kind } = op;
    if (user === undefined || kind === undefined) return;
    if (frontier.foldVersionMin < foldVersionOf(kind)) {
      this.heldUnhides.push(op);
      return;
    }
    const before = user.hides.pending.size;
    if (user.hides.settle(effectKey(op.key))) this.counts.unhidesPending -= 1;
    this.counts.withheld += user.hides.pending.size - before;
  }

  #entry(id: string): SessionEntry {
    let session = this.sessions.get(id);
    if (session === undefined) {
      session = new SessionEntry(id);
      this.sessions.set(id, session);
    }
    return session;
  }

  #lane(session: SessionEntry, op: OpView): LaneState {
    for (const lane of session.lanes) if (op.laneIs(lane.bytes)) return lane;
    return this.laneOf(session, op.laneBytes, () => ({ lane: op.lane, text: op.laneText }));
  }

  #note(session: SessionEntry, hides: UserEntry | undefined, log: number, lsn: number): void {
    raise(session.positions, log, lsn);
    if (session.user !== undefined) raise(session.user.positions, log, lsn);
    if (hides !== undefined && hides !== session.user) raise(hides.positions, log, lsn);
  }

  #notify(op: OpView, session: SessionEntry, log: LogId, lsn: number): void {
    const user = session.user?.id;
    const change: SessionChange = {
      session: session.id,
      ...(user === undefined ? {} : { user }),
      kind: op.kind ?? "unknown",
      position: { session: session.id, lane: op.laneText, seqno: op.seqno },
      log,
      lsn,
    };
    for (const listener of this.#listeners) listener(change);
  }

  #places(positions: ReadonlyMap<number, number> | undefined): LogPlace[] {
    return [...(positions ?? [])].map(([number, lsn]) => ({ log: this.logs.ids[number] as LogId, lsn }));
  }

  #number(log: LogId): number {
    return this.logs.ids.indexOf(log);
  }

  #compareLanes(a: number, b: number): number {
    if (a === b) return 0;
    return (this.lanes[a] as LaneState).text < (this.lanes[b] as LaneState).text ? -1 : 1;
  }

  #clear(): void {
    this.sessions.clear();
    this.users.clear();
    this.logs.clear();
    this.lanes.length = 0;
    this.effects.clear();
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

function readSignal(op: OpView): SignalClear | undefined {
  try {
    return (op.clear as SignalView).read();
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

function raise(positions: Map<number, number>, log: number, lsn: number): void {
  const known = positions.get(log);
  if (known === undefined || known < lsn) positions.set(log, lsn);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
