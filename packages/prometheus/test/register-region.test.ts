import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegion } from "@tidemark/region/node";
import { REGION_INSTRUMENTS } from "@tidemark/region";
import type { Region } from "@tidemark/region";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { Registry } from "prom-client";
import { afterEach, expect, test } from "vitest";
import { prometheusName, registerRegion } from "../src/index.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Two regions that have exchanged one session, on disk. */
async function twoRegions(): Promise<{ east: Region; west: Region }> {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-prometheus-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  const network = createInProcessNetwork();
  const members = { version: 1, regions: { "us-east": 1, "eu-west": 2 } };
  const open = (name: string): Promise<Region> =>
    openRegion({
      name,
      members,
      dir: join(dir, name),
      transport: network.join(name),
      clusterKey: network.clusterKey,
      bootstrap: name === "us-east",
    });
  const [east, west] = [await open("us-east"), await open("eu-west")];
  cleanups.push(async () => {
    await Promise.all([east.close(), west.close()]);
    await network.close();
  });
  await Promise.all([east.ready(), west.ready()]);
  const session = await east.sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
  await session.hide("the-item");
  await session.close();
  await session.annotate("late");
  await east.synced();
  return { east, west };
}

/** The samples of a text exposition: series to value. */
function samplesOf(text: string): Map<string, number> {
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

test("RGN-2 every instrument of a region is scraped, under Prometheus' conventions, with bounded labels", async () => {
  const { east } = await twoRegions();
  const registry = new Registry();
  registerRegion(registry, east);
  const text = await registry.metrics();
  const names = [...text.matchAll(/^# TYPE (\S+) (counter|gauge)$/gm)].map(([, name, kind]) => {
    expect(name!.endsWith("_total"), name).toBe(kind === "counter");
    expect(name).toMatch(/^tidemark_[a-z_]+$/);
    return name;
  });
  expect(names).toEqual(REGION_INSTRUMENTS.map(prometheusName));
  const samples = samplesOf(text);
  expect(samples.get('tidemark_region_status{region="us-east",code="ready"}')).toBe(1);
  expect(samples.get('tidemark_region_status{region="us-east",code="degraded"}')).toBe(0);
  expect(samples.get('tidemark_operations_applied_total{region="us-east"}')).toBe(3);
  expect(samples.get('tidemark_writes_refused_total{region="us-east",code="SESSION_CLOSED"}')).toBe(1);
  expect(samples.get('tidemark_replication_lag_seconds{region="us-east",peer="eu-west"}')).toBe(0);
  const { logs } = east.metrics();
  for (const { log, durableLsn } of logs)
    expect(samples.get(`tidemark_log_durable_lsn{region="us-east",log="${log}"}`)).toBe(durableLsn);
  for (const [series, value] of samples) {
    const labels = [...series.matchAll(/(\w+)="/g)].map(([, label]) => label);
    expect(["region", "peer", "log", "code"], series).toEqual(expect.arrayContaining(labels));
    expect(Number.isFinite(value), series).toBe(true);
  }
  expect(text).not.toMatch(/the-(session|user|item)/);
});

test("RGN-2 counters do not grow by being scraped, and each scrape draws once", async () => {
  const { east } = await twoRegions();
  const registry = new Registry();
  let drawn = 0;
  const counted = new Proxy(east, {
    get: (target, name) => {
      if (name === "metrics") return () => ((drawn += 1), target.metrics());
      return Reflect.get(target, name, target) as unknown;
    },
  });
  registerRegion(registry, counted);
  const series = 'tidemark_operations_applied_total{region="us-east"}';
  expect(samplesOf(await registry.metrics()).get(series)).toBe(3);
  expect(drawn).toBe(1);
  expect(samplesOf(await registry.metrics()).get(series)).toBe(3);
  expect(drawn).toBe(2);
});

test("RGN-2 two regions share one registry; when the last has left, so have the metrics", async () => {
  const { east, west } = await twoRegions();
  const registry = new Registry();
  const leave = registerRegion(registry, east);
  const leaveToo = registerRegion(registry, west);
  registerRegion(registry, west);
  const both = samplesOf(await registry.metrics());
  for (const region of ["us-east", "eu-west"])
    expect(both.get(`tidemark_operations_applied_total{region="${region}"}`)).toBe(3);
  leave();
  expect([...samplesOf(await registry.metrics()).keys()].join()).not.toContain('region="us-east"');
  leaveToo();
  leaveToo();
  expect(await registry.metrics()).not.toContain("tidemark_");
  registerRegion(registry, east);
  await east.close();
  expect(
    samplesOf(await registry.metrics()).get('tidemark_region_status{region="us-east",code="closed"}'),
  ).toBe(1);
});

test("RGN-2 the README lists every metric, and no other", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const listed = [...readme.matchAll(/^\| `(tidemark_\w+)`/gm)].map(([, name]) => name);
  expect(listed).toEqual(REGION_INSTRUMENTS.map(prometheusName));
});
