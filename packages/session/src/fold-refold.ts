import type { OpPosition } from "./effect-list.ts";
import type { FoldEffects } from "./fold-effects.ts";
import { bytesOfHex } from "./hex.ts";
import { activityOf } from "./idle-close.ts";
import { decodeOp, type OpView } from "./op-view.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import type { UnstableOp } from "./unstable-op.ts";

/**
 * Folds what was kept whole and can be folded now: by a version that knows its kind, or with a key that has arrived.
 *
 * What is stable by then is settled at once, but for a removal of a hide, which waits for the next frontier: it says
 * whether every member knows the kind.
 *
 * @returns How many operations it was.
 */
export function refoldSession(fold: SessionFold, effects: FoldEffects, session: SessionEntry): number {
  const stable: UnstableOp[] = [];
  let count = 0;
  for (const [hex, bytes] of [...session.unknown]) {
    const op = decodeOp(bytes);
    if (!effects.folds(op)) continue;
    session.unknown.delete(hex);
    fold.counts.unknown -= 1;
    count += 1;
    const folded = refoldOp(fold, effects, session, op, bytesOfHex(hex));
    if (folded?.stable === true) stable.push(folded);
  }
  // Only now has every copy of an effect shown its position: settled sooner, one would push others out of its list for good.
  for (const op of stable) settle(fold, op);
  return count;
}

function refoldOp(
  fold: SessionFold,
  effects: FoldEffects,
  session: SessionEntry,
  op: OpView,
  key: Uint8Array,
): UnstableOp | undefined {
  const lane = session.lanes.find((one) => op.laneIs(one.bytes));
  if (lane === undefined) return undefined;
  const operation = op.operation;
  const found = operation === undefined ? undefined : fold.effects.find(operation.tag, operation.digest);
  const effect = typeof found === "number" ? found : -1;
  const held = lane.find(op.seqno, key);
  const waiting: UnstableOp = held ?? {
    session,
    lane,
    seqno: op.seqno,
    key,
    kind: op.kind,
    log: 0,
    lsn: 0,
    size: op.bytes.length,
    active: activityOf(op),
    bytes: undefined,
    effect,
    list: undefined,
    hides: undefined,
    stable: true,
    twin: undefined,
  };
  waiting.kind = op.kind;
  const position: OpPosition = { stamp: op.stamp, lane, seqno: op.seqno, key };
  effects.fold(op, waiting, position, effect < 0 || fold.unfolded.delete(effect));
  return waiting;
}

/** What is known to be everywhere can not move any more; a removal of a hide waits for the next frontier. */
function settle(fold: SessionFold, op: UnstableOp): void {
  const { session, kind } = op;
  op.list?.settle(op.effect);
  session.idle.settle(op.active);
  if (kind === "purge") fold.purges.settle(session.id);
  op.hides?.unstableHides.delete(op);
  if (kind === "unhide" || kind === "unmute" || kind === "unblock") fold.heldUnhides.push(op);
}
