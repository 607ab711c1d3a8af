import type { Channel, HlcClock, RegionId } from "@tidemark/core";
import { clusterIdOf, openReplication } from "@tidemark/replication";
import type {
  ClusterKey,
  Membership,
  MembershipPromise,
  Replicated,
  Replication,
} from "@tidemark/replication";
import { SessionReplicationBridge } from "@tidemark/session-bridge";
import type { Submitted } from "@tidemark/session-bridge";
import { SessionAdmission, SessionFold, SessionKeeper } from "@tidemark/session";
import type { SessionChange } from "@tidemark/session";
import { SignalEffects, SignalLedger } from "@tidemark/signals";
import type { Transport } from "@tidemark/transport";
import type { Checkpoint, Wal } from "@tidemark/wal";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { ColdFile } from "./cold-file.ts";
import { RegionEmitter, replicationEvents } from "./diagnostics.ts";
import { Erasures } from "./erasures.ts";
import type { KeyFile } from "./key-file.ts";
import { KeyStore } from "./key-store.ts";
import { MembersKeeper } from "./members-keeper.ts";
import { LedgerState } from "./ledger-state.ts";
import { REGION_DEFAULTS, replicationLimits } from "./options.ts";
import type { RegionOptions, RegionPlatform } from "./options.ts";
import { SignalWriter } from "./signal-writer.ts";
import { SlotMap } from "./slot-map.ts";
import type { RegionPolicies } from "./region-policies.ts";
import type { RegionReducers } from "./region-reducers.ts";
import { SessionKeeping } from "./session-keeping.ts";
import { RegionTokens } from "./tokens.ts";

/** What a region is made of, opened by {@link openRegion}. */
export interface RegionParts {
  readonly options: RegionOptions;
  readonly platform: RegionPlatform;
  readonly name: string;
  readonly id: RegionId;
  readonly wal: Wal;
  readonly clock: HlcClock;
  readonly closeClock: () => Promise<void>;
  /** Where cold sessions lie; absent where files cannot be read at once. */
  readonly cold: ColdFile | undefined;
  readonly clusterKeys: readonly ClusterKey[];
  readonly policies: RegionPolicies;
  readonly reducers: RegionReducers;
  readonly transport: Transport;
  /** Notes for good that the region has reached the head of a member. */
  readonly noteJoined: (membership: Membership) => Promise<void>;
  /** Notes for good that the region is back after a removal, as a member since this version of the list. */
  readonly noteReturned: (since: number) => Promise<void>;
}

/** How a region starts. */
export interface StartHow {
  readonly bootstrap: boolean;
  /** It has not reached the head of a member since its directory was made. */
  readonly joining: boolean;
  readonly checkpoint: Checkpoint | undefined;
  /** The version of the list with which this directory came to the cluster. */
  readonly joinedSince?: number;
  /** The keys of users, where the cluster encrypts. */
  readonly keys: KeyFile | undefined;
  /** What was promised to a proposal of another list in an earlier run. */
  readonly promised?: MembershipPromise;
  /** The list gives slots to other shards than the logs of the last run were written under. */
  readonly slotsMoved?: boolean;
}

/** What exists once the region knows its cluster. */
export interface Running {
  readonly replication: Replication;
  readonly bridge: SessionReplicationBridge;
  readonly fold: SessionFold;
  /** Their sum is what is read. */
  readonly ledgers: readonly SignalLedger[];
  readonly signals: SignalWriter;
  readonly tokens: RegionTokens;
  readonly checkpoints: Checkpoints;
  readonly schedule: CheckpointSchedule;
  readonly keeper: MembersKeeper;
  readonly slots: SlotMap;
  /** Where the cluster encrypts. */
  readonly keys: KeyStore | undefined;
  readonly erasures: Erasures | undefined;
  /** Closes and purges as the owner of sessions. */
  readonly keeping: SessionKeeping;
}

