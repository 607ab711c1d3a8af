import { nobleHasher, regionId } from "@tidemark/core";
import type { WalBatch } from "@tidemark/wal";
import { writeCheckpoint } from "@tidemark/wal";
import { expect, test } from "vitest";
import type { DigestObjectEntry, DivergenceReport } from "../src/index.ts";
import { TestCluster, type NodeOptions } from "./cluster.ts";
import { ModelState } from "./model-state.ts";

/** A state of texts that knows its slots, and that can be made to fold wrongly. */
class SlottedState extends ModelState {
  /** Texts that are folded as something else, and how often. */
  wrong: Map<string, number> = new Map();
  resets = 0;
  #slots: { key: string; map: Map<number, DigestObjectEntry[]> } | undefined;

  override apply(batch: WalBatch): void {
    super.apply(batch);
    for (const records of this.applied.values()) {
      for (const record of records) {
        const times = this.wrong.get(record.text) ?? 0;
        if (times === 0) continue;
        this.wrong.set(record.text, times - 1);
        record.text = `${record.text} gone wrong`;
      }
    }
  }

  objects(slot: number): readonly DigestObjectEntry[] {
    return this.#bySlot().get(slot) ?? [];
  }

  slotDigest(slot: number): Uint8Array {
    const objects = this.objects(slot);
    return objects.length === 0 ? new Uint8Array(32) : hash(objects.map(({ id }) => id).join("\n"));
  }

  /** Made again only when something changed: there are 4,096 slots to ask for. */
  #bySlot(): Map<number, DigestObjectEntry[]> {
    const texts = this.texts();
    const key = texts.join("\n");
    if (this.#slots?.key === key) return this.#slots.map;
    const map = new Map<number, DigestObjectEntry[]>();
    for (const id of texts) {
      const slot = slotOf(id);
      map.set(slot, [
        ...(map.get(slot) ?? []),
        { kind: 1, id, digest: Buffer.from(id.padEnd(32)).subarray(0, 32) },
      ]);
    }
    this.#slots = { key, map };
    return map;
  }

  override reset(): void {
    this.resets += 1;
    this.applied.clear();
  }
}

const hash = (text: string): Uint8Array =>
  nobleHasher.digest("tidemark test state", new TextEncoder().encode(text));
const slotOf = (text: string): number => {
  let sum = 7;
  for (const char of text.replace(" gone wrong", "")) sum = (sum * 31 + char.charCodeAt(0)) % 4_096;
  return sum;
};
const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => `text ${at}`);

interface Pair {
  readonly cluster: TestCluster;
  readonly states: Record<string, SlottedState>;
  readonly reports: Record<string, DivergenceReport[]>;
}

async function pair(options: NodeOptions = {}): Promise<Pair> {
  const cluster = new TestCluster(["a", "b"]);
  const states: Record<string, SlottedState> = {};
  const reports: Record<string, DivergenceReport[]> = {};
  for (const name of ["a", "b"]) {
    const told: DivergenceReport[] = (reports[name] = []);
    states[name] = new SlottedState();
    const { state } = await cluster.open(name, {
      keeps: true,
      ...options,
      state: states[name],
      diverged: (report) => told.push(report),
    });
    void state;
  }
  await cluster.timers.advance(50);
  return { cluster, states, reports };
}

test("REP-11 equal vectors with unequal states are found by themselves, named, and mended by a replay", async () => {
  const { cluster, states, reports } = await pair();
  await using _ = cluster;
  // Once: a bit of memory went wrong, the logs did not.
  states["b"]!.wrong.set("text 37", 1);
  await cluster.write("a", ...numbered(500));
  await cluster.timers.advance(2_000);
  const { replication } = cluster.node("b");
  expect(states["b"]!.texts()).toContain("text 37 gone wrong");
  expect(replication.health().diverged).toEqual([]);
  await cluster.timers.advance(40_000);
  expect(reports["b"]).toHaveLength(1);
  const [report] = reports["b"]!;
  expect(report).toMatchObject({ peer: 1, slots: 1, truncated: false });
  expect(report!.objects.map(({ id }) => id).toSorted()).toEqual(["text 37", "text 37 gone wrong"]);
  expect(report!.countByKind).toEqual(new Map([[1, 2]]));
  expect(states["b"]!.resets).toBe(1);
  expect(states["b"]!.texts()).toEqual(states["a"]!.texts());
  expect(replication.health().diverged).toEqual([]);
  expect(replication.joining).toBe(false);
  expect((await cluster.timers.until(replication.requestCertificate(regionId(1)))).verdict).toBe("equal");
  // And it goes on.
  await cluster.write("b", "after");
  await cluster.timers.advance(100);
  expect(states["a"]!.texts()).toEqual(states["b"]!.texts());
});

