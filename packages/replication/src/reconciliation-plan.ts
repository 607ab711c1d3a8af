import { compareLogIds, type LogId } from "@tidemark/core";
import type { LsnRange, Vector, VectorEntry } from "@tidemark/wal";
import { equalBytes } from "./equal-bytes.ts";

/** What one side of a reconciliation says of itself. */
export interface ReconciliationSide {
  readonly vector: Vector;
  /** The state digest at that vector, if it was computed. */
  readonly digest?: Uint8Array;
}

/** What two sides say about each other. */
export type ReconciliationVerdict =
  /** One vector, and one digest if both gave theirs. */
  | "equal"
  /** The other side has more. */
  | "behind"
  /** This side has more. */
  | "ahead"
  /** Each has what the other lacks. */
  | "apart"
  /** One vector and two digests: one of the states is wrong. */
  | "diverged"
  /** Two histories of one log. */
  | "forked";

/** What has to happen for two sides to be the same. Plain data: the same two sides give the same plan. */
export interface ReconciliationPlan {
  readonly verdict: ReconciliationVerdict;
  /** What this side lacks, a range for each log: fetched by {@link ReconciliationEngine.apply}. */
  readonly missing: readonly LsnRange[];
  /** What the other side lacks: it plans the same and fetches it. */
  readonly lacking: readonly LsnRange[];
  /** Positions of the other side inside logs held here: their digests are compared with what is stored. */
  readonly inside: readonly VectorEntry[];
  /** Logs of which the two sides hold another batch at one LSN. */
  readonly forked: readonly {
    readonly log: LogId;
    readonly lsn: number;
    readonly ours: Uint8Array;
    readonly theirs: Uint8Array;
  }[];
}

/**
 * Decides from two vectors, and from state digests where they are known, what is missing from whom. Its cost grows with the
 * number of logs, what follows from it with the difference; never with the state.
 */
export function planReconciliation(
  local: ReconciliationSide,
  remote: ReconciliationSide,
): ReconciliationPlan {
  const missing: LsnRange[] = [];
  const inside: VectorEntry[] = [];
  const forked: { log: LogId; lsn: number; ours: Uint8Array; theirs: Uint8Array }[] = [];
  for (const entry of remote.vector.entries()) {
    const ours = local.vector.get(entry.log);
    const held = ours?.lsn ?? 0;
    if (entry.lsn > held) missing.push({ log: entry.log, from: held + 1, to: entry.lsn });
    else if (entry.lsn < held) inside.push(entry);
    else if (ours !== undefined && entry.lsn > 0 && !equalBytes(ours.digest, entry.digest))
      forked.push({ log: entry.log, lsn: entry.lsn, ours: ours.digest, theirs: entry.digest });
  }
  const lacking = remote.vector.missing(local.vector).toSorted((a, b) => compareLogIds(a.log, b.log));
  return {
    verdict: verdictOf(local, remote, { missing, lacking, forked }),
    missing,
    lacking,
    inside,
    forked,
  };
}

function verdictOf(
  local: ReconciliationSide,
  remote: ReconciliationSide,
  plan: Pick<ReconciliationPlan, "missing" | "lacking" | "forked">,
): ReconciliationVerdict {
  if (plan.forked.length > 0) return "forked";
  if (plan.missing.length > 0) return plan.lacking.length > 0 ? "apart" : "behind";
  if (plan.lacking.length > 0) return "ahead";
  const known = local.digest !== undefined && remote.digest !== undefined;
  return known && !equalBytes(local.digest, remote.digest) ? "diverged" : "equal";
}