/** What a region that starts tells its owner. */
export interface RunningHooks {
  /** The region is closing. */
  readonly closed: AbortSignal;
  readonly emitter: RegionEmitter;
  /** An operation was applied. */
  readonly changed: (change: SessionChange) => void;
  /** A write under way, which a close waits for. */
  readonly track: <Value>(writing: Promise<Value>) => Promise<Value>;
}

/** Restores the checkpoint, replays the logs and begins to replicate. */
export async function startRunning(
  parts: RegionParts,
  membership: Membership,
  how: StartHow,
  hooks: RunningHooks,
): Promise<Running> {
  const { options, platform, id, wal, clock, clusterKeys, transport, cold } = parts;
  const { hasher } = platform;
  const clusterId = clusterIdOf(hasher, membership.seed);
  const { schema } = options;
  const ledger = new SignalLedger({ hasher, schema });
  const { memoryBudgetBytes: budgetBytes = REGION_DEFAULTS.memoryBudgetBytes } = options;
  const keys =
    how.keys === undefined
      ? undefined
      : keyStore(how.keys, membership.seed, clusterId, { parts, closed: hooks.closed });
  if (keys !== undefined && membership.regions.size > 1 && clusterKeys.length === 0)
    throw new TypeError("A cluster that encrypts needs a clusterKey: the keys of users travel under it");
  let erasures: Erasures | undefined;
  const fold = new SessionFold({
    hasher,
    clusterId,
    schema,
    ledger,
    unstableBytesMax: REGION_DEFAULTS.ticketBytesMax,
    ...(cold === undefined ? {} : { cold: { store: cold, budgetBytes } }),
    ...(keys === undefined ? {} : { seals: keys.seals }),
    erased: () => {
      keys?.soil();
      erasures?.changed();
    },
  });
  fold.onChange(hooks.changed);
  const { gate, book } = parts.policies;
  // With its fold, so that it hears of every session that goes cold.
  const sessionKeeper = new SessionKeeper({ fold, book, self: id });
  const admission = new SessionAdmission<Promise<Submitted>>({ fold, clock, gate });
  const slots = new SlotMap(() => replication.membership, hasher);
  const bridge = new SessionReplicationBridge({
    fold,
    admission,
    clock,
    self: id,
    shardOf: (session, user) => slots.shardOfSession(session, user),
    ...(keys === undefined ? {} : { keys }),
  });
  const channels = new Map<Channel, Replicated>([
    ["sessions", bridge],
    ["signals", new LedgerState({ ledger, clock, self: id })],
  ]);
  const checkpoints = new Checkpoints({ fs: platform.fs, dir: options.dir, hasher, wal, channels, fold });
  const applied = await checkpoints.restore(how.checkpoint, options.logger);
  const { promised, joinedSince } = how;
  const keeper = new MembersKeeper({
    platform,
    dir: options.dir,
    logger: options.logger,
    list: membership,
    promised,
  });
  const { checkpointMs = REGION_DEFAULTS.checkpointMs, checkpointBytes = REGION_DEFAULTS.checkpointBytes } =
    options;
  const schedule = new CheckpointSchedule({
    timers: platform.timers,
    checkMs: Math.min(1_000, checkpointMs),
    everyMs: checkpointMs,
    everyBytes: checkpointBytes,
    bytes: () => wal.byteCount(),
    write: () => keepCheckpoint(running, parts),
  });
  const replication: Replication = await openReplication({
    wal,
    transport,
    hasher,
    self: id,
    membership,
    membershipStore: keeper,
    ...(promised === undefined ? {} : { promised }),
    ...(joinedSince === undefined ? {} : { joinedSince }),
    ...(options.removeAfterMs === undefined ? {} : { removeAfterMs: options.removeAfterMs }),
    returned: (since) => parts.noteReturned(since),
    clusterKeys,
    acceptUnsigned: options.acceptUnsigned ?? false,
    role: options.role ?? "member",
    bootstrap: how.bootstrap,
    joining: how.joining,
    slotsMoved: how.slotsMoved ?? false,
    channels: { sessions: bridge, signals: channels.get("signals") as Replicated },
    ...(schema === undefined ? {} : { schema: schema.digest }),
    relay: (records) => hooks.track(bridge.relay(records)),
    ...(keys === undefined || clusterKeys.length === 0 ? {} : { keys: () => keys.wrapped() }),
    ...(applied === undefined ? {} : { applied }),
    limits: replicationLimits(),
    timers: platform.timers,
    randomBytes: platform.randomBytes,
    wallClock: platform.now,
    ...(options.logger === undefined ? {} : { logger: options.logger }),
    events: replicationEvents(hooks.emitter),
    checkpoints: { fs: platform.fs, dir: options.dir },
    replaced: () => {
      checkpoints.forget();
      schedule.now();
    },
    ...(options.onDiverged === undefined ? {} : { diverged: options.onDiverged }),
  });
  bridge.attach(replication);
  const tokens = new RegionTokens({
    fold,
    replication,
    slots,
    hasher,
    clusterId,
    clusterKeys,
    options,
    now: platform.now,
  });
  const signals = new SignalWriter({
    ledger,
    effects: new SignalEffects(hasher, clusterId),
    clock,
    replication,
    shardOf: (entity) => slots.shardOfEntity(entity),
  });
  const { logger } = options;
  erasures =
    keys === undefined ? undefined : new Erasures({ keys, fold, replication, checkpoints, self: id, logger });
  const keeping = new SessionKeeping({
    keeper: sessionKeeper,
    replication,
    timers: platform.timers,
    now: platform.now,
    everyMs: REGION_DEFAULTS.keepEveryMs,
    write: ({ session, request }) => hooks.track(bridge.submit(session, request)),
    logger: options.logger,
  });
  const running: Running = {
    keys,
    keeping,
    erasures,
    ledgers: [ledger],
    signals,
    replication,
    bridge,
    fold,
    tokens,
    checkpoints,
    schedule,
    keeper,
    slots,
  };
  schedule.start();
  if (book.policies.length > 0 && options.role !== "follower") keeping.start();
  if (id !== 0) keeper.watch(replication);
  return running;
}

