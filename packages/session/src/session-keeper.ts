import type { RequestOf } from "./op-request.ts";
import { CLOSE_DURATION, CLOSE_IDLE, foldVersionOf } from "./op-kinds.ts";
import type { PolicyBook } from "./policy-book.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import type { SessionPolicyRules } from "./session-policy.ts";

/** Operations that one tick asks for at most. */
export const KEEPER_OPS_MAX = 64;
/** Sessions that one tick looks at, at least; with more than 60 times as many, a sixtieth of all. */
export const KEEPER_VISITS_MIN = 1_024;

/** What a {@link SessionKeeper} needs. */
export interface SessionKeeperOptions {
  readonly fold: SessionFold;
  readonly book: PolicyBook;
  /** This region. */
  readonly self: number;
}

/** What a keeper is told at each tick. */
export interface KeeperTick {
  /** Wall clock, Unix milliseconds. */
  readonly nowMs: number;
  /** The members that write, this region among them. */
  readonly members: Iterable<number>;
  /** The smallest fold version of any member: nothing is written that one of them could not judge. */
  readonly foldVersionMin: number;
}

/** What the owner of a session is to write. */
export interface KeeperOp {
  readonly session: string;
  readonly request: RequestOf<"close"> | RequestOf<"purge">;
}

/**
 * Finds what this region, as the owner of sessions, has to write by their policies: closes for idleness and for
 * duration, and purges once the time to retain them is over. It decides and does not wait: whoever drives it writes what
 * it asks for, and says when that is done.
 *
 * The owner is the region that started the session or, where that is no member, the member with the lowest number. It
 * purges only what is closed and stable throughout, so that no close that might turn out void destroys a session.
 * Each tick looks at a part of the sessions: all have their turn within 60 ticks.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  /** Sessions whose operation is being written. */
  readonly #busy: Set<string> = new Set();
  #turn: Iterator<SessionEntry> | undefined;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** What is to be written now; {@link SessionKeeper.done} is owed for each. */
  due(tick: KeeperTick): KeeperOp[] {
    const { fold, self } = this.#options;
    const ops: KeeperOp[] = [];
    const members = new Set(tick.members);
    if (tick.foldVersionMin < foldVersionOf("purge") || !members.has(self)) return ops;
    const lowest = Math.min(...members);
    let visits = Math.max(KEEPER_VISITS_MIN, Math.ceil(fold.sessions.size / 60));
    this.#turn ??= fold.sessions.governed();
    for (; visits > 0 && this.#busy.size < KEEPER_OPS_MAX; visits--) {
      // What was read back to be looked at need not stay.
      fold.sessions.sweep();
      const next = this.#turn.next();
      if (next.done === true) {
        this.#turn = undefined;
        break;
      }
      const entry = next.value;
      if (this.#busy.has(entry.id) || ownerOf(entry, members, lowest) !== self) continue;
      const request = this.#dueOf(entry, tick.nowMs);
      if (request === undefined) continue;
      this.#busy.add(entry.id);
      ops.push({ session: entry.id, request });
    }
    return ops;
  }

  /** What was asked for was written, or could not be: it is asked for again if it is still due. */
  done({ session }: KeeperOp): void {
    this.#busy.delete(session);
  }

  #dueOf(entry: SessionEntry, nowMs: number): KeeperOp["request"] | undefined {
    const start = entry.start;
    if (start === undefined) return undefined;
    const policy = this.#options.book.of(start.clear);
    if (policy === undefined || policy === "none") return undefined;
    const { rules } = policy;
    if (entry.closes > 0)
      return isSettled(entry) && isOver(rules.retainMs, entry.maxStamp.wallMs, nowMs) ? PURGE : undefined;
    return this.#closeOf(entry, rules, start.position.stamp.wallMs, nowMs);
  }

  #closeOf(
    entry: SessionEntry,
    { durationMs, idleMs }: SessionPolicyRules,
    startedAtMs: number,
    nowMs: number,
  ): KeeperOp["request"] | undefined {
    if (isOver(durationMs, startedAtMs, nowMs)) return { kind: "close", reason: CLOSE_DURATION };
    const { maxStamp } = entry;
    return isOver(idleMs, maxStamp.wallMs, nowMs)
      ? { kind: "close", reason: CLOSE_IDLE, latest: maxStamp }
      : undefined;
  }
}

const PURGE: KeeperOp["request"] = { kind: "purge" };

/** Which member writes for a session what its policy asks for. */
function ownerOf(entry: SessionEntry, members: ReadonlySet<number>, lowest: number): number {
  const lane = entry.start?.position.lane.lane;
  return lane !== undefined && !("producer" in lane) && members.has(lane.region) ? lane.region : lowest;
}

/** Whether every member has all of a session: nothing can come that makes its close void. */
function isSettled(entry: SessionEntry): boolean {
  return entry.lanes.every((lane) => lane.unstable === undefined);
}

function isOver(ms: number | undefined, sinceMs: number, nowMs: number): boolean {
  return ms !== undefined && nowMs - sinceMs >= ms;
}
