import type { Hasher } from "@tidemark/core";
import type { DivergenceReport, ReplicationLimits } from "@tidemark/replication";
import type { SignalSchema } from "@tidemark/signals";
import type { AppReducers, SessionPolicyRules } from "@tidemark/session";
import type { Transport } from "@tidemark/transport";
import type { Durability, Timers, WalFs } from "@tidemark/wal";
import type { Diagnostics } from "./diagnostics.ts";
import type { MembersOption } from "./members.ts";

/** What a region needs of the machine it runs on; `@tidemark/region/node` fills it in. */
export interface RegionPlatform {
  readonly fs: WalFs;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
  readonly timers: Timers;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly hasher: Hasher;
  /** Whether what `fs` holds goes with the process. @defaultValue what `fs` says of itself */
  readonly volatile?: boolean;
  /** Where events are published; `node:diagnostics_channel` on Node. @defaultValue nowhere */
  readonly diagnostics?: Diagnostics;
  /** What `status.json` says of the process: its id, and the version of this package. */
  readonly process?: { readonly pid: number; readonly version: string };
}

/** A pino-shaped logger: one line a state change, none a record. */
export interface RegionLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How a region is opened. */
export interface RegionOptions<Signal extends string = string, States extends object = object> {
  /** This region's name in `members`. Left out with `members`. */
  readonly name?: string;
  /** Every region of the cluster, the same list everywhere. Without it the region is 0, alone. */
  readonly members?: MembersOption;
  /** This region's own directory, made if it is missing. */
  readonly dir: string;
  /** Borrowed: whoever joined the network leaves it. Needed with `members`. */
  readonly transport?: Transport;
  /** Says that this is the first region of a new cluster; without effect on a directory that has been used. @defaultValue false */
  readonly bootstrap?: boolean;
  /**
   * Logs that the key space is divided into: a user and all their sessions share one. Chosen with the first region of
   * a cluster, the same in every region. @defaultValue what the directory or the cluster has, 1 in a new cluster
   */
  readonly shards?: number;
  /**
   * The signals of the application, the same in every region. Without one a session's signals decay by half in 7 days,
   * and there is no ledger. Another one than the last time folds the logs anew. @defaultValue none
   */
  readonly schema?: SignalSchema<Signal>;
  /**
   * Whether what names or describes users is written under keys of theirs, so that a user can be erased. Chosen with
   * `bootstrap` and for good; elsewhere it is only compared with what the cluster is. Members need a `clusterKey` then.
   *
   * @defaultValue false for a new cluster, else what the cluster is
   */
  readonly encryption?: boolean;
  /** A follower serves reads, refuses every write with `READ_ONLY`, and acknowledges like any member. @defaultValue "member" */
  readonly role?: "member" | "follower";
  /** 32 bytes that every member holds: frames, cursors and tickets are authenticated with it. */
  readonly clusterKey?: Uint8Array | readonly ClusterKey[];
  /** With a cluster key: also accepts unsigned frames, while a key is being introduced. Shown in `health()`. @defaultValue false */
  readonly acceptUnsigned?: boolean;
  /** Without a cluster key: takes the operations inside a ticket on the bearer's word. @defaultValue false */
  readonly trustTickets?: boolean;
  /**
   * When a write counts as durable; see `@tidemark/wal` for what the weaker modes can lose. `"none"` promises nothing
   * and is the only one that a directory in memory accepts. @defaultValue "always"
   */
  readonly durability?: Durability | "none";
  /**
   * Members that nobody has heard of for so many milliseconds are removed, when all others agree and these are more than
   * half of the list: of two members never. Give it to all of them; a day is a good value where processes come and go.
   * @defaultValue never
   */
  readonly removeAfterMs?: number;
  /**
   * Rules for sessions, each by name and version; `start({ policy })` names one. Give every region the same: one that
   * lacks a policy does not enforce it, and says so in `health()`. @defaultValue none
   */
  readonly policies?: readonly SessionPolicyRules[];
  /**
   * What makes a state of the `app` operations of a namespace, for `session.appState(namespace)`. Nothing that they make is
   * stored or sent: a region without them, or with others, holds the same as all. @defaultValue none
   */
  readonly reducers?: AppReducers<States>;
  /** Lifetime of a ticket, in milliseconds. @defaultValue 7 days */
  readonly ticketMs?: number;
  /** A checkpoint is written so often, in milliseconds, if anything changed. @defaultValue 5 min */
  readonly checkpointMs?: number;
  /** And when the logs have grown by so many bytes. @defaultValue 64 MiB */
  readonly checkpointBytes?: number;
  /** The size of a segment file: old ones are removed whole. @defaultValue 16 MiB */
  readonly segmentBytes?: number;
  /** The newest bytes of the logs that grow, kept in any case. @defaultValue 64 MiB */
  readonly retentionKeepBytes?: number;
  /** What is kept at most for a member that lags; beyond it that member needs a snapshot, see `health()`. @defaultValue 10 GiB */
  readonly retentionCapBytes?: number;
  /** Told once for each divergence from another member, with the ids of what differs: not for a label or a log that many read. */
  readonly onDiverged?: (report: DivergenceReport) => void;
  /**
   * What sessions may take in memory, in bytes, as estimated: those that nobody touches lie in a scratch file beyond it.
   * Those with operations that are not known everywhere stay in memory all the same. @defaultValue 512 MiB
   */
  readonly memoryBudgetBytes?: number;
  readonly logger?: RegionLogger;
}

