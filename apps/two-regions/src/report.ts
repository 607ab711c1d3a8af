import type { TransportName } from "./transports.ts";

/** What a run measured: exactly the keys and the order that `--json` prints. */
export interface Report {
  readonly ok: boolean;
  readonly transport: TransportName;
  /** Well-formed lines. */
  readonly operations: number;
  /** Of these, the ones the recording, read in order, has refused. */
  readonly refused: number;
  /** The other lines that are not blank. */
  readonly malformed: number;
  readonly regions: readonly RegionReport[];
  readonly visibilityLagMs: Quantiles;
  readonly hiddenShown: number;
  readonly lostOps: number;
  readonly doubleApplied: number;
  readonly roam: RoamReport;
  readonly certificatesEqual: boolean;
  /** Only where regions are processes: the one that was killed on the way. */
  readonly killed?: KilledReport;
}

/** One `kill -9`. */
export interface KilledReport {
  readonly region: string;
  /** Operations that had been played by then. */
  readonly afterOperations: number;
  /** From the kill until the region was open again. */
  readonly downMs: number;
}

/** One region at the end of a run. */
export interface RegionReport {
  readonly name: string;
  readonly role: "member" | "follower";
  /** Distinct operations applied. */
  readonly opsApplied: number;
  /** Deliveries and retries that changed nothing. */
  readonly duplicates: number;
  /** Most items at one read that stayed hidden only because an unhide was not yet stable. */
  readonly withheld: number;
  /** Files in the write-ahead log. */
  readonly walSegments: number;
  readonly durableLsn: { readonly signals: number; readonly sessions: number };
  readonly digest: string;
}

/** What became of the roams. */
export interface RoamReport {
  readonly sessions: number;
  readonly duringPartition: number;
  /** Put off until the link was healed, because the ticket was not complete. */
  readonly deferred: number;
  /** What a device had written and did not find where it came to. */
  readonly ownWritesMissing: number;
}

/** Nearest-rank quantiles, in milliseconds; zeros when nothing was measured. */
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Sums up samples. */
export function quantilesOf(samples: readonly number[]): Quantiles {
  const sorted = Float64Array.from(samples).sort();
  const rank = (share: number): number =>
    round(sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? 0);
  return { p50: rank(0.5), p99: rank(0.99), max: rank(1) };
}

/** Whether every promise held; everything else in a report is a measurement. */
export function isHeld(report: Omit<Report, "ok">): boolean {
  const broken = report.hiddenShown + report.lostOps + report.doubleApplied + report.roam.ownWritesMissing;
  return broken === 0 && report.certificatesEqual;
}

/** The report as a person reads it. */
export function formatReport(report: Report, elapsedMs: number): string {
  const { operations, refused, malformed, visibilityLagMs: lag, roam } = report;
  const played = operations === 0 ? "" : ` in ${(elapsedMs / 1000).toFixed(2)} s`;
  return [
    `${count(operations, "operation")} played${played}: ${operations - refused} accepted, ${refused} refused` +
      (malformed === 0 ? "" : `, and ${count(malformed, "malformed line")}`),
    "",
    ...table([
      ["region", "role", "applied", "duplicates", "withheld", "WAL files", "digest"],
      ...report.regions.map((region) => [
        region.name,
        region.role,
        String(region.opsApplied),
        String(region.duplicates),
        String(region.withheld),
        String(region.walSegments),
        region.digest.slice(0, 16),
      ]),
    ]),
    "",
    ...table([
      ["visible in the other region", `p50 ${lag.p50} ms, p99 ${lag.p99} ms, max ${lag.max} ms`],
      [
        "sessions that roamed",
        `${roam.sessions}, ${roam.duringPartition} of them across the cut link, ${roam.deferred} deferred`,
      ],
      ["own writes missing after a roam", String(roam.ownWritesMissing)],
      ["hidden items shown", String(report.hiddenShown)],
      ["operations lost", String(report.lostOps)],
      ["operations applied twice", String(report.doubleApplied)],
      ...(report.killed === undefined ? [] : [killedRow(report.killed)]),
      ["certificates", report.certificatesEqual ? "equal" : "DIFFERENT"],
    ]),
    "",
    report.ok ? "Every promise held." : "A PROMISE FAILED.",
    "",
  ].join("\n");
}

function killedRow({ region, afterOperations, downMs }: KilledReport): [string, string] {
  return [
    "killed with kill -9",
    `${region} after ${count(afterOperations, "operation")}, back after ${downMs} ms`,
  ];
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd(),
  );
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
