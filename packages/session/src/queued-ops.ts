import { type HideKind, HLC_ZERO, type Hlc, laterHlc } from "@tidemark/core";
import { formatLane, type RegionLane } from "./lane-id.ts";
import type { OpDraft } from "./op-draft.ts";
import { beginsSession } from "./op-kinds.ts";

/** The drafts of one session that are in a batch. */
interface Placed {
  readonly lane: string;
  next: number;
  count: number;
  stamp: Hlc;
}

/**
 * What was accepted and is not folded yet. Admission sees it, so that a duplicate of a queued operation shares its
 * outcome and nothing is accepted behind a queued close.
 */
export class QueuedOps<Outcome> {
  readonly #operations: Map<string, OpDraft<Outcome>> = new Map();
  readonly #sealed: Map<string, OpDraft<Outcome>> = new Map();
  readonly #starts: Map<string, OpDraft<Outcome>> = new Map();
  readonly #closes: Map<string, OpDraft<Outcome>> = new Map();
  readonly #purges: Map<string, OpDraft<Outcome>> = new Map();
  readonly #hides: Map<string, Set<OpDraft>> = new Map();
  readonly #placed: Map<string, Placed> = new Map();
  /** How many of a session are accepted and not settled: kept where a policy may count them. */
  readonly #pending: Map<string, number> | undefined;
  /** Sessions with a close or purge that is about to be folded: nothing more is accepted. */
  readonly #ending: Map<string, "close" | "purge"> = new Map();
  /** Who waits until nothing of a session is being written. */
  readonly #waiting: Map<string, (() => void)[]> = new Map();

  /** @param counting - Whether {@link QueuedOps.waiting} is asked for. */
  constructor(counting: boolean = false) {
    this.#pending = counting ? new Map() : undefined;
  }

  /** Whether anything is being written. */
  get writing(): boolean {
    return this.#placed.size > 0;
  }

