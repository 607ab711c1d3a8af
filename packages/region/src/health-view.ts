import type { Running, RegionParts } from "./engine.ts";
import type { RegionHealth } from "./health.ts";

/** What health is drawn from. */
export interface HealthSources {
  readonly parts: RegionParts;
  readonly running: Running | undefined;
  readonly closed: boolean;
  /** What keeps the region from joining. */
  readonly problem: unknown;
  readonly refused: ReadonlyMap<string, number>;
}

/** Draws health from counters: what it costs does not grow with the sessions. */
export function drawHealth({ parts, running, closed, problem, refused }: HealthSources): RegionHealth {
  const { wal, options, transport } = parts;
  const replication = running?.replication.health();
  const counts = running?.fold.stats();
  const log = (channel: "signals" | "sessions"): ReturnType<typeof wal.log> => {
    const id = running?.replication.ownLog(channel);
    return id === undefined ? undefined : wal.log(id);
  };
  const sessions = log("sessions");
  const duplicatesBy = {
    retries: running?.bridge.duplicates ?? 0,
    operations: counts?.duplicates ?? 0,
    frames: running?.replication.metrics().duplicatesHeld ?? 0,
  };
  return {
    status: closed ? "closed" : (replication?.state ?? (problem === undefined ? "joining" : "degraded")),
    reasons: replication?.reasons ?? [
      problem === undefined ? "No member has told its cluster yet" : messageOf(problem),
      ...(transport.status.state === "ready"
        ? []
        : [`The medium is ${transport.status.state}: ${transport.status.reason ?? "no reason given"}`]),
    ],
    role: options.role ?? "member",
    opsApplied: counts?.effects ?? 0,
    duplicates: duplicatesBy.retries + duplicatesBy.operations + duplicatesBy.frames,
    duplicatesBy,
    refused: Object.fromEntries(refused),
    withheld: counts?.withheld ?? 0,
    forks: counts?.forks ?? 0,
    conflicts: counts?.conflicts ?? 0,
    unknownOps: counts?.unknown ?? 0,
    unhidesPending: counts?.unhidesPending ?? 0,
    walSegments: closed ? 0 : wal.segmentCount(),
    durableLsn: { signals: log("signals")?.durable.lsn ?? 0, sessions: sessions?.durable.lsn ?? 0 },
    queue: { records: sessions?.queue.records ?? 0, bytes: sessions?.queue.bytes ?? 0 },
    replication,
  };
}

function messageOf(problem: unknown): string {
  if (!(problem instanceof Error)) return String(problem);
  return "code" in problem ? `${String(problem.code)}: ${problem.message}` : problem.message;
}
