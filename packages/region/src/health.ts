import type { ReplicationHealth } from "@tidemark/replication";

/** What an operator asks a region first. Plain data; no session or user is named in it. */
export interface RegionHealth {
  /** `joining`: a new directory that has not reached a member's head. `fenced`: back after a removal, on its way. `removed`: no member any more. `degraded`: a member or the medium is out of reach, or something below says why. */
  readonly status: "ready" | "joining" | "fenced" | "removed" | "degraded" | "closed";
  /** What is wrong, a sentence each. */
  readonly reasons: readonly string[];
  readonly role: "member" | "follower";
  /** Distinct operations applied here. */
  readonly opsApplied: number;
  /** Deliveries and retries that changed nothing. */
  readonly duplicates: number;
  /** The same by what came twice: a client's retry, an operation in a second log, a frame. */
  readonly duplicatesBy: { readonly retries: number; readonly operations: number; readonly frames: number };
  /** Writes refused, by code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly policies: {
    /** Those given to `openRegion`: the digest, 64 hexadecimal digits, tells whether two regions hold the same. */
    readonly held: readonly { readonly name: string; readonly version: number; readonly digest: string }[];
    /** Writes accepted without being judged, because this region lacks the session's policy: by its id and version. */
    readonly missing: Readonly<Record<string, number>>;
  };
  /** By namespace, the reducers given to `openRegion`, and how often a state could not be read because one failed. */
  readonly reducers: Readonly<Record<string, { readonly version: number; readonly failures: number }>>;
  /** Sessions that were purged: each leaves a tombstone. */
  readonly purged: number;
  /** Items that stay hidden only because an unhide is not known everywhere yet. */
  readonly withheld: number;
  /** Numbers of a session that two operations claim, and other conflicts: each is in its session's `conflicts`. */
  readonly forks: number;
  readonly conflicts: number;
  /** Operations kept for a version that can fold them. */
  readonly unknownOps: number;
  readonly signals: {
    /** The digest of the schema, 64 hexadecimal digits; absent without one. */
    readonly schema?: string;
    /** Entities in the ledger. */
    readonly entities: number;
    /** Contributions in it, and those that the schema does not name: they are kept for one that does. */
    readonly folded: number;
    readonly unfolded: number;
    /** Operations without a session that were used for two requests. */
    readonly conflicts: number;
  };
  /** Unhides that wait for stability. */
  readonly unhidesPending: number;
  readonly walSegments: number;
  /** The last durable LSN of the logs this region writes, added up over its shards; 0 where it never wrote. */
  readonly durableLsn: { readonly signals: number; readonly sessions: number };
  /** What waits to be written to this region's own logs. */
  readonly queue: { readonly records: number; readonly bytes: number };
  /** `undefined` while the region does not know its cluster. */
  readonly replication: ReplicationHealth | undefined;
}
