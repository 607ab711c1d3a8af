import type { UnstableOp } from "./unstable-op.ts";

const NOTHING: ReadonlySet<UnstableOp> = new Set();

/** The operations held for a user's tickets, or for a session whose user is not known yet, and their bytes. */
export class TicketBytes {
  bytes: number = 0;
  /** Operations that did not fit: while there are any, a ticket is not complete. */
  missing: number = 0;
  #ops: Set<UnstableOp> | undefined;

  /** Those that are not stable, in the order in which they were held. */
  get ops(): ReadonlySet<UnstableOp> {
    return this.#ops ?? NOTHING;
  }

  /** Holds an operation, and drops its bytes if there are too many. */
  add(op: UnstableOp, bytesMax: number): void {
    if (op.erased === true) return;
    (this.#ops ??= new Set()).add(op);
    if (op.bytes === undefined || this.bytes + op.size > bytesMax) {
      op.bytes = undefined;
      this.missing += 1;
    } else {
      this.bytes += op.size;
    }
  }

  remove(op: UnstableOp): void {
    if (op.erased === true) return;
    this.#ops?.delete(op);
    if (this.#ops?.size === 0) this.#ops = undefined;
    if (op.bytes === undefined) this.missing -= 1;
    else this.bytes -= op.size;
  }
}
