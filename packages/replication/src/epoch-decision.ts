import type { LogId, RegionId } from "@tidemark/core";
import type { LogPosition } from "@tidemark/wal";

/** The newest own log of a channel, as it was found on disk. */
export interface OwnCandidate {
  readonly id: LogId;
  readonly durable: LogPosition;
  /** Whether recovery found nothing wrong with it. */
  readonly resumable: boolean;
}

/** What is known when the first write arrives. */
export interface EpochEvidence {
  readonly candidate: OwnCandidate | undefined;
  /** All members but this one. */
  readonly others: readonly RegionId[];
  /** Those that said in this run what they hold of the candidate, and it was no more than we do. */
  readonly confirmedBy: ReadonlySet<RegionId>;
  /** Whether a peer holds more of the candidate, or another digest. */
  readonly contradicted: boolean;
  /** The highest epoch of this region that anybody knows. */
  readonly highestEpoch: number;
  readonly wallMs: number;
}

/** Go on writing the log of the last run, or begin a new one. */
export type EpochDecision = { readonly kind: "resume" } | { readonly kind: "open"; readonly epoch: number };

/**
 * Decides how a region goes on after a restart so that no LSN is ever issued twice.
 *
 * A log is resumed only when every other member has said what it holds of it and nobody knows more than we
 * do. In every doubt a new epoch is opened, which is always safe.
 */
export function decideEpoch(evidence: EpochEvidence): EpochDecision {
  const { candidate, others, confirmedBy, contradicted, highestEpoch, wallMs } = evidence;
  if (
    candidate !== undefined &&
    candidate.resumable &&
    !contradicted &&
    candidate.durable.lsn > 0 &&
    others.every((region) => confirmedBy.has(region))
  ) {
    return { kind: "resume" };
  }
  const wallSeconds = Math.max(0, Math.floor(wallMs / 1_000));
  return { kind: "open", epoch: Math.max(highestEpoch + 1, Math.min(wallSeconds, 0xffff_ffff)) };
}