/** A cluster key with its number: two at a time allow rotation. */
export interface ClusterKey {
  /** 1 to 255, unique among the live keys; the first of the list signs. */
  readonly id: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** Every limit and default of a region, in one place. Change them by measurement. */
export const REGION_DEFAULTS: {
  /** What waits to be written, in bytes and records; at the bound a write waits. */
  readonly queueBytesMax: number;
  readonly queueRecordsMax: number;
  /** Published and not acknowledged by a follower; beyond it that follower catches up by asking. */
  readonly shipWindowBytes: number;
  /** Kept of one log ahead of a hole; beyond it frames are dropped and asked for again. */
  readonly receiveAheadBytes: number;
  /** An ack goes out after so long, or at so many records. */
  readonly ackDelayMs: number;
  readonly ackRecords: number;
  readonly heartbeatMs: number;
  /** A member not heard of for so long is called silent. */
  readonly peerSilentMs: number;
  readonly requestTimeoutMs: number;
  /** A ticket, and what is kept of a user's operations for one; beyond it a ticket is not complete. */
  readonly ticketBytesMax: number;
  readonly ticketMs: number;
  /** What sessions may take in memory, as estimated; beyond it those that nobody touches lie in a file. */
  readonly memoryBudgetBytes: number;
  /** How far the time of an event may be ahead of this region's clock, and how far that is pulled by others. */
  readonly driftMsMax: number;
  /** How far ahead of its clock a region notes on disk which stamps it may issue. */
  readonly clockLeadMs: number;
  /** How long `resume`, `ready` and `synced` wait, and a write for its `ack`. */
  readonly resumeTimeoutMs: number;
  readonly ackTimeoutMs: number;
  /** A checkpoint is written so often, and when the logs have grown by so much. */
  readonly checkpointMs: number;
  readonly checkpointBytes: number;
  /** What is kept in any case, and at most for a member that lags. */
  readonly retentionKeepBytes: number;
  readonly retentionCapBytes: number;
  /** How long `close({ leave: true })` may take to drain and to be agreed to. */
  readonly leaveTimeoutMs: number;
  /** How often a region looks for sessions that their policy has it close or purge. */
  readonly keepEveryMs: number;
} = {
  queueBytesMax: 16 * 1024 * 1024,
  queueRecordsMax: 65_536,
  shipWindowBytes: 4 * 1024 * 1024,
  receiveAheadBytes: 8 * 1024 * 1024,
  ackDelayMs: 5,
  ackRecords: 256,
  heartbeatMs: 1_000,
  peerSilentMs: 5_000,
  requestTimeoutMs: 10_000,
  ticketBytesMax: 64 * 1024,
  ticketMs: 7 * 24 * 60 * 60 * 1000,
  memoryBudgetBytes: 512 * 1024 * 1024,
  driftMsMax: 500,
  clockLeadMs: 2_000,
  resumeTimeoutMs: 10_000,
  ackTimeoutMs: 10_000,
  checkpointMs: 5 * 60 * 1000,
  checkpointBytes: 64 * 1024 * 1024,
  retentionKeepBytes: 64 * 1024 * 1024,
  retentionCapBytes: 10 * 1024 * 1024 * 1024,
  leaveTimeoutMs: 10_000,
  keepEveryMs: 1_000,
};

/** The limits of replication as a region sets them. */
export function replicationLimits(): Partial<ReplicationLimits> {
  const { shipWindowBytes, receiveAheadBytes, ackDelayMs, ackRecords } = REGION_DEFAULTS;
  const { heartbeatMs, peerSilentMs, requestTimeoutMs } = REGION_DEFAULTS;
  return {
    shipWindowBytes,
    receiveAheadBytes,
    ackDelayMs,
    ackRecords,
    heartbeatMs,
    peerSilentMs,
    requestTimeoutMs,
  };
}

/** The weakest durability that still replicates at once: a disk in memory is as quick with every sync. */
const NO_DURABILITY: Durability = { group: 5 };

/**
 * What the log is told of the durability asked for.
 *
 * @throws `TypeError` for a directory in memory without `durability: "none"`: what it acknowledged would be lost.
 */
export function walDurability(options: RegionOptions, platform: RegionPlatform): Durability {
  const { durability = "always" } = options;
  const volatile = platform.volatile ?? platform.fs.volatile ?? false;
  if (volatile && durability !== "none") {
    throw new TypeError(
      `Cannot open ${options.dir} in memory with durability ${JSON.stringify(durability)}: it would be lost with the process; say durability: "none", or give a disk`,
    );
  }
  if (durability !== "none") return durability;
  return volatile ? "always" : NO_DURABILITY;
}

/** Checks the memory budget. @throws `RangeError` unless it is a number of bytes, 0 or more. */
export function checkMemoryBudget({ memoryBudgetBytes = 0 }: RegionOptions): void {
  if (!(memoryBudgetBytes >= 0))
    throw new RangeError(`memoryBudgetBytes must be a number of bytes from 0: ${String(memoryBudgetBytes)}`);
}

/** Checks the cluster key option. @throws `TypeError` unless every key has 32 bytes and a number of its own. */
export function clusterKeysOf(option: RegionOptions["clusterKey"]): readonly ClusterKey[] {
  if (option === undefined) return [];
  const keys = option instanceof Uint8Array ? [{ id: 1, key: option }] : [...option];
  const ids = new Set<number>();
  for (const { id, key } of keys) {
    if (!Number.isInteger(id) || id < 1 || id > 255) throw new TypeError("A cluster key's id is 1 to 255");
    if (!(key instanceof Uint8Array) || key.length !== 32) throw new TypeError("A cluster key has 32 bytes");
    if (ids.has(id)) throw new TypeError(`Two cluster keys have the id ${id}`);
    ids.add(id);
  }
  if (keys.length > 2) throw new TypeError("At most two cluster keys are live at a time");
  return keys;
}
