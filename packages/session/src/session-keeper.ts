import type { RequestOf } from "./op-request.ts";
import { CLOSE_DURATION, CLOSE_IDLE, foldVersionOf } from "./op-kinds.ts";
import type { PolicyBook } from "./policy-book.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { SessionFold } from "./session-fold.ts";
import { POLICY_MS_MAX, type SessionPolicyRules } from "./session-policy.ts";

/** Operations that one tick asks for at most. */
export const KEEPER_OPS_MAX = 64;
/** Sessions that one tick looks at, at least; with more than 60 times as many, a sixtieth of all. */
export const KEEPER_VISITS_MIN = 1_024;
/** Cold sessions that one tick reads back at most. */
export const KEEPER_COLD_READS_MAX = 256;
/** How soon a cold session that is due, and for which nothing was written, is looked at again. */
const COLD_PAUSE_MS = 60_000;
const REGIONS = 0x1_0000;
const NO_REGION = 0xffff;

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
  /** Cold sessions that will be due: the second, times 65,536, and the region that started it. */
  readonly #cold: Map<string, number> = new Map();
  #turn: Iterator<SessionEntry> | undefined;
  #coldTurn: Iterator<[string, number]> | undefined;
  #nowMs: number = 0;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    options.fold.coldWatch = {
      evicted: (session) => this.#noteCold(session),
      returned: (id) => void this.#cold.delete(id),
      cleared: () => this.#cold.clear(),
    };
  }

  /** What is to be written now; {@link SessionKeeper.done} is owed for each. */
  due(tick: KeeperTick): KeeperOp[] {
    const { fold, self } = this.#options;
    const members = new Set(tick.members);
    this.#nowMs = tick.nowMs;
    if (tick.foldVersionMin < foldVersionOf("purge") || !members.has(self)) return [];
    const lowest = Math.min(...members);
    const owns = (region: number): boolean => (members.has(region) ? region : lowest) === self;
    const ops: KeeperOp[] = [];
    const visits = Math.max(KEEPER_VISITS_MIN, Math.ceil(fold.sessions.size / 60));
    for (const session of this.#wanted(visits, owns)) {
      const request = this.#requestFor(session, tick.nowMs);
      if (request === undefined) continue;
      this.#busy.add(session.id);
      ops.push({ session: session.id, request });
      if (this.#busy.size >= KEEPER_OPS_MAX) break;
    }
    return ops;
  }

  /** What was asked for was written, or could not be: it is asked for again if it is still due. */
  done({ session }: KeeperOp): void {
    this.#busy.delete(session);
  }

  /** Sessions of this region to look at in this tick: those in memory, then cold ones that may be due. */
  *#wanted(visits: number, owns: (region: number) => boolean): Iterable<SessionEntry> {
    if (this.#busy.size >= KEEPER_OPS_MAX) return;
    const { sessions } = this.#options.fold;
    this.#turn ??= sessions.inMemory();
    for (let left = visits; left > 0; left--) {
      const { value: session, done } = this.#turn.next();
      if (done === true) {
        this.#turn = undefined;
        break;
      }
      if (!this.#busy.has(session.id) && owns(starterOf(session))) yield session;
    }
    this.#coldTurn ??= this.#cold.entries();
    let reads = KEEPER_COLD_READS_MAX;
    for (let left = visits; left > 0 && reads > 0; left--) {
      const { value, done } = this.#coldTurn.next();
      if (done === true) {
        this.#coldTurn = undefined;
        return;
      }
      const [id, held] = value;
      if (Math.floor(held / REGIONS) * 1000 > this.#nowMs || !owns(held % REGIONS)) continue;
      reads -= 1;
      const session = sessions.get(id);
      if (session !== undefined && !this.#busy.has(id)) yield session;
    }
  }

  #noteCold(session: SessionEntry): void {
    const dueMs = this.#dueMs(session);
    if (dueMs === undefined) return;
    // One that is due already and lies still: another look in a minute is soon enough.
    const atMs = dueMs > this.#nowMs ? dueMs : this.#nowMs + COLD_PAUSE_MS;
    this.#cold.set(session.id, Math.ceil(atMs / 1000) * REGIONS + starterOf(session));
  }

  /** When a session may have to be closed or purged, if nothing happens in it. */
  #dueMs(session: SessionEntry): number | undefined {
    const rules = this.#rulesOf(session);
    if (rules === undefined) return undefined;
    const { idleMs = POLICY_MS_MAX, durationMs = POLICY_MS_MAX, retainMs = POLICY_MS_MAX } = rules;
    const lastMs = session.maxStamp.wallMs;
    if (session.closes > 0) return rules.retainMs === undefined ? undefined : lastMs + retainMs;
    if (rules.idleMs === undefined && rules.durationMs === undefined) return undefined;
    return Math.min(lastMs + idleMs, (session.start?.position.stamp.wallMs ?? 0) + durationMs);
  }

  #rulesOf({ start }: SessionEntry): SessionPolicyRules | undefined {
    const policy = start === undefined ? "none" : this.#options.book.of(start.clear);
    return policy === undefined || policy === "none" ? undefined : policy.rules;
  }

  #requestFor(entry: SessionEntry, nowMs: number): KeeperOp["request"] | undefined {
    const { start } = entry;
    const rules = this.#rulesOf(entry);
    if (start === undefined || rules === undefined) return undefined;
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

/** The region that started a session; of one that a client started there is none. */
function starterOf({ start }: SessionEntry): number {
  const lane = start?.position.lane.lane;
  return lane === undefined || "producer" in lane ? NO_REGION : lane.region;
}

/** Whether every member has all of a session: nothing can come that makes its close void. */
function isSettled(entry: SessionEntry): boolean {
  return entry.lanes.every((lane) => lane.unstable === undefined);
}

function isOver(ms: number | undefined, sinceMs: number, nowMs: number): boolean {
  return ms !== undefined && nowMs - sinceMs >= ms;
}
