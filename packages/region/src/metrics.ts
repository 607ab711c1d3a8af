import type { ReplicationMetrics } from "@tidemark/replication";
import type { RegionHealth } from "./health.ts";

/** One log, in numbers. */
export interface LogMetrics {
  /** The log as text, such as `sessions:r00001-s00000-e1790000000`. */
  readonly log: string;
  /** `writing`: this region's own, now. `stopped`: see `reason`. */
  readonly state: "writing" | "receiving" | "stopped";
  readonly reason?: string;
  readonly durableLsn: number;
  /** Only of a log that this region writes. */
  readonly shippedLsn?: number;
  readonly appliedLsn: number;
  readonly stableLsn: number;
  /** The highest LSN that anybody is known to hold. */
  readonly knownLsn: number;
  /** Records of the lowest range that is known to exist and is not here. */
  readonly gapRecords: number;
}

/** Another member, in numbers. */
export interface PeerMetrics {
  /** The member's name. */
  readonly peer: string;
  /** `unheard`: not in this run. */
  readonly state: "unheard" | "live" | "silent";
  /** Since its last ack; absent while it is unheard. */
  readonly heardSecondsAgo?: number;
  /** Records held here that it has not acknowledged. */
  readonly lagRecords: number;
  /** Since when it lacks the oldest of them. */
  readonly lagSeconds: number;
  /** How far its clock is ahead of this one, less the way of a stamp; negative: behind. Absent without samples. */
  readonly skewSeconds?: number;
  /** It has another state at the same vector: one of the two is wrong. */
  readonly diverged: boolean;
  /** What it lacks is not kept for it any more. */
  readonly needsSnapshot: boolean;
  /** For how long it has held the stability frontier back; 0 if it does not. */
  readonly blocksStabilitySeconds: number;
}

/**
 * Numbers of a region, as plain data: JSON carries all of it, and no session, user or item is named in it.
 * Counters count from the start of the process.
 */
export interface RegionMetrics extends ReplicationMetrics {
  /** This region's name. */
  readonly region: string;
  readonly status: RegionHealth["status"];
  /** Distinct operations applied here. */
  readonly opsApplied: number;
  /** Deliveries and retries that changed nothing, by what came twice. */
  readonly duplicates: RegionHealth["duplicatesBy"];
  /** Writes that were judged and refused, by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Writes that came while this region may not write at all, by code: a follower, one that has not joined, one that is fenced. */
  readonly fenced: Readonly<Record<string, number>>;
  /** Frames that could not be used, by reason. */
  readonly poison: Readonly<Record<string, number>>;
  /** Items that stay hidden only because an unhide is not known everywhere yet. */
  readonly withheld: number;
  readonly unhidesPending: number;
  readonly forks: number;
  readonly conflicts: number;
  readonly unknownOps: number;
  /** Sessions that were purged: each leaves a tombstone. */
  readonly purged: number;
  /** Writes accepted without being judged, because this region lacks the session's policy. */
  readonly unjudged: number;
  /** The ledger: entities in it, and contributions that its schema does not name. */
  readonly signals: { readonly entities: number; readonly unfolded: number };
  /** Of the list of members in force; 0 alone, or while the region does not know its cluster. */
  readonly membershipVersion: number;
  /** What waits to be written to this region's own logs; `waiting` callers wait for room, `waited` have had to. */
  readonly queue: {
    readonly records: number;
    readonly bytes: number;
    readonly waiting: number;
    readonly waited: number;
  };
  /** What the logs weigh on this disk; zeros laid ahead are left out. */
  readonly wal: { readonly bytes: number; readonly segments: number };
  readonly logs: readonly LogMetrics[];
  readonly peers: readonly PeerMetrics[];
}
