import type { RegionMetrics } from "./metrics.ts";

/** What a number is of. A code is a reason, a state or an error code: few, and known beforehand. */
export interface InstrumentLabels {
  readonly region: string;
  readonly peer?: string;
  readonly log?: string;
  readonly code?: string;
}

/** One value of an instrument. */
export interface InstrumentReading {
  readonly value: number;
  readonly labels: InstrumentLabels;
}

/** One thing that is counted or measured, for an exporter to name in its own way. */
export interface RegionInstrument {
  /** With dots, as OpenTelemetry has it. */
  readonly name: string;
  /** A counter grows from the start of the process. */
  readonly kind: "counter" | "gauge";
  /** UCUM: `s`, `By`, `1`, or what is counted in braces. */
  readonly unit: string;
  /** One sentence, without a full stop. */
  readonly help: string;
  /** The labels besides `region`. */
  readonly labels: readonly ("peer" | "log" | "code")[];
  readonly read: (metrics: RegionMetrics) => readonly InstrumentReading[];
}

/** As a record, so that a new status cannot be forgotten here. */
const STATUSES: Readonly<Record<RegionMetrics["status"], true>> = {
  ready: true,
  joining: true,
  fenced: true,
  removed: true,
  degraded: true,
  closed: true,
};

/**
 * Every instrument of a region: what the exporters for Prometheus and OpenTelemetry export. Labels are region, peer,
 * log and code, so that their number is bounded; a session id is never one.
 */
export const REGION_INSTRUMENTS: readonly RegionInstrument[] = [
  {
    name: "tidemark.region.status",
    kind: "gauge",
    unit: "1",
    help: "1 for the status the region has, 0 for the others",
    labels: ["code"],
    read: ({ region, status }) =>
      Object.keys(STATUSES).map((code) => ({ value: status === code ? 1 : 0, labels: { region, code } })),
  },
  one("operations.applied", "counter", "{operation}", "Distinct operations applied", (m) => m.opsApplied),
  one(
    "records.applied",
    "counter",
    "{record}",
    "Records applied, own and of others",
    (m) => m.recordsApplied,
  ),
  byCode(
    "duplicates",
    "{delivery}",
    "Deliveries and retries that changed nothing, by what came twice",
    (m) => ({
      ...m.duplicates,
    }),
  ),
  byCode("writes.refused", "{write}", "Writes judged and refused", (m) => m.refused),
  byCode("writes.fenced", "{write}", "Writes that came while the region may not write", (m) => m.fenced),
  byCode("frames.poisoned", "{frame}", "Frames that could not be used, by reason", (m) => m.poison),
  one(
    "hides.withheld",
    "gauge",
    "{item}",
    "Items hidden only until an unhide is known everywhere",
    (m) => m.withheld,
  ),
  one(
    "unhides.pending",
    "gauge",
    "{operation}",
    "Unhides that wait for every member",
    (m) => m.unhidesPending,
  ),
  one("forks", "gauge", "{number}", "Numbers of a session that two operations claim", (m) => m.forks),
  one(
    "conflicts",
    "gauge",
    "{operation}",
    "Operations that disagree and are kept beside each other",
    (m) => m.conflicts,
  ),
  one(
    "operations.unknown",
    "gauge",
    "{operation}",
    "Operations kept for a later version",
    (m) => m.unknownOps,
  ),
  one("queue.records", "gauge", "{record}", "Records that wait to be written", (m) => m.queue.records),
  one("queue.size", "gauge", "By", "What waits to be written", (m) => m.queue.bytes),
  one(
    "queue.waiting",
    "gauge",
    "{caller}",
    "Callers that wait for room in the queue",
    (m) => m.queue.waiting,
  ),
  one("queue.waits", "counter", "{caller}", "Callers that have had to wait for room", (m) => m.queue.waited),
  one("waits", "gauge", "{caller}", "Callers that wait for other regions", (m) => m.waiting),
  one("wal.size", "gauge", "By", "What the logs weigh on disk", (m) => m.wal.bytes),
  one("wal.segments", "gauge", "{file}", "Segment files", (m) => m.wal.segments),
  ofLog("log.durable.lsn", "Last durable LSN", (log) => log.durableLsn),
  ofLog("log.shipped.lsn", "Last LSN the medium took", (log) => log.shippedLsn),
  ofLog("log.applied.lsn", "Last applied LSN", (log) => log.appliedLsn),
  ofLog("log.stable.lsn", "Last LSN that every member has applied", (log) => log.stableLsn),
  ofLog("log.known.lsn", "Highest LSN anybody is known to hold", (log) => log.knownLsn),
  ofLog("log.gap.records", "Records known to exist and missing here", (log) => log.gapRecords),
  ofLog("log.stopped", "1 if the log goes no further", (log) => (log.state === "stopped" ? 1 : 0), "1"),
  ofPeer(
    "replication.lag",
    "s",
    "Since when the member lacks the oldest record it lacks",
    (p) => p.lagSeconds,
  ),
  ofPeer(
    "replication.lag.records",
    "{record}",
    "Records held here that the member has not acked",
    (p) => p.lagRecords,
  ),
  ofPeer("peer.live", "1", "1 if the member was heard of lately", (p) => (p.state === "live" ? 1 : 0)),
  ofPeer("peer.skew", "s", "How far the member's clock is ahead", (p) => p.skewSeconds),
  ofPeer(
    "stability.blocked",
    "s",
    "For how long the member has held stability back",
    (p) => p.blocksStabilitySeconds,
  ),
  one("frames.published", "counter", "{frame}", "Frames the medium took", (m) => m.framesPublished),
  one(
    "publishes.failed",
    "counter",
    "{attempt}",
    "Publishes that failed and were tried again",
    (m) => m.publishFailures,
  ),
  one("acks.sent", "counter", "{ack}", "Acks sent", (m) => m.acksSent),
  one("acks.heard", "counter", "{ack}", "Acks heard", (m) => m.acksHeard),
  one("batches.stored", "counter", "{batch}", "Batches of other regions stored", (m) => m.batchesStored),
  one("batches.ahead", "counter", "{batch}", "Batches that came ahead of a hole", (m) => m.batchesAhead),
  one(
    "batches.dropped",
    "counter",
    "{batch}",
    "Batches dropped at the bound and asked for again",
    (m) => m.batchesDropped,
  ),
  one("snapshots.taken", "counter", "{snapshot}", "Snapshots taken for members", (m) => m.snapshotsTaken),
  one(
    "snapshots.restored",
    "counter",
    "{snapshot}",
    "States of members that replaced what was derived here",
    (m) => m.snapshotsRestored,
  ),
  one(
    "states.rebuilt",
    "counter",
    "{replay}",
    "Replays of all logs because of a divergence",
    (m) => m.statesRebuilt,
  ),
  one("logs.repaired", "counter", "{log}", "Damaged logs repaired from members", (m) => m.logsRepaired),
  one("ranges.asked", "counter", "{request}", "Ranges asked for to fill a hole", (m) => m.rangesAsked),
  one(
    "frames.unsigned",
    "counter",
    "{frame}",
    "Frames accepted without a tag",
    (m) => m.unsignedFramesAccepted,
  ),
  one("receive.ahead.size", "gauge", "By", "What is kept ahead of holes", (m) => m.receiveAheadBytes),
  one(
    "membership.version",
    "gauge",
    "1",
    "Version of the list of members in force",
    (m) => m.membershipVersion,
  ),
  ofPeer("peer.diverged", "1", "1 if the member has another state at the same vector", (p) =>
    p.diverged ? 1 : 0,
  ),
  ofPeer("peer.snapshot.needed", "1", "1 if what the member lacks is not kept any more", (p) =>
    p.needsSnapshot ? 1 : 0,
  ),
  one("sessions.purged", "gauge", "{session}", "Sessions of which a tombstone is left", (m) => m.purged),
  one(
    "writes.unjudged",
    "counter",
    "{write}",
    "Writes accepted though their policy is not held here",
    (m) => m.unjudged,
  ),
  one("signals.entities", "gauge", "{entity}", "Entities in the ledger", (m) => m.signals.entities),
  one(
    "signals.unfolded",
    "gauge",
    "{signal}",
    "Signals kept for a schema that names them",
    (m) => m.signals.unfolded,
  ),
];

