import type { LogId } from "@tidemark/core";
import type { SessionFold } from "./session-fold.ts";
import type { LogPlace, UnstableOp } from "./unstable-op.ts";

/** A user's operations above the stability frontier. */
export interface UnstableOps {
  /** In the order in which they were applied here, one entry an operation; none if not complete. */
  readonly ops: readonly (LogPlace & { readonly bytes: Uint8Array })[];
  /** Whether all of them fitted. */
  readonly complete: boolean;
}

/**
 * Those of all of the user's sessions, purged ones included, and of hides in sessions of others. It costs what is not
 * stable, however many sessions the user has.
 */
export function unstableOpsOf(fold: SessionFold, user: string): UnstableOps {
  const entry = fold.users.get(user);
  if (entry === undefined) return { ops: [], complete: true };
  const { held, unstableHides } = entry;
  if (held.missing > 0) return { ops: [], complete: false };
  if (held.bytes === 0 && unstableHides.size === 0) return { ops: [], complete: true };
  const found = new Set<UnstableOp>(unstableHides);
  for (const op of held.ops) found.add(op);
  const ops: (LogPlace & { bytes: Uint8Array; number: number })[] = [];
  let left = fold.unstableBytesMax;
  for (const { log, lsn, bytes, size } of found) {
    left -= size;
    if (bytes === undefined || left < 0) return { ops: [], complete: false };
    ops.push({ log: fold.logs.ids[log] as LogId, lsn, bytes, number: log });
  }
  ops.sort((a, b) => a.number - b.number || a.lsn - b.lsn);
  return { ops: ops.map(({ log, lsn, bytes }) => ({ log, lsn, bytes })), complete: true };
}
