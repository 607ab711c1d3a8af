import { readFileSync } from "node:fs";
import { logId } from "@tidemark/core";
import type { LogHealth } from "@tidemark/replication";
import { expect, test } from "vitest";
import { RegionEmitter } from "../src/diagnostics.ts";
import type { RegionParts } from "../src/running.ts";
import { openRegion, REGION_EVENT_NAMES, STATUS_FILE } from "../src/index.ts";
import type { RegionStatus } from "../src/index.ts";
import { Monitor } from "../src/monitor.ts";
import { loneOptions } from "./cluster.ts";
import { ObservedCluster, Recorder } from "./events.ts";

async function statusOn(disk: {
  readFile(path: string): Promise<Uint8Array | undefined>;
}): Promise<RegionStatus> {
  const bytes = await disk.readFile(`data/${STATUS_FILE}`);
  return JSON.parse(new TextDecoder().decode(bytes)) as RegionStatus;
}

test("RGN-2 events tell opening, batches, frames, the medium, members and status, once each, and name no session", async () => {
  await using cluster = new ObservedCluster(["us-east", "eu-west"]);
  await cluster.openAll("us-east", "eu-west");
  const { events } = cluster;
  const east = cluster.region("us-east");
  const session = await east.sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
  await session.hide("the-item");
  await cluster.converged();
  const { region: _, ...applied } = events
    .all("tidemark:batch.applied")
    .find(({ region }) => region === "eu-west")!;
  expect(events.all("tidemark:batch.applied")).toContainEqual({ region: "us-east", ...applied });
  expect(applied).toMatchObject({
    log: expect.stringMatching(/^sessions:r00001/),
    firstLsn: expect.any(Number),
  });
  await events.first("tidemark:frame.published", ({ region, bytes }) => region === "us-east" && bytes > 0);
  await events.first("tidemark:region.metrics", ({ metrics }) => metrics.opsApplied === 2);
  await events.first("tidemark:region.status", ({ region, to }) => region === "us-east" && to === "ready");
  cluster.network.cut("us-east", "eu-west");
  await events.first(
    "tidemark:medium.changed",
    ({ region, state }) => region === "us-east" && state === "degraded",
  );
  const degraded = await events.first(
    "tidemark:region.status",
    ({ region, to, reasons }) =>
      region === "us-east" && to === "degraded" && reasons.join().includes("the link with eu-west is cut"),
  );
  expect(degraded.from).toBe("ready");
  cluster.network.heal();
  await cluster.converged();
  await cluster.close("us-east");
  await events.first("tidemark:region.closed", ({ region }) => region === "us-east");
  expect(events.all("tidemark:region.opened")).toEqual([
    { region: "us-east", id: 1, role: "member" },
    { region: "eu-west", id: 2, role: "member" },
  ]);
  const live = events
    .all("tidemark:peer.changed")
    .filter(({ region, to }) => region === "us-east" && to === "live");
  expect(live).toHaveLength(1);
  expect(JSON.stringify(events.published)).not.toMatch(/the-(session|user|item)/);
  for (const { name } of events.published) expect(REGION_EVENT_NAMES).toContain(name);
});

test("RGN-2 while nobody listens nothing is published", async () => {
  await using cluster = new ObservedCluster(["us-east", "eu-west"]);
  cluster.events.listening = false;
  await cluster.openAll("us-east", "eu-west");
  await cluster.region("us-east").sessions.start({ user: "ada", agent: "scout" });
  await cluster.converged();
  expect(cluster.events.published).toEqual([]);
});