  /** Resolves once what is being written of a session is settled; `undefined` if nothing is. */
  settled(session: string): Promise<void> | undefined {
    if (!this.#placed.has(session)) return undefined;
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(session);
      if (waiting === undefined) this.#waiting.set(session, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** A close or purge is about to be folded. */
  end(session: string, kind: "close" | "purge"): void {
    if (this.#ending.get(session) !== "purge") this.#ending.set(session, kind);
  }

  /** It is folded; without a session, none will be. */
  ended(session?: string): void {
    if (session === undefined) this.#ending.clear();
    else this.#ending.delete(session);
  }

  /** Drafts of a session that are accepted and not folded. @param highest - The highest number folded of a lane. */
  waiting(session: string, highest: (lane: string) => number): number {
    const pending = this.#pending?.get(session) ?? 0;
    const placed = this.#placed.get(session);
    if (placed === undefined) return pending;
    const folded = highest(placed.lane) - (placed.next - placed.count - 1);
    return pending - Math.min(Math.max(folded, 0), placed.count);
  }

  /** The queued draft of an operationId. */
  operation(tag: Uint8Array): OpDraft<Outcome> | undefined {
    return this.#operations.get(tagKey(tag));
  }

  /** The queued draft of a client's number. */
  sealed(place: string): OpDraft<Outcome> | undefined {
    return this.#sealed.get(place);
  }

  start(session: string): OpDraft<Outcome> | undefined {
    return this.#starts.get(session);
  }

  closes(session: string): boolean {
    return this.#closes.has(session) || this.#ending.has(session);
  }

  purges(session: string): boolean {
    return this.#purges.has(session) || this.#ending.get(session) === "purge";
  }

  /** Whether a purge is in a batch: nothing may be written behind it. */
  purging(session: string): boolean {
    return this.#purges.get(session)?.op !== undefined;
  }

  /** Hides of an item that are in a batch: an unhide behind them has seen them. */
  hides(user: string, kind: HideKind, item: string): Iterable<OpDraft> {
    return this.#hides.get(hideKey(user, kind, item)) ?? [];
  }

  /** The number that follows those in batches, if there are any. */
  nextSeqno(session: string, lane: RegionLane): number | undefined {
    const placed = this.#placed.get(session);
    return placed?.lane === formatLane(lane) ? placed.next : undefined;
  }

  /** The latest stamp in batches. */
  stamp(session: string): Hlc {
    return this.#placed.get(session)?.stamp ?? HLC_ZERO;
  }

  add(draft: OpDraft<Outcome>, kind: string, place?: string): void {
    if (draft.operation !== undefined) this.#operations.set(tagKey(draft.operation.tag), draft);
    if (place !== undefined) this.#sealed.set(place, draft);
    if (beginsSession(kind)) this.#starts.set(draft.session, draft);
    if (kind === "close") this.#closes.set(draft.session, draft);
    if (kind === "purge") this.#purges.set(draft.session, draft);
    if (this.#pending !== undefined)
      this.#pending.set(draft.session, (this.#pending.get(draft.session) ?? 0) + 1);
  }

  /** A draft was encoded. */
  place(draft: OpDraft): void {
    const { op, session } = draft;
    if (op === undefined || "producer" in op.lane) return;
    const lane = formatLane(op.lane);
    const placed = this.#placed.get(session);
    if (placed?.lane === lane) {
      placed.next = op.seqno + 1;
      placed.count += 1;
      placed.stamp = laterHlc(placed.stamp, op.stamp);
    } else {
      this.#placed.set(session, {
        lane,
        next: op.seqno + 1,
        count: 1,
        stamp: laterHlc(placed?.stamp ?? HLC_ZERO, op.stamp),
      });
    }
    if (op.kind !== "hide" && op.kind !== "mute" && op.kind !== "block") return;
    const key = hideKey(op.sealed.user, op.kind, op.sealed.item);
    const hides = this.#hides.get(key);
    if (hides === undefined) this.#hides.set(key, new Set([draft]));
    else hides.add(draft);
  }

  #idle(session: string): void {
    this.#placed.delete(session);
    const waiting = this.#waiting.get(session);
    if (waiting === undefined) return;
    this.#waiting.delete(session);
    for (const resolve of waiting) resolve();
  }

  /** A draft is folded, or has failed. */
  remove(draft: OpDraft, ok: boolean, kind: string, place?: string): void {
    const { op, session, operation } = draft;
    if (operation !== undefined) drop(this.#operations, tagKey(operation.tag), draft);
    if (place !== undefined) drop(this.#sealed, place, draft);
    if (beginsSession(kind)) drop(this.#starts, session, draft);
    if (kind === "close") drop(this.#closes, session, draft);
    if (kind === "purge") drop(this.#purges, session, draft);
    if (this.#pending !== undefined) {
      const left = (this.#pending.get(session) ?? 1) - 1;
      if (left === 0) this.#pending.delete(session);
      else this.#pending.set(session, left);
    }
    if (op === undefined || "producer" in op.lane) return;
    const placed = this.#placed.get(session);
    if (placed?.lane === formatLane(op.lane)) {
      placed.count -= 1;
      if (!ok) placed.next = Math.min(placed.next, op.seqno);
      if (placed.count === 0) this.#idle(session);
    }
    if (op.kind !== "hide" && op.kind !== "mute" && op.kind !== "block") return;
    const key = hideKey(op.sealed.user, op.kind, op.sealed.item);
    const hides = this.#hides.get(key);
    hides?.delete(draft);
    if (hides?.size === 0) this.#hides.delete(key);
  }
}

/** The 8 bytes of a tag as 8 characters: one small string, where hexadecimal digits would be built up in pieces. */
function tagKey(tag: Uint8Array): string {
  const at = (index: number): number => tag[index] as number;
  return String.fromCharCode(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
}

function drop(drafts: Map<string, OpDraft>, key: string, draft: OpDraft): void {
  if (drafts.get(key) === draft) drafts.delete(key);
}

/** A name holds any character, a kind does not: the length keeps user and item apart. */
function hideKey(user: string, kind: HideKind, item: string): string {
  return `${kind} ${user.length} ${user}${item}`;
}
