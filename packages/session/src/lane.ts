import type { Lane } from "./lane-id.ts";
import type { UnstableOp } from "./unstable-op.ts";

/** Numbers above the high-water mark that are known, both ends included. */
export interface LaneRange {
  from: number;
  to: number;
}

/** How much of one writer's operations is applied. */
export interface LaneProgress {
  /** The highest number below which none is missing. */
  readonly upTo: number;
  /** How many there are, those beyond a missing one too. */
  readonly count: number;
}

/** What a lane makes of a number and key. */
export type LanePlace = "new" | "known" | "fork";

/**
 * One lane of one session: which numbers are known. The high-water mark is the highest contiguous one; what arrived
 * ahead of it is a range until the hole fills. Keys are kept while their operations are not stable: after that, no
 * other operation of the same number can arrive for the first time.
 */
export class LaneState {
  readonly lane: Lane;
  /** {@link formatLane}: orders lanes. */
  readonly text: string;
  /** The lane's bytes in an operation. */
  readonly bytes: Uint8Array;
  /** The fold's number of this lane. */
  readonly index: number;
  /** The session, for whoever holds only the lane. */
  readonly session: string;
  hwm: number = 0;
  /** Ascending, neither touching each other nor the high-water mark. */
  ahead: LaneRange[] | undefined;
  /** Number to its operation while that is not stable; forks follow as `twin`, stable ones with them. */
  unstable: Map<number, UnstableOp> | undefined;

  constructor(lane: Lane, text: string, bytes: Uint8Array, index: number, session: string) {
    this.lane = lane;
    this.text = text;
    this.bytes = bytes;
    this.index = index;
    this.session = session;
  }

  /** The highest number known, holes below it or not. */
  get highest(): number {
    return this.ahead?.at(-1)?.to ?? this.hwm;
  }

  /** How many numbers are known. */
  get size(): number {
    return (this.ahead ?? []).reduce((count, { from, to }) => count + to - from + 1, this.hwm);
  }

  /** Whether an operation of this number is known. */
  has(seqno: number): boolean {
    return (
      seqno <= this.hwm || (this.ahead?.some((range) => seqno >= range.from && seqno <= range.to) ?? false)
    );
  }

  /** Whether a number is new here, known with this key (or stable, which no other key can follow), or forked. */
  judge(seqno: number, key: Uint8Array): LanePlace {
    if (!this.has(seqno)) return "new";
    if (this.unstable?.get(seqno) === undefined) return "known";
    return this.find(seqno, key) === undefined ? "fork" : "known";
  }

  /** The operation of a number and key, if it is held. */
  find(seqno: number, key: Uint8Array): UnstableOp | undefined {
    let op = this.unstable?.get(seqno);
    while (op !== undefined && !sameBytes(op.key, key)) op = op.twin;
    return op;
  }

  /** Takes in a number; a known one changes nothing. */
  add(seqno: number): void {
    if (seqno === this.hwm + 1 && this.ahead === undefined) {
      this.hwm = seqno;
      return;
    }
    if (this.has(seqno)) return;
    const ranges = (this.ahead ??= []);
    let at = ranges.length;
    while (at > 0 && (ranges[at - 1] as LaneRange).from > seqno) at -= 1;
    const below = ranges[at - 1];
    const above = ranges[at];
    if (below !== undefined && below.to === seqno - 1) {
      below.to = seqno;
      if (above !== undefined && above.from === seqno + 1) {
        below.to = above.to;
        ranges.splice(at, 1);
      }
    } else if (above !== undefined && above.from === seqno + 1) {
      above.from = seqno;
    } else {
      ranges.splice(at, 0, { from: seqno, to: seqno });
    }
    const first = ranges[0] as LaneRange;
    if (first.from !== this.hwm + 1) return;
    this.hwm = first.to;
    ranges.shift();
    if (ranges.length === 0) this.ahead = undefined;
  }

  /** Keeps an operation's key until it is stable. */
  hold(op: UnstableOp): void {
    const unstable = (this.unstable ??= new Map());
    op.twin = unstable.get(op.seqno);
    unstable.set(op.seqno, op);
  }

  /** Lets go of a number all of whose operations are stable: until then a copy of one must not pass for a fork. */
  release(seqno: number): void {
    const { unstable } = this;
    for (let op = unstable?.get(seqno); op !== undefined; op = op.twin) if (!op.stable) return;
    unstable?.delete(seqno);
    if (unstable?.size === 0) this.unstable = undefined;
  }
}

/** Whether two keys are the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return a.length === b.length;
}
