import type { ByteWriter, Channel, Hasher, LogId, RegionId, ShardId } from "@tidemark/core";
import type { Transport } from "@tidemark/transport";
import type { Checkpoint, RetentionResult, Timers, Vector, Wal, WalFs } from "@tidemark/wal";
import type { Certificate, Verdict } from "./certificate.ts";
import type { CoverageNeed, CoveragePosition } from "./coverage.ts";
import type { DivergenceReport } from "./divergence.ts";
import type { FenceState } from "./fenced-return.ts";
import type { ClusterKey, FrameKeys } from "./frame.ts";
import type { ReplicationEvents } from "./events.ts";
import type { Frontier } from "./frontier.ts";
import type { PeerState, ReplicationHealth, ReplicationMetrics } from "./health.ts";
import type { ReplicationLimits } from "./limits.ts";
import type { ReplicationLogger } from "./logger.ts";
import type { Membership } from "./membership.ts";
import type { MembershipPromise, MembershipStore } from "./membership-in-force.ts";
import type { Replicated } from "./replicated.ts";
import type { RetainOptions } from "./retention.ts";
import type { RetentionPlan } from "./retention-policy.ts";
import type { WaitOptions } from "./wait-set.ts";

/** What a region's replication is made of. Wal and transport are borrowed: whoever opened them closes them. */
export interface OpenReplicationOptions {
  readonly wal: Wal;
  readonly transport: Transport;
  readonly hasher: Hasher;
  readonly self: RegionId;
  readonly membership: Membership;
  /** Keeps lists of members on disk; without it they last as long as this run. */
  readonly membershipStore?: MembershipStore;
  /** What was promised to a proposal in an earlier run. */
  readonly promised?: MembershipPromise;
  /** The version of the list with which this directory came to the cluster. @defaultValue that of `membership` */
  readonly joinedSince?: number;
  /**
   * Members that nobody was heard of for so long are removed, if all others agree and are more than half of the list;
   * of two members never. Give it to all of them. @defaultValue never
   */
  readonly removeAfterMs?: number;
  /** Notes for good that a region that was removed is back, as a member since this version. */
  readonly returned?: (since: number) => Promise<void>;
  /** The list gives slots to other shards than in the last run: new epochs are opened. @defaultValue false */
  readonly slotsMoved?: boolean;
  /** The first signs, both are accepted. @defaultValue none: tags show damage only */
  readonly clusterKeys?: readonly ClusterKey[];
  /** While a key is being turned on. @defaultValue false */
  readonly acceptUnsigned?: boolean;
  /** The first step of turning a key on: it is known and not used to sign. @defaultValue false */
  readonly sendUnsigned?: boolean;
  /** A follower applies and acks, and refuses to write. @defaultValue "member" */
  readonly role?: "member" | "follower";
  /** This region is the first: a new directory need not reach the head of a member. @defaultValue false */
  readonly bootstrap?: boolean;
  /**
   * This region has not reached the head of a member since its directory was made: it neither serves nor writes
   * before it has. @defaultValue whether nothing is stored
   */
  readonly joining?: boolean;
  /** Channels without a state are stored and served, not folded. */
  readonly channels: { readonly sessions: Replicated; readonly signals?: Replicated };
  /** The digest of the signal schema that states are folded under, 32 bytes. @defaultValue none */
  readonly schema?: Uint8Array;
  /**
   * Writes sealed records that a follower hands over, and resolves once they are durable; a member without it
   * refuses them. What it throws is answered as a refusal.
   */
  readonly relay?: (records: readonly Uint8Array[]) => Promise<void>;
  /**
   * The table of user keys as other members may have it: sealed, and the same bytes until it changes. Without it
   * questions for keys are refused.
   */
  readonly keys?: () => Uint8Array;
  /** What the restored state covers: the vector of its checkpoint. @defaultValue empty: all logs are replayed */
  readonly applied?: Vector;
  /**
   * Where checkpoints are written, beside the logs: with it a snapshot of a member can replace the state when logs no
   * longer lead there. Call {@link finishInstall} with the logs open, before a checkpoint is looked for.
   */
  readonly checkpoints?: { readonly fs: WalFs; readonly dir: string };
  /** The state was replaced, by a snapshot or a replay: a checkpoint from before says something else. */
  readonly replaced?: () => void;
  /** Told once for each divergence, with the ids of what differs: not for a label, nor for a log that many read. */
  readonly diverged?: (report: DivergenceReport) => void;
  readonly timers: Timers;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly limits?: Partial<ReplicationLimits>;
  readonly logger?: ReplicationLogger;
  /** Told what happens, for metrics and traces. */
  readonly events?: ReplicationEvents;
  /** Wall milliseconds: for the number of a new epoch, and nothing else. */
  readonly wallClock: () => number;
}

/** How long {@link Replication.ready} waits, and for whom. */
export interface ReadyOptions extends WaitOptions {
  /** `every`: the head of each other member was reached; `any`: of one. @defaultValue "every" */
  readonly of?: "every" | "any";
}

