import { formatLogId, type LogId, type RegionId } from "@tidemark/core";
import { Vector, type VectorEntry } from "@tidemark/wal";

/** A stored segment, as retention sees it. */
export interface RetainedSegment {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly bytes: number;
}

/** A stored log, as retention sees it. */
export interface RetainedLog {
  readonly log: LogId;
  readonly durable: VectorEntry;
  /** In order. */
  readonly segments: readonly RetainedSegment[];
}

/** What {@link planRetention} decides from. */
export interface RetentionEvidence {
  readonly logs: readonly RetainedLog[];
  /** The older of the two newest verified checkpoints; `undefined` while there are not two. */
  readonly checkpoint: Vector | undefined;
  /** What each other member of the current list has acked. */
  readonly acked: ReadonlyMap<RegionId, Vector>;
  /** Members whose acks do not count now: not heard in this run, or under another list. All is kept for them, up to the cap. */
  readonly uncounted?: ReadonlySet<RegionId>;
  /** What a snapshot that is being served covers: its tail is kept. */
  readonly serving?: Vector | undefined;
  /** The newest bytes of the logs that grow, kept in any case; an epoch that is over needs none. */
  readonly keepBytes: number;
  /** What is kept at most for one member that lags. */
  readonly capBytes: number;
}

/** What may go, and who is left behind by it. */
export interface RetentionPlan {
  /** Whole segments at or below may be removed. */
  readonly floor: Vector;
  /** Members that need more than the cap: they need a snapshot, and nothing is kept for them. */
  readonly needSnapshot: readonly RegionId[];
}

/**
 * Decides how far logs may be cut: below what two checkpoints cover, what every member has acked, and the newest bytes that
 * are kept in any case. A member that would need more than the cap is left behind, and needs a snapshot.
 */
export function planRetention(evidence: RetentionEvidence): RetentionPlan {
  const { logs, checkpoint, acked, uncounted, serving, keepBytes, capBytes } = evidence;
  const needSnapshot = [...acked]
    .filter(([, vector]) => bytesAbove(logs, vector) > capBytes || isGone(logs, vector))
    .map(([region]) => region)
    .toSorted((a, b) => a - b);
  if (checkpoint === undefined) return { floor: Vector.empty, needSnapshot };
  const counted = [...acked]
    .filter(([region]) => !needSnapshot.includes(region))
    .map(([region, vector]) => (uncounted?.has(region) === true ? Vector.empty : vector));
  const kept = keptFrom(logs, keepBytes);
  const floor = Vector.empty.builder();
  for (const { log, durable } of logs) {
    let lsn = Math.min(checkpoint.lsnOf(log), (kept.get(formatLogId(log)) ?? durable.lsn + 1) - 1);
    for (const vector of counted) lsn = Math.min(lsn, vector.lsnOf(log));
    if (serving !== undefined) lsn = Math.min(lsn, serving.lsnOf(log));
    if (lsn > 0) floor.set({ log, lsn, digest: durable.digest });
  }
  return { floor: floor.build(), needSnapshot };
}

/** Whether something above a vector was removed already. */
function isGone(logs: readonly RetainedLog[], vector: Vector): boolean {
  return logs.some(({ log, segments }) => (segments[0]?.firstLsn ?? 1) > vector.lsnOf(log) + 1);
}

/** Bytes of all segments that hold anything above a vector. */
function bytesAbove(logs: readonly RetainedLog[], vector: Vector): number {
  let bytes = 0;
  for (const { log, segments } of logs) {
    const lsn = vector.lsnOf(log);
    for (const segment of segments) if (segment.lastLsn > lsn) bytes += segment.bytes;
  }
  return bytes;
}

/** The first LSN kept in any case: each log that may still grow keeps its share of the newest bytes. */
function keptFrom(logs: readonly RetainedLog[], keepBytes: number): Map<string, number> {
  const growing = new Map<string, RetainedLog>();
  for (const entry of logs) {
    const { region, shard, channel, epoch } = entry.log;
    const key = `${region} ${shard} ${channel}`;
    if (epoch >= (growing.get(key)?.log.epoch ?? 0)) growing.set(key, entry);
  }
  const share = keepBytes / growing.size;
  const kept = new Map<string, number>();
  for (const { log, segments } of growing.values()) {
    let bytes = 0;
    for (const segment of segments.toReversed()) {
      if (bytes >= share) break;
      bytes += segment.bytes;
      kept.set(formatLogId(log), segment.firstLsn);
    }
  }
  return kept;
}