test("REP-11 a fold that is wrong every time stays DIVERGED: reported with kinds and counts, replayed once, never merged", async () => {
  const { cluster, states, reports } = await pair();
  await using _ = cluster;
  states["b"]!.wrong.set("text 3", Number.POSITIVE_INFINITY);
  await cluster.write("a", ...numbered(20));
  await cluster.timers.advance(200_000);
  for (const name of ["a", "b"]) {
    const health = cluster.node(name).replication.health();
    expect(health.diverged, name).toHaveLength(1);
    const reason = health.reasons.find((line) => line.startsWith("DIVERGED"))!;
    expect(reason).toContain("2 of kind 1");
    // Ids are for the callback, not for a page that many read.
    expect(JSON.stringify(health)).not.toContain("text 3");
    expect(states[name]!.resets, name).toBe(1);
    expect(reports[name], name).toHaveLength(1);
  }
  expect(states["a"]!.texts()).not.toContain("text 3 gone wrong");
});

test("REP-11 where logs are trimmed, the side that replayed gives its state, and the other one takes it", async () => {
  const { cluster, states } = await pair({ segmentBytes: 4_096 });
  await using _ = cluster;
  for (let round = 0; round < 10; round++)
    await cluster.write("a", ...numbered(20).map((text) => `${round} ${text} ${"x".repeat(60)}`));
  await cluster.timers.advance(1_000);
  const disk = cluster.disk("b");
  await writeCheckpoint(disk, "data", nobleHasher, await cluster.node("b").replication.snapshot());
  await cluster.stop("b");
  const segments = (await disk.list("data/sessions")).filter((file) => file.endsWith(".wal")).toSorted();
  for (const segment of segments.slice(0, -1)) await disk.unlink(`data/sessions/${segment}`);
  const state = new SlottedState();
  const { replication } = await cluster.open("b", { keeps: true, state });
  await cluster.timers.advance(1_000);
  expect(state.texts()).toEqual(states["a"]!.texts());
  // What it restored was wrong, and its logs no longer say what is right.
  state.applied
    .values()
    .next()
    .value!.find(({ text }) => text.startsWith("3 text 4"))!.text = "3 nothing";
  await cluster.timers.advance(100_000);
  expect(state.resets).toBe(0);
  expect(replication.metrics().snapshotsRestored).toBe(1);
  expect(state.texts()).toEqual(states["a"]!.texts());
  expect(replication.health().diverged).toEqual([]);
});

test("REP-11 a divergence is narrowed in two questions a channel, and writes that go on only make it take longer", async () => {
  const { cluster, states, reports } = await pair({ limits: { certificateMs: 0 } });
  await using _ = cluster;
  states["b"]!.wrong.set("text 5", 1);
  await cluster.write("a", ...numbered(1_000));
  await cluster.timers.advance(1_000);
  const { replication } = cluster.node("b");
  const compared = replication.requestCertificate(regionId(1));
  await cluster.write("a", "meanwhile");
  await cluster.timers.until(compared);
  for (let round = 0; round < 20; round++) await cluster.writeOne("a", `more ${round}`);
  await cluster.timers.advance(1_000);
  await cluster.timers.until(replication.requestCertificate(regionId(1)));
  await cluster.timers.advance(5_000);
  expect(reports["b"]).toHaveLength(1);
  expect(reports["b"]![0]!.slots).toBe(1);
  expect(states["b"]!.texts()).toEqual(states["a"]!.texts());
});

test("REP-13 states folded by two versions are not compared: a rolling upgrade is no divergence", async () => {
  const cluster = new TestCluster(["a", "b"]);
  await using _ = cluster;
  const newer = new SlottedState();
  newer.foldVersion = 2;
  newer.digest = () => new Uint8Array(32).fill(2);
  await cluster.open("a", { state: new SlottedState() });
  await cluster.open("b", { state: newer });
  await cluster.timers.advance(50);
  await cluster.write("a", ...numbered(5));
  await cluster.timers.advance(100_000);
  for (const [name, peer] of [
    ["a", 2],
    ["b", 1],
  ] as const) {
    const { replication } = cluster.node(name);
    const { verdict } = await cluster.timers.until(replication.requestCertificate(regionId(peer)));
    expect(verdict).toBe("other-version");
    expect(replication.health().diverged).toEqual([]);
  }
  expect(newer.resets).toBe(0);
});
