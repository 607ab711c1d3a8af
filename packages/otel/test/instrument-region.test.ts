import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import type { MetricData } from "@opentelemetry/sdk-metrics";
import { REGION_INSTRUMENTS } from "@tidemark/region";
import { openRegion } from "@tidemark/region/node";
import { afterEach, expect, test } from "vitest";
import { instrumentRegion } from "../src/index.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** The real SDK, with an exporter that keeps what it was given. */
function sdk(): { provider: MeterProvider; collect: () => Promise<MetricData[]> } {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  cleanups.push(() => provider.shutdown());
  return {
    provider,
    collect: async () => {
      exporter.reset();
      await reader.forceFlush();
      return exporter.getMetrics().flatMap((one) => one.scopeMetrics.flatMap(({ metrics }) => metrics));
    },
  };
}

async function loneRegion(): ReturnType<typeof openRegion> {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-otel-"));
  const region = await openRegion({ dir });
  cleanups.push(async () => {
    await region.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const session = await region.sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
  await session.hide("the-item");
  return region;
}

test("RGN-2 the SDK of OpenTelemetry collects every instrument that has a value, with its unit and kind", async () => {
  const region = await loneRegion();
  const { provider, collect } = sdk();
  instrumentRegion(provider.getMeter("test"), region);
  const collected = new Map((await collect()).map((metric) => [metric.descriptor.name, metric]));
  const metrics = region.metrics();
  for (const { name, unit, help, kind, read } of REGION_INSTRUMENTS) {
    const readings = read(metrics);
    const metric = collected.get(name);
    expect(metric?.dataPoints.length ?? 0, name).toBe(readings.length);
    if (metric === undefined) continue;
    expect(metric.descriptor).toMatchObject({ unit, description: help });
    expect(metric.dataPointType).toBe(kind === "counter" ? DataPointType.SUM : DataPointType.GAUGE);
    if (metric.dataPointType === DataPointType.SUM) expect(metric.isMonotonic).toBe(true);
    for (const { attributes } of metric.dataPoints)
      for (const key of Object.keys(attributes)) expect(["region", "peer", "log", "code"]).toContain(key);
  }
  const applied = collected.get("tidemark.operations.applied")!;
  expect(applied.dataPoints).toMatchObject([{ value: 2, attributes: { region: "local" } }]);
  expect(JSON.stringify([...collected.values()])).not.toMatch(/the-(session|user|item)/);
});

test("RGN-2 collecting twice counts once, each draws once, and a region that was ended is not asked again", async () => {
  const region = await loneRegion();
  const { provider, collect } = sdk();
  let drawn = 0;
  const counted = new Proxy(region, {
    get: (target, name) => {
      if (name === "metrics") return () => ((drawn += 1), target.metrics());
      return Reflect.get(target, name, target) as unknown;
    },
  });
  const end = instrumentRegion(provider.getMeter("test"), counted);
  const applied = async (): Promise<unknown> =>
    (await collect()).find(({ descriptor }) => descriptor.name === "tidemark.operations.applied")
      ?.dataPoints[0]?.value;
  expect(await applied()).toBe(2);
  expect(await applied()).toBe(2);
  expect(drawn).toBe(2);
  end();
  await collect();
  expect(drawn).toBe(2);
});

test("RGN-2 the README lists every instrument with its unit, and no other", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const listed = [...readme.matchAll(/^\| `(tidemark\.[\w.]+)`\s*\| (\w+)\s*\| `([^`]+)`/gm)].map((row) =>
    row.slice(1, 4),
  );
  expect(listed).toEqual(REGION_INSTRUMENTS.map(({ name, kind, unit }) => [name, kind, unit]));
});
