import { compareBytes, effectKey, type HideKind, laterHlc } from "@tidemark/core";
import { LazyMap } from "./lazy-map.ts";
import { copySignals, ownSignal } from "./drop-owner.ts";
import { hexOf } from "./hex.ts";
import type { EffectList, ListedEffect, OpPosition } from "./effect-list.ts";
import { carriedDigest, decodeCarried } from "./carried-state.ts";
import { isFoldable, type OpView } from "./op-view.ts";
import { CLOSE_IDLE, HIDE_OF, type OpKind, type UnhideKind } from "./op-kinds.ts";
import type {
  AnnotateSealed,
  AppClear,
  AppSealed,
  CloseClear,
  EraseClear,
  ForkClear,
  ForkSealed,
  HideSealed,
  PreferSealed,
  SearchSealed,
  SignalClear,
  StartClear,
  StartSealed,
  UnhideClear,
} from "./op.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import { type UnstableOp, heldOf } from "./unstable-op.ts";
import type { UserEntry } from "./user-entry.ts";

/** Whether an operation of a purged session still does something: hides and their removals speak of the user. */
const OUTLIVES: Readonly<Record<OpKind, boolean>> = {
  start: false,
  fork: false,
  merge: false,
  signal: false,
  prefer: false,
  annotate: false,
  hide: true,
  unhide: true,
  mute: true,
  unmute: true,
  block: true,
  unblock: true,
  search: false,
  close: false,
  app: false,
  purge: false,
  erase: true,
};

/** What each kind does to the state. */
export class FoldEffects {
  readonly #fold: SessionFold;

  constructor(fold: SessionFold) {
    this.#fold = fold;
  }

  /** Whether this fold can make something of an operation; else it is kept whole. */
  folds(op: OpView): boolean {
    const { erasing } = this.#fold;
    if (erasing !== undefined ? !erasing.opens(op) : op.userKey !== 0) return false;
    const { kinds } = this.#fold;
    if (op.kind === undefined || !(kinds?.has(op.kind) ?? true) || !isFoldable(op)) return false;
    return op.kind !== "fork" && op.kind !== "merge" ? true : this.#fits(op.sealed as ForkSealed);
  }

