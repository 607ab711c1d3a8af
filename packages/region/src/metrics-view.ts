import { formatLogId } from "@tidemark/core";
import type { LogHealth, PeerState, ReplicationMetrics } from "@tidemark/replication";
import type { RegionParts } from "./running.ts";
import type { RegionHealth } from "./health.ts";
import type { LogMetrics, PeerMetrics, RegionMetrics } from "./metrics.ts";

/** What metrics are drawn from. */
export interface MetricsSources {
  readonly parts: RegionParts;
  readonly health: RegionHealth;
  /** `undefined` while the region does not know its cluster. */
  readonly replication: ReplicationMetrics | undefined;
  readonly fenced: ReadonlyMap<string, number>;
}

const NOTHING_YET: ReplicationMetrics = {
  recordsApplied: 0,
  framesPublished: 0,
  publishFailures: 0,
  acksSent: 0,
  acksHeard: 0,
  batchesStored: 0,
  duplicatesHeld: 0,
  batchesAhead: 0,
  batchesDropped: 0,
  rangesAsked: 0,
  poisonFrames: 0,
  unsignedFramesAccepted: 0,
  waiting: 0,
  receiveAheadBytes: 0,
  snapshotsTaken: 0,
  snapshotsRestored: 0,
  statesRebuilt: 0,
  logsRepaired: 0,
};

/** Draws metrics from counters: what it costs grows with logs and members, not with sessions. */
export function drawMetrics({ parts, health, replication, fenced }: MetricsSources): RegionMetrics {
  const { name, id, wal } = parts;
  const queue = { records: 0, bytes: 0, waiting: 0, waited: 0 };
  for (const log of wal.logs()) {
    if (log.id.region !== id) continue;
    queue.records += log.queue.records;
    queue.bytes += log.queue.bytes;
    queue.waiting += log.queue.waiting;
    queue.waited += log.queue.waited;
  }
  const { opsApplied, withheld, unhidesPending, forks, conflicts, unknownOps } = health;
  return {
    ...(replication ?? NOTHING_YET),
    region: name,
    status: health.status,
    opsApplied,
    duplicates: health.duplicatesBy,
    refused: health.refused,
    fenced: Object.fromEntries(fenced),
    poison: Object.fromEntries(health.replication?.poison.byReason ?? []),
    withheld,
    unhidesPending,
    forks,
    conflicts,
    unknownOps,
    purged: health.purged,
    unjudged: Object.values(health.policies.missing).reduce((sum, count) => sum + count, 0),
    signals: { entities: health.signals.entities, unfolded: health.signals.unfolded },
    membershipVersion: health.replication?.membershipVersion ?? 0,
    queue,
    wal: { bytes: wal.byteCount(), segments: wal.segmentCount() },
    logs: (health.replication?.logs ?? []).map(logMetrics),
    peers: (health.replication?.peers ?? []).map((peer) =>
      peerMetrics(peer, health.replication?.diverged.includes(peer.region) ?? false, parts),
    ),
  };
}

function logMetrics({ log, gap, reason, shippedLsn, ...rest }: LogHealth): LogMetrics {
  const { state, durableLsn, appliedLsn, stableLsn, knownLsn } = rest;
  return {
    log: formatLogId(log),
    state,
    ...(reason === undefined ? {} : { reason }),
    durableLsn,
    ...(shippedLsn === undefined ? {} : { shippedLsn }),
    appliedLsn,
    stableLsn,
    knownLsn,
    gapRecords: gap === undefined ? 0 : gap.to - gap.from + 1,
  };
}

/** Moments on the clock of this process mean nothing outside: they become spans. */
function peerMetrics(peer: PeerState, diverged: boolean, { platform, clock }: RegionParts): PeerMetrics {
  const { name, state, heardAtMs, lagRecords, lagSeconds, needsSnapshot, blocksStabilitySinceMs } = peer;
  const secondsSince = (ms: number): number => Math.max(0, platform.timers.now() - ms) / 1_000;
  const skewMs = clock.skewMs(peer.region);
  return {
    peer: name,
    state,
    ...(heardAtMs === undefined ? {} : { heardSecondsAgo: secondsSince(heardAtMs) }),
    lagRecords,
    lagSeconds,
    ...(skewMs === undefined ? {} : { skewSeconds: skewMs / 1_000 }),
    diverged,
    needsSnapshot,
    blocksStabilitySeconds: blocksStabilitySinceMs === undefined ? 0 : secondsSince(blocksStabilitySinceMs),
  };
}
