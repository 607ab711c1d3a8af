import { CoreError, laterHlc } from "@tidemark/core";
import type { OpPosition } from "./effect-list.ts";
import type { FoldEffects } from "./fold-effects.ts";
import type { SignalSink } from "./fold-options.ts";
import { hexOf } from "./hex.ts";
import { activityOf } from "./idle-close.ts";
import type { LaneState } from "./lane.ts";
import type { OpView } from "./op-view.ts";
import type { SignalClear } from "./op.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import type { SignalView } from "./signal-view.ts";
import type { UnstableOp } from "./unstable-op.ts";
import type { UserEntry } from "./user-entry.ts";

/** What happens when an operation arrives for the first time. */
export class FoldApply {
  readonly #fold: SessionFold;
  readonly #effects: FoldEffects;
  readonly #ledger: SignalSink | undefined;

  constructor(fold: SessionFold, effects: FoldEffects, ledger: SignalSink | undefined) {
    this.#fold = fold;
    this.#effects = effects;
    this.#ledger = ledger;
  }

  /** Takes in an operation that is not known: its effect, and what has to happen once it is stable. */
  take(op: OpView, session: SessionEntry, lane: LaneState, key: Uint8Array, log: number, lsn: number): void {
    const position: OpPosition = { stamp: op.stamp, lane, seqno: op.seqno, key };
    session.maxStamp = laterHlc(session.maxStamp, op.stamp);
    let isNew = true;
    let effect = -1;
    if (op.hasOperation) {
      const added = this.#fold.effects.add(op.bytes, op.operationAt, {
        stamp: op.stamp,
        lane: lane.index,
        seqno: op.seqno,
      });
      effect = added.index;
      isNew = added.isNew;
      if (isNew) session.effects = this.#fold.effects.link(effect, session.effects);
      if (added.conflict && !session.purged) this.#conflict(session, hexOf(op.bytes, op.operationAt, 8));
    }
    if (isNew) {
      session.effectCount += 1;
      this.#fold.counts.effects += 1;
    } else {
      this.#fold.counts.duplicates += 1;
    }
    if (isNew) this.#toLedger(op);
    const erased = this.#fold.erasing?.isErased(op) === true;
    const folds = !erased && this.#effects.folds(op);
    const active = activityOf(op);
    if (active !== undefined) session.closes -= session.idle.note(active);
    const waiting: UnstableOp = {
      session,
      lane,
      seqno: op.seqno,
      key,
      kind: folds ? op.kind : undefined,
      log,
      lsn,
      size: op.bytes.length,
      active,
      bytes: erased ? undefined : op.bytes,
      effect,
      list: undefined,
      hides: undefined,
      owner: undefined,
      erased,
      stable: false,
      twin: undefined,
    };
    lane.hold(waiting);
    this.#fold.sessions.grow(session, op.bytes.length);
    this.#fold.logs.queues[log]?.push(lsn, waiting);
    this.#fold.counts.unstable += 1;
    session.held.add(waiting, this.#fold.unstableBytesMax);
    if (folds) this.#effects.fold(op, waiting, position, isNew || this.#fold.unfolded.delete(effect));
    else if (!erased && (!session.purged || this.#fold.mayFold(op))) {
      if (isNew && effect >= 0) this.#fold.unfolded.add(effect);
      this.#fold.erasing?.keep(op, session);
      session.unknown.set(hexOf(key), op.bytes.slice());
      this.#fold.counts.unknown += 1;
    }
    this.note(session, waiting.hides, log, lsn);
  }

  /** A signal counts in the ledger once it is known, whatever becomes of its session, and whoever may read the rest. */
  #toLedger(op: OpView): void {
    if (this.#ledger === undefined || op.kind !== "signal") return;
    if (this.#fold.schema === undefined && this.#ledger.leave !== undefined) {
      this.#ledger.leave();
      return;
    }
    const signal = readSignal(op);
    if (signal !== undefined)
      this.#ledger.add(signal.entity, signal.signal, signal.weight, signal.eventTimeMs);
  }

  /** Two operations claim a number of a lane. */
  fork(session: SessionEntry, lane: LaneState, seqno: number): void {
    const before = session.forks.size;
    session.forks.set(`${lane.text} ${seqno}`, { lane: lane.text, seqno });
    this.#fold.counts.forks += session.forks.size - before;
  }

  #conflict(session: SessionEntry, tag: string): void {
    const before = session.conflicts.size;
    session.conflicts.add(tag);
    this.#fold.counts.conflicts += session.conflicts.size - before;
  }

  /** A record of a session, or on the hides of a user, is applied. */
  note(session: SessionEntry, hides: UserEntry | undefined, log: number, lsn: number): void {
    session.positions.raise(log, lsn);
    session.user?.positions.raise(log, lsn);
    if (hides !== undefined && hides !== session.user) hides.positions.raise(log, lsn);
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
