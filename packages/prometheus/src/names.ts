import type { RegionInstrument } from "@tidemark/region";

const SUFFIXES: Readonly<Record<string, string>> = { s: "_seconds", By: "_bytes" };

/**
 * The name of an instrument as Prometheus has it: underscores, the base unit, `_total` behind a counter.
 *
 * Source: "Metric and label naming", prometheus.io; the exporter of OpenTelemetry makes the same names.
 *
 * @example
 * ```ts
 * const lag = { name: "tidemark.replication.lag", unit: "s", kind: "gauge" } as const;
 * assert.equal(prometheusName(lag), "tidemark_replication_lag_seconds");
 * const refused = { name: "tidemark.writes.refused", unit: "{write}", kind: "counter" } as const;
 * assert.equal(prometheusName(refused), "tidemark_writes_refused_total");
 * ```
 */
export function prometheusName({
  name,
  unit,
  kind,
}: Pick<RegionInstrument, "name" | "unit" | "kind">): string {
  return `${name.replaceAll(".", "_")}${SUFFIXES[unit] ?? ""}${kind === "counter" ? "_total" : ""}`;
}
