import { formatLogId, shardId, type Channel } from "@tidemark/core";
import type { Checkpoint } from "@tidemark/wal";
import { encodeAck, type Ack } from "./ack.ts";
import { AckSchedule } from "./ack-schedule.ts";
import { Agreement } from "./agreement.ts";
import { Answers } from "./answers.ts";
import { Applier } from "./applier.ts";
import { ClusterView } from "./cluster-view.ts";
import { Convergence } from "./convergence.ts";
import { Coverage } from "./coverage.ts";
import { digestDetails } from "./digest-answer.ts";
import { Exchange } from "./exchange.ts";
import { Fence } from "./fence.ts";
import { FRAME_OVERHEAD_BYTES, FrameCodec } from "./frame.ts";
import { LagClock } from "./lag-clock.ts";
import { DEFAULT_REPLICATION_LIMITS } from "./limits.ts";
import { Link } from "./link.ts";
import { LogMender } from "./log-mender.ts";
import { SILENT_LOGGER } from "./logger.ts";
import { MembershipInForce, NO_MEMBERSHIP_DIGEST } from "./membership-in-force.ts";
import { clusterIdOf, routerOf, type Membership } from "./membership.ts";
import { OwnLogs } from "./own-logs.ts";
import { PeerTable, type Peer } from "./peer-table.ts";
import { PoisonBox } from "./poison.ts";
import { Receiver } from "./receiver.ts";
import { reconcileThrough, ReconciliationEngine } from "./reconciliation.ts";
import { RegionReplication } from "./region-replication.ts";
import { Repair } from "./repair.ts";
import type { Replicated } from "./replicated.ts";
import type { OpenReplicationOptions, Replication } from "./replication.ts";
import { ReplicationState } from "./replication-state.ts";
import { RANGE_REPLY_OVERHEAD_BYTES, SNAPSHOT_REPLY_OVERHEAD_BYTES } from "./reply.ts";
import { Retention } from "./retention.ts";
import { takeSnapshot } from "./snapshot-body.ts";
import { SnapshotProvider } from "./snapshot-provider.ts";
import { Stability } from "./stability.ts";
import { StateTransfer } from "./state-transfer.ts";
import { ackSubject } from "./subject.ts";
import { Subscriptions } from "./subscriptions.ts";
import { WaitSet } from "./wait-set.ts";
import { WalShipper } from "./wal-shipper.ts";
import { WriteGate } from "./write-gate.ts";

/**
 * Opens the replication of one region: replays what is stored, then ships, receives and acks.
 *
 * Resolves once everything stored here is applied; an unreachable medium does not hold it up, it is tried
 * again for ever. Wal and transport are borrowed.
 *
 * @throws ReplicationError `LOG_TRIMMED` when a stored log begins above what `applied` covers.
 */
