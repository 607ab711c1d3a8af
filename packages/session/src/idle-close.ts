import { compareHlc, HLC_ZERO, type Hlc, laterHlc } from "@tidemark/core";
import type { OpView } from "./op-view.ts";
import { OP_KIND_CODE } from "./op-kinds.ts";

/** A close for idleness that holds so far. */
export interface IdleClose {
  /** The idempotency key of the close. */
  readonly key: Uint8Array;
  readonly stamp: Hlc;
  /** The latest stamp its writer had folded. */
  readonly latest: Hlc;
}

/** The stamp of an operation that shows that somebody was active; `undefined` of a close or a purge. */
export function activityOf(op: OpView): Hlc | undefined {
  return op.kindCode === OP_KIND_CODE.close || op.kindCode === OP_KIND_CODE.purge ? undefined : op.stamp;
}

/** Whether activity at a stamp makes an idle close void: its writer had not seen it. */
export function voids(
  active: Hlc | undefined,
  { latest, stamp }: Pick<IdleClose, "latest" | "stamp">,
): boolean {
  return active !== undefined && compareHlc(latest, active) < 0 && compareHlc(active, stamp) < 0;
}

/**
 * The idle closes of one session that are in force: each can still become void.
 *
 * A close is judged by the set of operations: whether one is stamped between what its writer had seen and the close.
 * Of stable operations only the latest stamp is needed: whoever writes a close has applied every operation that is
 * stable anywhere, and stamps the close above it.
 */
export class IdleCloses {
  /** In force. */
  readonly open: IdleClose[] = [];
  /** The latest stamp of stable activity. */
  stableStamp: Hlc = HLC_ZERO;

  /** Takes in a close; returns whether it is in force. @param active - Stamps of activity that is not stable. */
  add(close: IdleClose, active: Iterable<Hlc | undefined>): boolean {
    if (voids(this.stableStamp, close)) return false;
    for (const stamp of active) if (voids(stamp, close)) return false;
    this.open.push(close);
    return true;
  }

  /** Somebody was active; returns how many closes that makes void. */
  note(active: Hlc): number {
    const { open } = this;
    let count = 0;
    for (let at = open.length - 1; at >= 0; at--) {
      if (!voids(active, open[at] as IdleClose)) continue;
      open.splice(at, 1);
      count += 1;
    }
    return count;
  }

  /** Activity is stable: only the latest of it is remembered. */
  settle(active: Hlc | undefined): void {
    if (active !== undefined) this.stableStamp = laterHlc(this.stableStamp, active);
  }
}
