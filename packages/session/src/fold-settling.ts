import { ByteWriter, effectKey, type HideKind, writeEffectKey } from "@tidemark/core";
import { OPERATION_TAG_BYTES } from "./effect-id.ts";
import type { StableFrontier } from "./fold-options.ts";
import { foldVersionOf } from "./op-kinds.ts";
import type { SessionFold } from "./session-fold.ts";
import type { UnstableOp } from "./unstable-op.ts";
import type { UserEntry } from "./user-entry.ts";

/** What happens once an operation is known to be everywhere. */
export class FoldSettling {
  readonly #fold: SessionFold;
  readonly #writer: ByteWriter = new ByteWriter(16);

  constructor(fold: SessionFold) {
    this.#fold = fold;
  }

  /** The frontier has advanced. */
  advance(frontier: StableFrontier): void {
    const fold = this.#fold;
    const held = fold.heldUnhides;
    if (held.length > 0) {
      fold.heldUnhides = [];
      for (const op of held) this.#settleUnhide(op, frontier);
    }
    const { ids, queues } = fold.logs;
    for (const [number, id] of ids.entries()) {
      const queue = queues[number] as (typeof queues)[number];
      const lsn = frontier.lsnOf(id);
      for (let op = queue.take(lsn); op !== undefined; op = queue.take(lsn))
        if (!op.stable) this.#settle(op, frontier);
    }
  }

  #settle(op: UnstableOp, frontier: StableFrontier): void {
    op.stable = true;
    this.#fold.counts.unstable -= 1;
    op.lane.release(op.seqno);
    op.session.held.remove(op);
    op.session.idle.settle(op.active);
    op.list?.settle(op.effect);
    op.hides?.unstableHides.delete(op);
    if (op.kind === "unhide" || op.kind === "unmute" || op.kind === "unblock")
      this.#settleUnhide(op, frontier);
    else if (op.kind === "purge") this.#fold.purges.settle(op.session.id);
    if (op.lane.unstable === undefined) this.#fold.sessions.rest(op.session);
  }

  /** The removal takes effect; where a member does not know its kind, it waits on. */
  #settleUnhide(op: UnstableOp, frontier: StableFrontier): void {
    const fold = this.#fold;
    const { hides: user, kind } = op;
    if (user === undefined || kind === undefined) return;
    if (frontier.foldVersionMin < foldVersionOf(kind)) {
      fold.heldUnhides.push(op);
      return;
    }
    const before = user.hides.pending.size;
    const settled = user.hides.settle(effectKey(op.key), (kind, item, dot) =>
      this.#forgets(user, kind, item, dot),
    );
    if (settled) fold.counts.unhidesPending -= 1;
    fold.sessions.rest(op.session);
    fold.counts.withheld += user.hides.pending.size - before;
  }

  /**
   * Whether a removed dot can be forgotten. A hide without an operationId is one operation, which its lane knows for
   * ever. One with an operationId may have copies that nobody has seen yet: it is remembered while its session is.
   */
  #forgets(user: UserEntry, kind: HideKind, item: string, dot: string): boolean {
    const session = this.sessionOf(dot);
    session?.removed.push({ user, kind, item, dot });
    return session === undefined;
  }

  /** A dot of a restored user: its session knows which of its effects are hides. */
  noteHide(dot: string): void {
    const index = this.#indexOf(dot);
    const session = index === undefined ? undefined : this.sessionOf(dot);
    if (index !== undefined && session !== undefined) (session.hideEffects ??= []).push(index);
  }

  /** The session of an effect that has an operationId, if it is known. */
  sessionOf(dot: string): UnstableOp["session"] | undefined {
    const fold = this.#fold;
    const index = this.#indexOf(dot);
    if (index === undefined) {
      const cold = fold.cold.homeOf(dot);
      return cold === undefined ? undefined : fold.sessions.get(cold);
    }
    const lane = fold.lanes[fold.effects.positionOf(index).lane];
    return lane === undefined ? undefined : fold.entryOf(lane.session);
  }

  #indexOf(dot: string): number | undefined {
    const writer = this.#writer.reset();
    writeEffectKey(writer, dot);
    const id = writer.view();
    const { effects } = this.#fold;
    const index = effects.find(id.subarray(0, OPERATION_TAG_BYTES), id.subarray(OPERATION_TAG_BYTES));
    return typeof index === "number" ? index : undefined;
  }
}