test("RGN-2 a gap is told once it lasts for a second, a stopped log once, and the end of both", async () => {
  const platform = loneOptions();
  const events = new Recorder();
  const seconds: (() => void)[] = [];
  const region = await openRegion({ dir: "data" }, platform);
  const base = region.health();
  await region.close();
  const log = {
    log: logId(1, 0, 7, "sessions"),
    state: "receiving",
    durableLsn: 1,
    appliedLsn: 1,
    stableLsn: 1,
    knownLsn: 9,
  } as const;
  let logs: readonly LogHealth[] = [log];
  const monitor = new Monitor({
    parts: {
      name: "eu-west",
      id: 2,
      platform: {
        ...platform,
        timers: { now: () => 0, setTimer: (_: number, run: () => void) => (seconds.push(run), () => {}) },
      },
      options: { dir: "data" },
    } as unknown as RegionParts,
    emitter: new RegionEmitter("eu-west", events),
    health: () => ({ ...base, status: "ready", replication: { ...base.replication!, logs } }),
    metrics: () => region.metrics(),
  });
  const second = async (now: readonly LogHealth[]): Promise<string[]> => {
    logs = now;
    const before = events.published.length;
    seconds.length = 0;
    monitor.start();
    await new Promise((resolve) => setImmediate(resolve));
    return events.published.slice(before).flatMap(({ name }) => (/gap|stopped/.test(name) ? [name] : []));
  };
  const gap = { from: 2, to: 9 };
  expect(await second([log])).toEqual([]);
  expect(await second([{ ...log, gap }])).toEqual([]);
  expect(await second([log])).toEqual([]);
  expect(await second([{ ...log, gap }])).toEqual([]);
  expect(await second([{ ...log, gap }])).toEqual(["tidemark:gap.opened"]);
  expect(await second([{ ...log, gap }])).toEqual([]);
  expect(await second([log])).toEqual(["tidemark:gap.closed"]);
  expect(await second([{ ...log, state: "stopped", reason: "forked" }])).toEqual(["tidemark:log.stopped"]);
  expect(await second([{ ...log, state: "stopped", reason: "forked" }])).toEqual([]);
  expect(await second([log])).toEqual([]);
  expect(events.all("tidemark:gap.opened")).toEqual([
    { region: "eu-west", log: "sessions:r00001-s00000-e0000000007", ...gap },
  ]);
  await monitor.close();
});

test("RGN-2 status.json is there once a region is open, is kept fresh, and says in the end that it closed", async () => {
  await using cluster = new ObservedCluster(["us-east", "eu-west"]);
  await cluster.openAll("us-east", "eu-west");
  const disk = cluster.disk("us-east");
  const { events } = cluster;
  const session = await cluster
    .region("us-east")
    .sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
  await session.hide("the-item");
  await events.first("tidemark:region.metrics", ({ metrics }) => metrics.opsApplied === 2);
  // The event comes before the file of the same second; by the event of the next it is there.
  const seen = events.all("tidemark:region.metrics").length;
  await events.first(
    "tidemark:region.metrics",
    () => events.all("tidemark:region.metrics").length > seen + 2,
  );
  const status = await statusOn(disk);
  expect(status).toMatchObject({
    format: 1,
    pid: 4711,
    version: "1.2.3",
    name: "us-east",
    id: 1,
    health: { status: "ready", role: "member", replication: { peers: [{ name: "eu-west", lagRecords: 0 }] } },
    metrics: { region: "us-east", opsApplied: 2 },
  });
  expect(Math.abs(Date.now() - status.writtenAtMs)).toBeLessThan(60_000);
  expect(JSON.stringify(status)).not.toMatch(/the-(session|user|item)|heardAtMs|SinceMs/);
  await cluster.close("us-east");
  expect(await statusOn(disk)).toMatchObject({ health: { status: "closed" }, metrics: { status: "closed" } });
  expect(await disk.list("data")).not.toContain(`${STATUS_FILE}.tmp`);
});

test("RGN-2 a status file that cannot be written is said once, and costs nothing else", async () => {
  const platform = loneOptions();
  const lines: string[] = [];
  const note = (_: object, message: string): void => void lines.push(message);
  const events = new Recorder();
  const fs = new Proxy(platform.fs, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (name === "rename") {
        return (from: string, to: string) =>
          to.endsWith(STATUS_FILE) ? Promise.reject(new Error("planted")) : target.rename(from, to);
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const region = await openRegion(
    { dir: "data", logger: { info: note, warn: note, error: note } },
    {
      ...platform,
      fs,
      diagnostics: events,
      timers: { ...platform.timers, setTimer: (_, run) => platform.timers.setTimer(0, run) },
    },
  );
  await region.sessions.start({ user: "ada", agent: "scout" });
  await events.first("tidemark:region.metrics", () => events.all("tidemark:region.metrics").length > 5);
  await region.close();
  expect(lines.filter((line) => line.includes(STATUS_FILE))).toHaveLength(1);
  // One line a state change: opened ready, closed.
  expect(lines.filter((line) => line.startsWith("The region is"))).toEqual([
    "The region is ready",
    "The region is closed",
  ]);
});

test("RGN-2 the README's table has every event, and no other", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const listed = [...readme.matchAll(/^\| `(tidemark:[\w.]+)`/gm)].map(([, name]) => name);
  expect(listed).toEqual(REGION_EVENT_NAMES);
});