/** Writes a checkpoint, and lets go what no member and no start needs any more. */
export async function keepCheckpoint(running: Running, parts: RegionParts): Promise<void> {
  if (running.replication.joining) return;
  const { options } = parts;
  await writeCheckpoint(running, parts, { both: true });
  try {
    await running.replication.retain({
      checkpoint: running.checkpoints.floor,
      keepBytes: options.retentionKeepBytes ?? REGION_DEFAULTS.retentionKeepBytes,
      capBytes: options.retentionCapBytes ?? REGION_DEFAULTS.retentionCapBytes,
    });
  } catch (error) {
    options.logger?.warn({ err: error }, "Cannot remove old segments");
  }
}

/** Writes a checkpoint. Without it the next start replays more; nothing is lost. */
export async function writeCheckpoint(
  { checkpoints, replication }: Running,
  parts: RegionParts,
  how: { readonly both?: boolean } = {},
): Promise<void> {
  try {
    await checkpoints.write(replication.vector(), replication.membership.version, how);
  } catch (error) {
    parts.options.logger?.warn({ err: error }, "Cannot write a checkpoint");
  }
}

function keyStore(
  file: KeyFile,
  seed: Uint8Array,
  clusterId: Uint8Array,
  { parts, closed }: { readonly parts: RegionParts; readonly closed: AbortSignal },
): KeyStore {
  const { options, platform, clusterKeys } = parts;
  const { fs, hasher, timers, randomBytes } = platform;
  const { dir, logger } = options;
  return new KeyStore(file, {
    ...{ fs, dir, hasher, timers, randomBytes, seed, clusterId, clusterKeys, logger, closed },
  });
}