  /**
   * Folds an operation that can be read. One whose effect is known only moves that effect, and adds the dots it names.
   * Of a purged session only hides are folded, which belong to the user.
   */
  fold(op: OpView, waiting: UnstableOp, position: OpPosition, isNew: boolean): void {
    const { session } = waiting;
    const { kind } = op;
    waiting.owner = this.#fold.erasing?.ownerOf(op, session)?.pseudonym;
    if (session.purged && !OUTLIVES[kind ?? "start"]) return;
    switch (kind) {
      case "start":
        this.#start(session, {
          position,
          effect: waiting.effect,
          clear: op.clear as StartClear,
          sealed: op.sealed as StartSealed,
          owner: waiting.owner,
        });
        return;
      case "fork":
      case "merge": {
        const { policy, policyVersion, parents } = op.clear as ForkClear;
        const { user, agent, metadata, digest, state } = op.sealed as ForkSealed;
        this.#start(session, {
          position,
          effect: waiting.effect,
          clear: { policy, policyVersion },
          sealed: { user, agent, metadata },
          carried: { parents, digest: digest.slice(), state: state.slice() },
          owner: waiting.owner,
        });
        return;
      }
      case "signal":
        if (isNew) this.#ownedSignal(session, op.clear as SignalClear, waiting.owner);
        return;
      case "prefer": {
        const { key, value } = op.sealed as PreferSealed;
        this.#list(session.list("prefer", key), waiting, position, isNew, { text: value });
        return;
      }
      case "annotate": {
        const { text, entity } = op.sealed as AnnotateSealed;
        this.#list(
          session.list("annotate", ""),
          waiting,
          position,
          isNew,
          entity === undefined ? { text } : { text, about: entity },
        );
        return;
      }
      case "search":
        this.#list(session.list("search", ""), waiting, position, isNew, {
          text: (op.sealed as SearchSealed).query,
        });
        return;
      case "app": {
        const { namespace } = op.clear as AppClear;
        const bytes = isNew ? (op.sealed as AppSealed).bytes.slice() : new Uint8Array(0);
        this.#list(session.list("app", namespace), waiting, position, isNew, { text: "", bytes });
        return;
      }
      case "hide":
      case "mute":
      case "block":
        this.#hide(kind, op, waiting, isNew);
        return;
      case "unhide":
      case "unmute":
      case "unblock":
        this.#unhide(kind, op, waiting);
        return;
      case "close":
        this.#close(session, op.clear as CloseClear, position, isNew);
        return;
      case "purge":
        this.#fold.purges.purge(session);
        return;
      case "erase": {
        const { pseudonym, upTo } = op.clear as EraseClear;
        this.#fold.erasing?.erase(hexOf(pseudonym), upTo, { log: waiting.log, lsn: waiting.lsn });
        return;
      }
      case undefined:
        return;
      default:
        kind satisfies never;
    }
  }

  /** What is carried is what was sealed, and adds up with what is written here. */
  #fits({ digest, state }: ForkSealed): boolean {
    const { hasher } = this.#fold;
    if (compareBytes(carriedDigest(hasher, state), digest) !== 0) return false;
    return decodeCarried(state).every((part) =>
      [...part.signals.values()].every((sums) =>
        [...sums].every(([signal, sum]) => sum.sameOptions(this.#fold.emptySums(signal))),
      ),
    );
  }

  #start(session: SessionEntry, start: Parameters<SessionEntry["addStart"]>[0]): void {
    const before = session.starts.length;
    if (session.addStart(start)) this.attach(session);
    if (before > 0) this.#fold.counts.conflicts += session.starts.length - before;
  }

  /** Puts a session under the user that its start names. */
  attach(session: SessionEntry): void {
    const name = session.start?.sealed.user;
    if (name === undefined || session.user?.id === name) return;
    const fold = this.#fold;
    const user = fold.userEntry(name);
    session.user?.sessions.delete(session.id);
    session.user = user;
    user.sessions.add(session.id);
    for (const [log, lsn] of session.positions) user.positions.raise(log, lsn);
    this.holdFor(session, user);
  }

  /** Counts what is held of a session among what is held for its user's tickets. */
  holdFor(session: SessionEntry, user: UserEntry): void {
    for (const op of heldOf(session)) {
      if (op.stable) continue;
      session.held.remove(op);
      user.held.add(op, this.#fold.unstableBytesMax);
    }
    session.held = user.held;
  }

  #close(session: SessionEntry, { reason, latest }: CloseClear, position: OpPosition, isNew: boolean): void {
    if (reason !== CLOSE_IDLE || latest === undefined) {
      if (isNew) session.closes += 1;
      return;
    }
    const { key, stamp } = position;
    const active = Array.from(heldOf(session), (op) => op.active);
    if (session.idle.add({ key, stamp, latest }, active)) session.closes += 1;
  }

  #ownedSignal(session: SessionEntry, signal: SignalClear, owner: string | undefined): void {
    const others =
      owner !== undefined && session.signalsOwner !== undefined && session.signalsOwner !== owner;
    const before = others && session.signalsBy === undefined ? copySignals(session.signals) : session.signals;
    this.#signal(session.signals, signal);
    if (owner !== undefined) ownSignal(session, owner, before, (to) => this.#signal(to, signal));
  }

  #signal(signals: SessionEntry["signals"], { entity, signal, weight, eventTimeMs }: SignalClear): void {
    let sums = signals.get(entity);
    if (sums === undefined) signals.set(entity, (sums = new LazyMap()));
    let sum = sums.get(signal);
    if (sum === undefined) sums.set(signal, (sum = this.#fold.emptySums(signal)));
    sum.add(weight, eventTimeMs);
  }

  #list(
    list: EffectList,
    waiting: UnstableOp,
    position: OpPosition,
    isNew: boolean,
    value: Pick<ListedEffect, "text" | "about" | "bytes">,
  ): void {
    const { effect, owner } = waiting;
    if (effect >= 0) waiting.list = list;
    if (isNew) list.add({ position, effect, settled: effect < 0, ...value, owner });
    else list.lower(effect, position);
  }

  #hide(kind: HideKind, op: OpView, waiting: UnstableOp, isNew: boolean): void {
    const user = this.#hidesOf(op, waiting);
    const before = user.hides.pending.size;
    const dot = waiting.effect >= 0 ? effectKey(op.bytes, op.operationAt) : effectKey(waiting.key);
    if (isNew && waiting.effect >= 0) (waiting.session.hideEffects ??= []).push(waiting.effect);
    user.hides.hide(kind, (op.sealed as HideSealed).item, dot);
    user.hideStamp = laterHlc(user.hideStamp, op.stamp);
    this.#fold.counts.withheld += user.hides.pending.size - before;
    this.#fold.touch(user);
  }

  /** Each copy of an unhide names what its own region had seen, and waits for its own stability. */
  #unhide(kind: UnhideKind, op: OpView, waiting: UnstableOp): void {
    const user = this.#hidesOf(op, waiting);
    const before = user.hides.pending.size;
    const dots = (op.clear as UnhideClear).dots.map((dot) => effectKey(dot));
    if (user.hides.unhide(HIDE_OF[kind], (op.sealed as HideSealed).item, dots, effectKey(waiting.key))) {
      this.#fold.counts.unhidesPending += 1;
    }
    this.#fold.counts.withheld += user.hides.pending.size - before;
    this.#fold.touch(user);
  }

  #hidesOf(op: OpView, waiting: UnstableOp): UserEntry {
    const user = this.#fold.userEntry((op.sealed as HideSealed).user);
    waiting.hides = user;
    user.unstableHides.add(waiting);
    return user;
  }
}
