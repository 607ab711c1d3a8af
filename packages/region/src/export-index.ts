import { compareBytes, CoreError, type HideKind, type LogId } from "@tidemark/core";
import { decodeOp, EffectIds, HIDE_OF, OP_KIND_CODE, type OpView, type UnhideKind } from "@tidemark/session";
import { RECORD_SESSION_OP } from "@tidemark/session-bridge";
import { readSignalRecord, RECORD_SIGNAL, type SignalRecord } from "@tidemark/signals";
import { forEachRecord, type WalBatch } from "@tidemark/wal";
import { OnceFilter } from "./export-effects.ts";
import type { HideRow } from "./export-row.ts";
import { toHex } from "./hex.ts";

/** The times an export covers, Unix milliseconds. */
export interface ExportRange {
  /** Included. */
  readonly sinceMs: number;
  /** Not included. */
  readonly untilMs: number;
}

/** What an {@link ExportIndex} works with. */
export interface ExportIndexOptions {
  readonly range: ExportRange;
  readonly ids: EffectIds;
  /** Opens an operation under a user's key; false: it cannot be read. */
  readonly unseal: (op: OpView) => boolean;
  readonly once: OnceFilter;
}

/** The start that counts of those of one session. */
interface StartOf {
  readonly user: string | undefined;
  /** Stamp, then lane, number and key: what orders starts. */
  readonly stamp: Uint8Array;
  readonly lane: string;
  readonly seqno: number;
}

/** What a first pass over all logs has to know for the second: whose each session is, what is hidden, what comes twice. */
export class ExportIndex {
  /** Sessions that were purged. */
  readonly purged: Set<string> = new Set();
  unreadable: number = 0;
  malformed: number = 0;
  readonly #options: ExportIndexOptions;
  readonly #starts: Map<string, StartOf> = new Map();
  readonly #users: Map<string, string> = new Map();
  /** By effect. */
  readonly #hides: Map<string, HideRow> = new Map();
  readonly #lifted: Set<string> = new Set();

  constructor(options: ExportIndexOptions) {
    this.#options = options;
  }

  /** Takes in a batch. */
  add(batch: WalBatch): void {
    forEachRecord(batch, (type, bytes, start, end) => {
      if (type === RECORD_SESSION_OP) {
        const op = openOp(bytes.subarray(start, end));
        if (op === undefined) this.malformed += 1;
        else this.#op(op, batch.log);
      } else if (type === RECORD_SIGNAL) {
        const record = openSignal(bytes, start, end);
        if (record === undefined) this.malformed += 1;
        else if (record.effectId !== undefined && this.covers(record.eventTimeMs))
          this.#options.once.note(record.effectId, 0);
      }
    });
  }

  /** Whether a time is in the range. */
  covers(timeMs: number): boolean {
    const { sinceMs, untilMs } = this.#options.range;
    return timeMs >= sinceMs && timeMs < untilMs;
  }

  /** Whose session it is; `undefined` where no start that can be read is in these logs. */
  userOf(session: string): string | undefined {
    return this.#starts.get(session)?.user;
  }

  /** Whether a start of the session is here, readable or not. */
  knows(session: string): boolean {
    return this.#starts.has(session);
  }

  /** Hides of the end that nothing has lifted, by time, user, kind and item. */
  hides(): HideRow[] {
    const rows: HideRow[] = [];
    for (const [effect, row] of this.#hides) if (!this.#lifted.has(hideKey(effect, row))) rows.push(row);
    return rows.sort(
      (a, b) =>
        a.timeMs - b.timeMs || order(a.user, b.user) || order(a.kind, b.kind) || order(a.item, b.item),
    );
  }

  #op(op: OpView, log: LogId): void {
    const { kindCode } = op;
    if (kindCode === OP_KIND_CODE.signal) {
      this.#signal(op, log);
      return;
    }
    if (kindCode === OP_KIND_CODE.purge) {
      this.purged.add(op.session);
      return;
    }
    const isStart =
      kindCode === OP_KIND_CODE.start || kindCode === OP_KIND_CODE.fork || kindCode === OP_KIND_CODE.merge;
    const { kind } = op;
    const hides = kind === "hide" || kind === "mute" || kind === "block";
    const lifts = kind === "unhide" || kind === "unmute" || kind === "unblock";
    if (!isStart && !hides && !lifts) return;
    if (!this.#readable(op)) {
      this.unreadable += 1;
      if (isStart) this.#start(op, undefined);
      return;
    }
    if (isStart) this.#start(op, (op.sealed as { readonly user: string }).user);
    else if (op.stamp.wallMs < this.#options.range.untilMs) {
      if (hides) this.#hide(op, kind);
      else if (lifts) this.#lift(op, kind);
    }
  }

