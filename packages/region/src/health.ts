import type { ReplicationHealth } from "@tidemark/replication";

/** What an operator asks a region first. Plain data; no session or user is named in it. */
export interface RegionHealth {
  /** `joining`: a new directory that has not reached a member's head. `degraded`: a member or the medium is out of reach, or something below says why. */
  readonly status: "ready" | "joining" | "degraded" | "closed";
  readonly role: "member" | "follower";
  /** Distinct operations applied here. */
  readonly opsApplied: number;
  /** Deliveries and retries that changed nothing. */
  readonly duplicates: number;
  /** Writes refused, by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Items that stay hidden only because an unhide is not known everywhere yet. */
  readonly withheld: number;
  /** Unhides that wait for stability. */
  readonly unhidesPending: number;
  readonly walSegments: number;
  /** The last durable LSN of this region's own logs; 0 where it never wrote. */
  readonly durableLsn: { readonly signals: number; readonly sessions: number };
  /** `undefined` while the region does not know its cluster. */
  readonly replication: ReplicationHealth | undefined;
}
