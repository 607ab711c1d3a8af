import type { UnstableOp } from "./unstable-op.ts";

/** How many bytes of operations are held for a user's tickets, or for a session whose user is not known yet. */
export class TicketBytes {
  bytes: number = 0;
  /** Operations that did not fit: while there are any, a ticket is not complete. */
  missing: number = 0;

  /** Counts an operation, and drops its bytes if there are too many. */
  add(op: UnstableOp, bytesMax: number): void {
    if (op.bytes === undefined || this.bytes + op.size > bytesMax) {
      op.bytes = undefined;
      this.missing += 1;
    } else {
      this.bytes += op.size;
    }
  }

  remove(op: UnstableOp): void {
    if (op.bytes === undefined) this.missing -= 1;
    else this.bytes -= op.size;
  }
}