  #readable(op: OpView): boolean {
    try {
      if (op.userKey !== 0 && !this.#options.unseal(op)) return false;
      op.verify();
      return true;
    } catch (error) {
      if (error instanceof CoreError) return false;
      throw error;
    }
  }

  #start(op: OpView, name: string | undefined): void {
    const { session, stampBytes, laneText, seqno } = op;
    const known = this.#starts.get(session);
    // One that cannot be read does not count beside one that can: the fold takes the first it can read.
    if (known?.user !== undefined && (name === undefined || !isBefore(op, known))) return;
    let user = name === undefined ? undefined : this.#users.get(name);
    if (name !== undefined && user === undefined) this.#users.set(name, (user = name));
    this.#starts.set(session, { user, stamp: stampBytes.slice(), lane: laneText, seqno });
  }

  #hide(op: OpView, kind: HideKind): void {
    const { user, item } = op.sealed as { readonly user: string; readonly item: string };
    const effect = toHex(op.operationBytes ?? this.#options.ids.keyOf(op));
    const timeMs = op.stamp.wallMs;
    const known = this.#hides.get(effect);
    if (known === undefined || timeMs < known.timeMs) this.#hides.set(effect, { kind, user, item, timeMs });
  }

  #lift(op: OpView, kind: UnhideKind): void {
    const { user, item } = op.sealed as { readonly user: string; readonly item: string };
    for (const dot of (op.clear as { readonly dots: readonly Uint8Array[] }).dots)
      this.#lifted.add(hideKey(toHex(dot), { kind: HIDE_OF[kind], user, item }));
  }

  #signal(op: OpView, log: LogId): void {
    const timeMs = eventTimeOf(op);
    if (timeMs === undefined || !this.covers(timeMs)) return;
    const { once, ids } = this.#options;
    if (op.hasOperation) once.note(op.bytes, op.operationAt);
    // In the log it was written to, an operation without a name is there once; its copies are in others.
    else if (!isAtHome(op, log)) once.noteRelayed(ids.keyOf(op), op.stamp.wallMs);
  }
}

/** A removal lifts the hides it names of its own user, kind and item. */
function hideKey(effect: string, { kind, user, item }: Omit<HideRow, "timeMs">): string {
  return JSON.stringify([effect, kind, user, item]);
}

/** Whether a log is the one that an operation was accepted in. */
function isAtHome(op: OpView, log: LogId): boolean {
  const { lane } = op;
  return !("producer" in lane) && lane.region === log.region && lane.epoch === log.epoch;
}

function isBefore(op: OpView, known: StartOf): boolean {
  const stamps = compareBytes(op.stampBytes, known.stamp);
  return (stamps || order(op.laneText, known.lane) || op.seqno - known.seqno) < 0;
}

function order(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** An operation, or `undefined` for what is none. */
export function openOp(bytes: Uint8Array): OpView | undefined {
  return attempt(() => decodeOp(bytes));
}

/** A signal without a session, or `undefined` for what is none. */
export function openSignal(bytes: Uint8Array, start: number, end: number): SignalRecord | undefined {
  return attempt(() => readSignalRecord(bytes, start, end));
}

function eventTimeOf(op: OpView): number | undefined {
  return attempt(() => (op.clear as { readonly eventTimeMs: number }).eventTimeMs);
}

function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
