import type { Hlc, LogId } from "@tidemark/core";
import type { EffectList } from "./effect-list.ts";
import type { LaneState } from "./lane.ts";
import type { OpKind } from "./op-kinds.ts";
import type { SessionEntry } from "./session-entry.ts";
import type { UserEntry } from "./user-entry.ts";

/** An operation that is not known to be applied by every member, and what has to happen once it is. */
export interface UnstableOp {
  readonly session: SessionEntry;
  readonly lane: LaneState;
  readonly seqno: number;
  /** The idempotency key. */
  readonly key: Uint8Array;
  /** `undefined` while this fold keeps it whole. */
  kind: OpKind | undefined;
  /** The number of the log it came in first, and its LSN there. */
  readonly log: number;
  readonly lsn: number;
  /** Bytes of the operation. */
  readonly size: number;
  /** Its stamp, if it shows that somebody was active. */
  active: Hlc | undefined;
  /** The operation, for tickets; dropped when there is more than a ticket carries. */
  bytes: Uint8Array | undefined;
  /** The number of its effect if it had an operationId, else -1: such an effect never moves. */
  readonly effect: number;
  /** Where its effect is ordered by its position. */
  list: EffectList | undefined;
  /** Whose hides it speaks of. */
  hides: UserEntry | undefined;
  /** The pseudonym (hexadecimal) of whose key it is under; `undefined` for none, or one that does not open it. */
  owner?: string | undefined;
  /** It is under a key that was erased: nothing is left of it but its number. */
  erased?: boolean;
  stable: boolean;
  /** Another operation of the same number. */
  twin: UnstableOp | undefined;
}

/** A record in a log. */
export interface LogPlace {
  readonly log: LogId;
  readonly lsn: number;
}

/** What waits in one log for the stability frontier, in the order of the log. */
export class StabilityQueue {
  #lsns: number[] = [];
  #ops: UnstableOp[] = [];
  #head: number = 0;

  /** Adds an operation at an LSN above all before. */
  push(lsn: number, op: UnstableOp): void {
    this.#lsns.push(lsn);
    this.#ops.push(op);
  }

  /** The next operation at or below the frontier, or `undefined`. */
  take(frontierLsn: number): UnstableOp | undefined {
    const lsn = this.#lsns[this.#head];
    if (lsn === undefined || lsn > frontierLsn) return undefined;
    const op = this.#ops[this.#head++] as UnstableOp;
    if (this.#head === this.#ops.length || this.#head === 1024) {
      this.#lsns = this.#lsns.slice(this.#head);
      this.#ops = this.#ops.slice(this.#head);
      this.#head = 0;
    }
    return op;
  }

  /** Everything that waits, in order. */
  *entries(): Iterable<readonly [lsn: number, op: UnstableOp]> {
    for (let at = this.#head; at < this.#ops.length; at++)
      yield [this.#lsns[at] as number, this.#ops[at] as UnstableOp];
  }
}

/** Operations of a session whose keys are held, lane by lane: those that are not stable, and forks of such. */
export function* heldOf(session: SessionEntry): Iterable<UnstableOp> {
  for (const lane of session.lanes) {
    for (const first of lane.unstable?.values() ?? []) {
      for (let op: UnstableOp | undefined = first; op !== undefined; op = op.twin) yield op;
    }
  }
}
