import {
  ByteWriter,
  compareBytes,
  compareHlc,
  type HideKind,
  type Hlc,
  laterHlc,
  stepHlc,
  writeEffectKey,
} from "@tidemark/core";
import { SessionError } from "./errors.ts";
import { formatLane, type RegionLane } from "./lane-id.ts";
import { contentOf } from "./op-content.ts";
import type { OpDraft } from "./op-draft.ts";
import { HIDE_OF } from "./op-kinds.ts";
import type { EraseClear, Op } from "./op.ts";
import type { QueuedOps } from "./queued-ops.ts";
import type { SessionFold } from "./session-fold.ts";
import type { UserSeals } from "./user-seal.ts";

/** Puts accepted operations in their place as their batch is formed: behind what is folded and what is in a batch before. */
export class OpPlacing {
  readonly #fold: SessionFold;
  readonly #queued: QueuedOps<unknown>;
  readonly #writer: ByteWriter = new ByteWriter(64);

  constructor(fold: SessionFold, queued: QueuedOps<unknown>) {
    this.#fold = fold;
    this.#queued = queued;
  }

  /** Gives a draft its number, its stamp and, if it lifts a hide, the dots it has seen. */
  place(draft: OpDraft, lane: RegionLane, tick: Hlc): Op {
    const { session, request, operation, fork, user = "" } = draft;
    if (request === undefined) throw new TypeError("A client's own operation is not numbered here");
    // What was accepted before the purge was known is judged again: nothing is written behind one.
    if (this.#fold.purged(session) || this.#queued.purging(session))
      throw new SessionError("SESSION_PURGED", `Cannot write in session ${session}: it was purged meanwhile`);
    let above = laterHlc(this.#fold.maxStamp(session), this.#queued.stamp(session));
    let dots: Uint8Array[] = [];
    if (fork !== undefined) above = laterHlc(above, fork.stamp);
    if (request.kind === "unhide" || request.kind === "unmute" || request.kind === "unblock") {
      const queued = [...this.#queued.hides(user, HIDE_OF[request.kind], request.item)];
      dots = this.#observed(user, HIDE_OF[request.kind], request.item, queued);
      above = laterHlc(above, this.#fold.users.get(user)?.hideStamp ?? above);
      for (const hide of queued) above = laterHlc(above, hide.op?.stamp ?? above);
    }
    const stamp = compareHlc(tick, above) > 0 ? tick : stepHlc(above, tick.clockId);
    const seqno = this.#queued.nextSeqno(session, lane) ?? this.#highest(session, lane) + 1;
    // One shape for all of them, because every later step reads these fields.
    const { kind, clear, sealed } = contentOf(
      request,
      request.kind === "erase"
        ? { user, dots, schema: undefined, erase: this.#erased(user) }
        : fork === undefined
          ? { user, dots, schema: this.#fold.schema?.digest }
          : { user, dots, schema: undefined, fork },
    );
    const userKey = draft.seal?.generation ?? 0;
    const op = { session, lane, seqno, stamp, userKey, operation, kind, clear, sealed };
    return op as Op;
  }

  /** The keys of a user that exist now. */
  #erased(user: string): EraseClear {
    const seals = this.#fold.seals as UserSeals;
    const pseudonym = seals.pseudonymOf(user);
    return { pseudonym, upTo: seals.keys.generationOf(pseudonym) };
  }

  /** What an unhide has seen: the live dots folded, and those of hides in a batch before it. */
  #observed(user: string, kind: HideKind, item: string, queued: readonly OpDraft[]): Uint8Array[] {
    const writer = this.#writer;
    const dots = this.#fold.dotsOf(user, kind, item).map((dot) => {
      writeEffectKey(writer.reset(), dot);
      return writer.take();
    });
    for (const hide of queued) dots.push(hide.effectBytes);
    dots.sort(compareBytes);
    return dots.filter((dot, at) => at === 0 || compareBytes(dots[at - 1] as Uint8Array, dot) !== 0);
  }

  /** Folding has hashed the operation already: nobody else can have written this number of an own lane. */
  foldedKey({ session, lane, seqno }: Op): Uint8Array | undefined {
    const text = formatLane(lane);
    const state = this.#fold.entryOf(session)?.lanes.find((one) => one.text === text);
    return state?.unstable?.get(seqno)?.key;
  }

  #highest(session: string, lane: RegionLane): number {
    const text = formatLane(lane);
    return this.#fold.entryOf(session)?.lanes.find((state) => state.text === text)?.highest ?? 0;
  }
}