/** The replication of one region. */
export interface Replication {
  /**
   * Appends to this region's own log of a shard, which is opened or rolled when needed before the write is
   * formed. Resolves once the record is on disk and applied. What a record does is the same in any shard's log:
   * shards divide the logs, not the state.
   *
   * `encode` is called when the batch is formed, with the numbers the record gets; what it throws rejects
   * this call alone.
   *
   * @throws ReplicationError `EPOCH_ROLLED` (judge the write again, then append it again), `READ_ONLY`,
   * `NOT_READY`, `REPLICATION_CLOSED`; `RangeError` for a shard that the list does not have; errors of the log are passed on.
   */
  append(
    channel: Channel,
    type: number,
    encode: (writer: ByteWriter, lsn: number, log: LogId) => void,
    options?: {
      readonly signal?: AbortSignal;
      /** @defaultValue 0 */
      readonly shard?: ShardId;
    },
  ): Promise<{ readonly log: LogId; readonly lsn: number }>;
  /** The logs this region writes of a channel, one a shard that it has written. */
  ownLogs(channel: Channel): LogId[];
  /** What is durable and applied here, exactly as of this moment: what a checkpoint taken now covers. */
  vector(): Vector;
  frontier(): Frontier;
  peers(): readonly PeerState[];
  /** The last LSN applied here of the log that a position names. */
  reached(position: CoveragePosition): number;
  /**
   * Waits until all positions are applied here.
   *
   * @returns `"covered"`, or at the deadline what is missing.
   * @throws ReplicationError `POSITION_UNKNOWN` at once when no waiting can help, `POSITION_LOST` once every member
   * has said that it lacks a position of an epoch that is over.
   */
  covered(need: CoverageNeed, options: WaitOptions): Promise<"covered" | readonly CoveragePosition[]>;
  /** Waits until `remote` other members acked a position, or until it is stable (`"all"`). False: not confirmed yet. */
  acknowledged(
    log: LogId,
    lsn: number,
    level: { readonly remote: number } | "all",
    options: WaitOptions,
  ): Promise<boolean>;
  /** How far a member has said it holds a log; 0 while it has said nothing. */
  acknowledgedLsn(region: RegionId, log: LogId): number;
  /** How far this region has published a log that it writes; `undefined` for logs of others and of earlier epochs. */
  shippedLsn(log: LogId): number | undefined;
  /**
   * Hands sealed records to a member that writes: a follower's way to get a ticket's tail into a log. Resolves once
   * they are durable there; they arrive here as any record does.
   *
   * @throws ReplicationError `REQUEST_REFUSED` when that member does not write; errors of the transport.
   */
  relay(
    peer: RegionId,
    records: readonly Uint8Array[],
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** The list of members in force. */
  readonly membership: Membership;
  /** How far a region that was removed, or away for too long, is on its way back. */
  readonly fence: FenceState;
  /** Whether this region may serve. @throws ReplicationError `FENCED` when it was removed or away for too long. */
  requireServing(): void;
  /**
   * Takes another list: it is kept, then who came is listened to and counted, who went is not. It spreads to the
   * other members by itself.
   *
   * @throws ReplicationError `MEMBERSHIP_REFUSED` when it does not follow the one in force, or this region is no member that stays;
   * `MEMBERSHIP_MISMATCH` when it is another one of its version.
   */
  setMembership(list: Membership): Promise<void>;
  /** All state and what it covers, exactly as of this call: the body of a checkpoint. */
  snapshot(): Promise<Checkpoint>;
  /**
   * Takes the state of a member, of the one named or of any, in place of what was derived here, and replays on top what is
   * stored above it. Reads and writes are refused (`joining`) while it is put in place; calls meanwhile share it.
   *
   * @returns what the snapshot covered.
   * @throws ReplicationError `SNAPSHOT_UNAVAILABLE` (retryable).
   */
  restoreFromPeer(peer?: RegionId): Promise<Vector>;
  certificate(): Certificate;
  /** Asks a peer for its certificate and compares: equal vectors with unequal digests are `DIVERGED`, in health. */
  requestCertificate(
    peer: RegionId,
    options?: { readonly timeoutMs?: number },
  ): Promise<{ readonly certificate: Certificate; readonly verdict: Verdict }>;
  /**
   * Removes whole segments that two checkpoints cover, that every member of the list has acked, and that are not among the
   * newest bytes. A member that would need more than the cap is left behind: `health()` says that it needs a snapshot.
   */
  retain(options: RetainOptions): Promise<RetentionResult & RetentionPlan>;
  /**
   * Folds all stored logs again, from their beginning, into an empty state; reads and writes are refused meanwhile. What a
   * divergence sets in motion by itself.
   *
   * @throws ReplicationError `LOG_TRIMMED` when a log no longer begins at LSN 1; `TypeError` for a state without `reset`.
   */
  rebuild(): Promise<void>;
  /** A new directory that has not reached the head of any member: serve neither reads nor writes. */
  readonly joining: boolean;
  /** Waits for the heads of members. @throws ReplicationError `NOT_READY` (retryable) at the deadline. */
  ready(options: ReadyOptions): Promise<void>;
  /**
   * Waits until every member holds what this region holds, this region holds what every member reported, and
   * all of it is stable. False at the deadline.
   */
  synced(options: WaitOptions): Promise<boolean>;
  /** Replaces the cluster keys, between two frames. */
  rotateKeys(keys: FrameKeys): void;
  /**
   * Waits until every member that is there holds all own records, then agrees with them on a list without this region.
   *
   * @returns false when that was not reached in time: this region is a member still, and may try again.
   */
  leave(options: { readonly timeoutMs: number }): Promise<boolean>;
  health(): ReplicationHealth;
  metrics(): ReplicationMetrics;
  /** Sends a last ack, settles every wait, leaves nothing running; idempotent. See {@link Replication.leave}. */
  close(options?: { readonly leave?: boolean; readonly timeoutMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
