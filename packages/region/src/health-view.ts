import type { SignalLedger, SignalSchema } from "@tidemark/signals";
import type { Log } from "@tidemark/wal";
import type { RegionParts, Running } from "./running.ts";
import type { RegionHealth } from "./health.ts";
import type { RegionPolicies } from "./region-policies.ts";
import { toHex } from "./hex.ts";

/** What health is drawn from. */
export interface HealthSources {
  readonly parts: RegionParts;
  readonly running: Running | undefined;
  readonly closed: boolean;
  /** What keeps the region from joining. */
  readonly problem: unknown;
  readonly refused: ReadonlyMap<string, number>;
  readonly policies: RegionPolicies;
}

/** Draws health from counters: what it costs does not grow with the sessions. */
export function drawHealth({
  parts,
  running,
  closed,
  problem,
  refused,
  policies,
}: HealthSources): RegionHealth {
  const { wal, options, transport, reducers } = parts;
  const replication = running?.replication.health();
  const counts = running?.fold.stats();
  const logs = (channel: "signals" | "sessions"): Log[] =>
    (running?.replication.ownLogs(channel) ?? []).flatMap((id) => wal.log(id) ?? []);
  const sum = (of: readonly Log[], value: (log: Log) => number): number =>
    of.reduce((total, log) => total + value(log), 0);
  const [signals, sessions] = [logs("signals"), logs("sessions")];
  const duplicatesBy = {
    retries: running?.bridge.duplicates ?? 0,
    operations: counts?.duplicates ?? 0,
    frames: running?.replication.metrics().duplicatesHeld ?? 0,
  };
  const unsaved = running?.keys?.problem;
  const state = unsaved !== undefined && replication?.state === "ready" ? "degraded" : replication?.state;
  const erasing = unsaved === undefined ? [] : [`Cannot write the keys of users: ${messageOf(unsaved)}`];
  return {
    status: closed ? "closed" : (state ?? (problem === undefined ? "joining" : "degraded")),
    reasons: [
      ...coldReasons(running),
      ...erasing,
      ...reducers.reasons(),
      ...(replication?.reasons ?? [
        problem === undefined ? "No member has told its cluster yet" : messageOf(problem),
        ...(transport.status.state === "ready"
          ? []
          : [`The medium is ${transport.status.state}: ${transport.status.reason ?? "no reason given"}`]),
      ]),
    ],
    role: options.role ?? "member",
    opsApplied: counts?.effects ?? 0,
    duplicates: duplicatesBy.retries + duplicatesBy.operations + duplicatesBy.frames,
    duplicatesBy,
    refused: Object.fromEntries(refused),
    policies: policies.health(),
    reducers: reducers.health(),
    purged: counts?.purged ?? 0,
    withheld: counts?.withheld ?? 0,
    forks: counts?.forks ?? 0,
    conflicts: counts?.conflicts ?? 0,
    unknownOps: counts?.unknown ?? 0,
    signals: signalsOf(options.schema, running?.ledgers ?? []),
    unhidesPending: counts?.unhidesPending ?? 0,
    walSegments: closed ? 0 : wal.segmentCount(),
    durableLsn: {
      signals: sum(signals, ({ durable }) => durable.lsn),
      sessions: sum(sessions, ({ durable }) => durable.lsn),
    },
    queue: {
      records: sum([...signals, ...sessions], ({ queue }) => queue.records),
      bytes: sum([...signals, ...sessions], ({ queue }) => queue.bytes),
    },
    replication,
  };
}

function signalsOf(
  schema: SignalSchema | undefined,
  ledgers: readonly SignalLedger[],
): RegionHealth["signals"] {
  const stats = ledgers.map((ledger) => ledger.stats());
  const sum = (count: "entities" | "folded" | "unfolded" | "conflicts"): number =>
    stats.reduce((total, each) => total + each[count], 0);
  return {
    ...(schema === undefined ? {} : { schema: toHex(schema.digest) }),
    entities: sum("entities"),
    folded: sum("folded"),
    unfolded: sum("unfolded"),
    conflicts: sum("conflicts"),
  };
}

function coldReasons(running: Running | undefined): string[] {
  const failures = running?.fold.sessions.failures ?? 0;
  return failures === 0
    ? []
    : [`The scratch file of cold sessions refused ${failures} writes: they stay in memory`];
}

function messageOf(problem: unknown): string {
  if (!(problem instanceof Error)) return String(problem);
  return "code" in problem ? `${String(problem.code)}: ${problem.message}` : problem.message;
}