export async function openReplication(options: OpenReplicationOptions): Promise<Replication> {
  const {
    wal,
    transport,
    hasher,
    self,
    timers,
    role = "member",
    logger = SILENT_LOGGER,
    events = {},
  } = options;
  const limits = { ...DEFAULT_REPLICATION_LIMITS, ...options.limits };
  const channels = new Map<Channel, Replicated>([["sessions", options.channels.sessions]]);
  if (options.channels.signals !== undefined) channels.set("signals", options.channels.signals);
  const foldVersion = Math.min(...[...channels.values()].map((replicated) => replicated.foldVersion));
  const freshDirectory = options.bootstrap !== true && (options.joining ?? wal.logs().length === 0);

  const membership = new MembershipInForce({
    hasher,
    logger,
    list: options.membership,
    changed: (list) => membersChanged(list),
    ...(options.promised === undefined ? {} : { promised: options.promised }),
    ...(options.membershipStore === undefined ? {} : { store: options.membershipStore }),
  });
  const peers = new PeerTable(membership.list, self, timers.now());
  const state = new ReplicationState(options.applied);
  const stability = new Stability({
    state,
    others: peers.regions(),
    membershipVersion: membership.list.version,
    foldVersion,
    now: timers.now(),
  });
  const codec = new FrameCodec({
    hasher,
    clusterId: clusterIdOf(hasher, membership.list.seed),
    region: self,
    shard: shardId(0),
    keys: options.clusterKeys ?? [],
    acceptUnsigned: options.acceptUnsigned ?? false,
    sendUnsigned: options.sendUnsigned ?? false,
  });
  const poison = new PoisonBox(limits);
  const { randomBytes } = options;
  const link = new Link({ transport, codec, poison, timers, limits, logger, events, randomBytes });
  const waits = new WaitSet(timers);
  const lag = new LagClock();
  const shippers = new Map<string, WalShipper>();
  const counts = { recordsApplied: 0, acksSent: 0, acksHeard: 0 };
  const fence = new Fence({
    self,
    wal,
    peers,
    state,
    logger,
    joinedSince: options.joinedSince ?? membership.list.version,
    joining: freshDirectory,
    ...(options.returned === undefined ? {} : { returned: options.returned }),
    ...(options.checkpoints === undefined ? {} : { restore: () => transfer.obtain() }),
    changed: () => {
      if (replaying) return;
      // Members that hear of it ask, and are asked, what is held.
      exchange.withAll("all");
      acks.now();
      waits.check();
    },
  });
  // Who is fenced agrees with nobody: its acks are heard, so that its records are fetched, and count for nothing.
  const agreedDigest = (): Uint8Array => (fence.closed ? NO_MEMBERSHIP_DIGEST : membership.digest);

  const currentAck = (): Ack => ({
    epoch: ownLogs.durableEpoch(),
    membershipVersion: fence.closed ? 0 : membership.list.version,
    foldVersion,
    vector: transfer.vector,
  });
  const advance = (): void => {
    if (stability.advance(timers.now()))
      for (const replicated of channels.values()) replicated.stable(stability.frontier);
    fence.check();
    waits.check();
  };
  const acks = new AckSchedule({
    timers,
    limits,
    send: async () => {
      // Whoever was removed and comes back waits to hear that a member holds what it ships.
      if (peers.size === 0 && (membership.list.removed?.size ?? 0) === 0) return;
      exchange.withAll("unanswered");
      agreement.check();
      try {
        await link.publish(ackSubject(self), "ack", [encodeAck(currentAck())]);
        counts.acksSent += 1;
      } catch {
        // The next heartbeat says the same and more; what the medium lacks, its status tells.
      }
    },
  });
  let replaying = true;
  const applier = new Applier({
    state,
    channels,
    logger,
    stopped: () => waits.check(),
    applied: (batch) => {
      counts.recordsApplied += batch.recordCount;
      lag.note(batch.log, batch.lastLsn, timers.now());
      if (replaying) return;
      events.applied?.(batch);
      stability.epochSeen(batch.log.region, batch.log.epoch);
      acks.moved(batch.recordCount);
      advance();
    },
  });
  const frameBytes = transport.capabilities.frameBytesMax - FRAME_OVERHEAD_BYTES;
  const gate = new WriteGate();
  const ownLogs = new OwnLogs({
    gate,
    wal,
    self,
    shards: membership.list.shards,
    slotsMoved: options.slotsMoved ?? false,
    others: () => peers.regions(),
    logger,
    wallClock: options.wallClock,
    highestEpochAtPeers: () => peers.highestEpoch(self),
    opened: async (log, shipped) => {
      await applier.attach(log);
      const followers = peers.regions();
      shippers.set(
        formatLogId(log.id),
        new WalShipper({ log, shipped, followers, link, timers, limits, logger, events, frameBytes }),
      );
    },
    held: (log, lsn) => {
      if (!applier.holds) return undefined;
      // A log that was stopped applies nothing more: its writers are told nothing worse than that it is durable.
      const met = (): boolean => state.lsnOf(log) >= lsn || applier.stopped.has(formatLogId(log));
      return met()
        ? undefined
        : waits.until(met, { timeoutMs: Number.POSITIVE_INFINITY }).then(() => undefined);
    },
    retired: (log) => {
      void shippers.get(formatLogId(log.id))?.close();
      shippers.delete(formatLogId(log.id));
    },
  });
  const receiver: Receiver = new Receiver({
    wal,
    hasher,
    timers,
    limits,
    logger,
    applier,
    isOwn: (id) => ownLogs.isOwn(id),
    changed: () => {
      repair.check();
      mender.check();
    },
  });
  const repair = new Repair({
    timers,
    limits,
    logger,
    link,
    peers,
    receiver,
    trimmed: (id) => {
      // Who has written ships that first; a new directory has derived nothing yet.
      if (transfer.snapshots.possible && !replication.joining) fence.step({ kind: "behind" });
      else transfer.need(id);
    },
  });
  const transfer = new StateTransfer({
    place: options.checkpoints === undefined ? undefined : { ...options.checkpoints, hasher },
    wal,
    timers,
    limits,
    logger,
    link,
    peers,
    channels,
    state,
    applier,
    receiver,
    repair,
    gate,
    hold: () => mender.pause(),
    resumed: () => {
      mender.resume();
      for (const replicated of channels.values()) replicated.stable(stability.frontier);
      provider.drop();
      convergence.replaced();
      advance();
      exchange.withAll("all");
      options.replaced?.();
    },
  });
  const mender = new LogMender({
    wal,
    timers,
    limits,
    logger,
    link,
    peers,
    applier,
    isOwn: (id) => ownLogs.isOwn(id),
    mended: async (log) => {
      applier.detachOne(log.id);
      receiver.renew(log.id);
      await transfer.follow(log);
      exchange.withAll("all");
      advance();
    },
  });
  const retention = new Retention({
    wal,
    timers,
    logger,
    peers,
    version: () => membership.list.version,
    serving: () => provider.held,
  });
  const snapshot = (): Promise<Checkpoint> =>
    takeSnapshot({ wal, vector: state.vector(), channels, membershipVersion: membership.list.version });
  const provider = new SnapshotProvider({
    hasher,
    timers,
    idleMs: limits.snapshotIdleMs,
    partBytes: transport.capabilities.frameBytesMax - SNAPSHOT_REPLY_OVERHEAD_BYTES,
    take: snapshot,
    followed: (vector) => wal.logs().every(({ id, first }) => first <= vector.lsnOf(id) + 1),
  });
  const convergence = new Convergence({
    hasher,
    wal,
    timers,
    limits,
    logger,
    link,
    peers,
    channels,
    state,
    transfer,
    frameBytesMax: transport.capabilities.frameBytesMax,
    foldVersion,
    // Keys may be gone with an erasure that a damaged log does not tell of: what was under them is missing here.
    comparable: () => options.keys === undefined || !mender.needed,
    replayed: options.applied === undefined,
    diverged: options.diverged,
  });
  const engine = new ReconciliationEngine(
    reconcileThrough({ wal, receiver, repair, timers, isOwn: (id) => ownLogs.isOwn(id) }),
  );
  const heard = (peer: Peer): void => {
    counts.acksHeard += 1;
    for (const shipper of shippers.values())
      shipper.acknowledged(peer.region, peer.reported.lsnOf(shipper.log.id));
    advance();
    for (const shipper of shippers.values())
      shipper.release(stability.frontier.lsnOf(shipper.log.id), timers.now());
    mender.check();
  };
  const exchange = new Exchange({
    self,
    schema: options.schema,
    membership,
    agreedDigest,
    wal,
    timers,
    logger,
    link,
    peers,
    ownLogs,
    engine,
    repair,
    stability,
    ack: currentAck,
    heard,
  });
  const agreement = new Agreement({
    self,
    membership,
    peers,
    wal,
    link,
    timers,
    logger,
    peerSilentMs: limits.peerSilentMs,
    removeAfterMs: options.removeAfterMs,
    fenced: () => fence.closed,
  });
  const answers = new Answers({
    codec,
    wal,
    membership,
    agreedDigest,
    rangeBytes: transport.capabilities.frameBytesMax - RANGE_REPLY_OVERHEAD_BYTES,
    isPeer: (region) => peers.get(region) !== undefined,
    ack: currentAck,
    certificate: () => convergence.comparison(),
    damaged: (log, error) => mender.damaged(log, error),
    details: (slots, detail) => {
      const bytesMax = Math.floor(transport.capabilities.frameBytesMax / 2);
      return digestDetails(channels, { slots, detail }, { replayed: convergence.replayed, bytesMax });
    },
    snapshot: async (token) => (replication.joining || fence.closed ? undefined : provider.part(token)),
    propose: (region, phase, list) => agreement.answer(region, phase, list),
    told: (region, theirDigest, ack, schema) => void exchange.told(region, theirDigest, ack, schema),
    schema: options.schema,
    relay: role === "follower" ? undefined : options.relay,
    keys: options.keys,
    hasher,
    logger,
  });

  const subscriptions = new Subscriptions({ self, link, receiver, exchange });
  const membersChanged = (list: Membership): void => {
    const map = routerOf(list).format();
    if (map !== slotMap) ownLogs.moveSlots(list.shards);
    slotMap = map;
    peers.set(list, timers.now());
    stability.setMembers(list.version, peers.regions(), timers.now());
    for (const shipper of shippers.values()) shipper.setFollowers(peers.regions());
    fence.listed(list);
    const asked = (): void => {
      exchange.withAll("all");
      repair.restart();
      acks.now();
    };
    // Who came is asked once it is listened to: nothing falls between.
    void subscriptions.set(list).then(asked);
    advance();
  };
  let slotMap = routerOf(membership.list).format();

  fence.listed(membership.list);
  for (const log of wal.logs()) await transfer.follow(log);
  replaying = false;
  advance();

  const listening = subscriptions.set(membership.list);
  link.serve(self, (frame) => answers.answer(frame));
  const stopStatus = transport.onStatus((status) => {
    logger.info({ state: status.state, reason: status.reason }, "The medium changed its state");
    events.medium?.(status);
    if (status.state === "closed" || status.state === "connecting") return;
    // Also when degraded: one link may have healed while another is down.
    exchange.withAll("all");
    repair.restart();
  });
  // The first ack asks for vectors as well, after listening began: what is published meanwhile is heard, what
  // was before is in the vectors.
  void listening.then(() => {
    acks.start();
    convergence.start();
    if (transfer.lost) transfer.need();
  });

  const view = new ClusterView({
    wal,
    transport,
    timers,
    limits,
    membership,
    fence,
    codec,
    poison,
    state,
    stability,
    peers,
    exchange,
    applier,
    ownLogs,
    receiver,
    repair,
    lag,
    shippers,
    convergence,
    transfer,
    mender,
    retention,
  });
  const coverage = new Coverage({
    self,
    membership,
    state,
    peers,
    wal,
    isCurrent: (log) => ownLogs.isOwn(log),
  });
  const replication: RegionReplication = new RegionReplication({
    role,
    freshDirectory,
    self,
    hasher,
    timers,
    membership,
    fence,
    agreement,
    channels,
    state,
    stability,
    peers,
    link,
    waits,
    coverage,
    ownLogs,
    receiver,
    repair,
    exchange,
    acks,
    applier,
    shippers,
    poison,
    view,
    convergence,
    counts,
    stopStatus,
    transfer,
    provider,
    snapshot,
    mender,
    retention,
  });
  return replication;
}
