import type { LogId, RegionId } from "@tidemark/core";
import type { TransportStatus } from "@tidemark/transport";
import type { FenceState } from "./fenced-return.ts";
import type { PoisonReport } from "./poison.ts";
import type { ForkEvidence } from "./receiver.ts";

/** One log, as seen here. */
export interface LogHealth {
  readonly log: LogId;
  /** `writing`: this region's own, now. `stopped`: see `reason`. */
  readonly state: "writing" | "receiving" | "stopped";
  readonly reason?: "forked" | "failed" | "apply-failed" | "trimmed";
  readonly durableLsn: number;
  /** Published to followers; only of a log that is being written. */
  readonly shippedLsn?: number;
  readonly appliedLsn: number;
  readonly stableLsn: number;
  /** The highest LSN that anybody is known to hold. */
  readonly knownLsn: number;
  /** What is missing right now, ends inclusive. */
  readonly gap?: { readonly from: number; readonly to: number };
}

/** Another member, as seen here. */
export interface PeerState {
  readonly region: RegionId;
  readonly name: string;
  /** `unheard`: not in this run. `silent`: not for longer than `peerSilentMs`. */
  readonly state: "unheard" | "live" | "silent";
  readonly heardAtMs: number | undefined;
  /** Whether it holds the same list of members; undefined while unknown, or under another version. */
  readonly sameMembers: boolean | undefined;
  /** Whether it folds signals under the same schema; undefined while unknown. */
  readonly sameSchema: boolean | undefined;
  /** Its list, when it is another one of the same version. */
  readonly theirMembers: string | undefined;
  readonly foldVersion: number;
  /** Records we hold that it has not acked. */
  readonly lagRecords: number;
  /** Since when it lacks the oldest of them: now minus the moment we first heard of it. */
  readonly lagSeconds: number;
  /** What it lacks is not kept for it any more: logs alone do not bring it back. */
  readonly needsSnapshot: boolean;
  /** Since when it holds the stability frontier back, if it does. */
  readonly blocksStabilitySinceMs: number | undefined;
}

/** What is going on, for people and probes. */
export interface ReplicationHealth {
  /**
   * `joining`: a new directory that has not reached the head of a member. `fenced`: back after too long, or removed,
   * see `fence`. `removed`: no member, and everything it wrote is at one.
   */
  readonly state: "joining" | "fenced" | "removed" | "ready" | "degraded" | "closed";
  /** What is wrong, a sentence each. */
  readonly reasons: readonly string[];
  readonly transport: TransportStatus;
  /** `accept-unsigned`: a key is being turned on. */
  readonly authentication: "none" | "accept-unsigned" | "required";
  readonly membershipVersion: number;
  /** Who was a member once, and the version of the list that left it out. */
  readonly removed: readonly { readonly region: RegionId; readonly name: string; readonly version: number }[];
  /** How far this region is on its way back; `open` when it never was away. */
  readonly fence: FenceState["stage"];
  readonly peers: readonly PeerState[];
  readonly logs: readonly LogHealth[];
  readonly forks: readonly ForkEvidence[];
  readonly poison: PoisonReport;
  /** Peers whose state differs from ours at the same vector. */
  readonly diverged: readonly RegionId[];
}

/** Numbers since the start. */
export interface ReplicationMetrics {
  readonly recordsApplied: number;
  readonly framesPublished: number;
  readonly publishFailures: number;
  readonly acksSent: number;
  readonly acksHeard: number;
  readonly batchesStored: number;
  /** Batches that came again (`held`), ahead of a hole (`ahead`), or beyond the bound (`dropped`). */
  readonly duplicatesHeld: number;
  readonly batchesAhead: number;
  readonly batchesDropped: number;
  readonly rangesAsked: number;
  readonly poisonFrames: number;
  readonly unsignedFramesAccepted: number;
  readonly waiting: number;
  readonly receiveAheadBytes: number;
  /** Snapshots taken for other members; states of members that replaced ours; replays because of a divergence. */
  readonly snapshotsTaken: number;
  readonly snapshotsRestored: number;
  readonly statesRebuilt: number;
  /** Damaged logs that were repaired with batches of members. */
  readonly logsRepaired: number;
}