function one(
  name: string,
  kind: RegionInstrument["kind"],
  unit: string,
  help: string,
  value: (metrics: RegionMetrics) => number,
): RegionInstrument {
  return {
    name: `tidemark.${name}`,
    kind,
    unit,
    help,
    labels: [],
    read: (metrics) => [{ value: value(metrics), labels: { region: metrics.region } }],
  };
}

function byCode(
  name: string,
  unit: string,
  help: string,
  counts: (metrics: RegionMetrics) => Readonly<Record<string, number>>,
): RegionInstrument {
  return {
    name: `tidemark.${name}`,
    kind: "counter",
    unit,
    help,
    labels: ["code"],
    read: (metrics) =>
      Object.entries(counts(metrics)).map(([code, value]) => ({
        value,
        labels: { region: metrics.region, code },
      })),
  };
}

function ofLog(
  name: string,
  help: string,
  value: (log: RegionMetrics["logs"][number]) => number | undefined,
  unit: string = "{record}",
): RegionInstrument {
  return {
    name: `tidemark.${name}`,
    kind: "gauge",
    unit,
    help,
    labels: ["log"],
    read: ({ region, logs }) =>
      logs.flatMap((log) => {
        const read = value(log);
        return read === undefined ? [] : [{ value: read, labels: { region, log: log.log } }];
      }),
  };
}

function ofPeer(
  name: string,
  unit: string,
  help: string,
  value: (peer: RegionMetrics["peers"][number]) => number | undefined,
): RegionInstrument {
  return {
    name: `tidemark.${name}`,
    kind: "gauge",
    unit,
    help,
    labels: ["peer"],
    read: ({ region, peers }) =>
      peers.flatMap((peer) => {
        const read = value(peer);
        return read === undefined ? [] : [{ value: read, labels: { region, peer: peer.peer } }];
      }),
  };
}
