import { REGION_INSTRUMENTS } from "@tidemark/region";
import type { Region, RegionInstrument, RegionMetrics } from "@tidemark/region";
import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";
import { prometheusName } from "./names.ts";

/** The regions that are registered with a registry: several share its metrics, told apart by the label `region`. */
const registered: WeakMap<Registry, Set<Region>> = new WeakMap();

/**
 * Exports a region's metrics with a registry of `prom-client`. They are drawn when the registry is scraped, once for
 * all of them; nothing runs in between.
 *
 * Several regions may be registered with one registry, and a region again without effect.
 *
 * @returns Ends it for this region; the metrics go with the last one. A closed region reads as `closed` until then.
 */
export function registerRegion(registry: Registry, region: Region): () => void {
  const regions = registered.get(registry) ?? begin(registry);
  regions.add(region);
  return () => {
    regions.delete(region);
    if (regions.size > 0 || registered.get(registry) !== regions) return;
    registered.delete(registry);
    for (const instrument of REGION_INSTRUMENTS) registry.removeSingleMetric(prometheusName(instrument));
  };
}

function begin(registry: Registry): Set<Region> {
  const regions = new Set<Region>();
  let drawn: readonly RegionMetrics[] | undefined;
  const draw = (): readonly RegionMetrics[] => {
    if (drawn === undefined) {
      drawn = [...regions].map((region) => region.metrics());
      // A scrape asks all metrics in one turn: what was drawn is theirs, and nobody else's.
      queueMicrotask(() => (drawn = undefined));
    }
    return drawn;
  };
  for (const instrument of REGION_INSTRUMENTS) metricOf(instrument, registry, draw);
  registered.set(registry, regions);
  return regions;
}

function metricOf(
  instrument: RegionInstrument,
  registry: Registry,
  draw: () => readonly RegionMetrics[],
): void {
  const { help, kind, labels, read } = instrument;
  const options = {
    name: prometheusName(instrument),
    help,
    labelNames: ["region", ...labels],
    registers: [registry],
  };
  // Drawn anew each time: a log or a member that is gone leaves nothing behind.
  if (kind === "counter") {
    const counter: Counter = new Counter({
      ...options,
      collect: () => {
        counter.reset();
        for (const metrics of draw())
          for (const { labels: of, value } of read(metrics)) counter.inc({ ...of }, value);
      },
    });
    return;
  }
  const gauge: Gauge = new Gauge({
    ...options,
    collect: () => {
      gauge.reset();
      for (const metrics of draw())
        for (const { labels: of, value } of read(metrics)) gauge.set({ ...of }, value);
    },
  });
}
