import { openMemoryKv } from "@tidemark/kv";
import fc from "fast-check";
import { expect, test } from "vitest";
import { JournalNetwork } from "../../session-store/test/journal-network.ts";
import { Zones } from "../src/index.ts";
import { stateText } from "./zones-on-memory.ts";

const NAMES = ["us-east", "eu-west", "ap-south"] as const;
const NONE = { revision: 1, logOffset: 0 };

/** Regions that hear of each other when the test says so, each with a store of its own. */
class Regions {
  nowMs: number = 1_790_000_000_000;
  readonly network: JournalNetwork;
  readonly zones: readonly Zones[];

  constructor(options: { readonly window?: number } = {}) {
    this.network = new JournalNetwork(NAMES, { entryBytesMax: 10_000, ...options });
    this.zones = NAMES.map((name, clockId) => {
      const kv = openMemoryKv({ nowMs: () => this.nowMs });
      return new Zones({ kv, journal: this.network.journal(name), clockId });
    });
  }

  /** What each region shows of an agent. */
  shown(id: string): Promise<unknown[]> {
    return Promise.all(
      this.zones.map(async (zones) => {
        const archives = [];
        for (const row of await zones.listArchives(id, { limit: 100 }))
          archives.push([row, await zones.readArchive(id, row.archivedAtMs)]);
        return [(await zones.recoverSession(id)) ?? null, archives];
      }),
    );
  }
}

test("ZON-8 a current zone is readable in another region after lag, with its log and its archives", async () => {
  const regions = new Regions();
  const [us, eu] = regions.zones as [Zones, Zones];
  const { end } = await us.appendSessionOutput("a", ["one"]);
  const text = stateText("hello", "x".repeat(150_000));
  await us.writeSessionState("a", text, { revision: 1, logOffset: end, session: "s" });
  await us.appendSessionOutput("a", ["two"]);
  expect(await eu.recoverSession("a")).toBeUndefined();
  expect([await us.isReplicated("a"), await us.isReplicated("b"), await eu.isReplicated("a")]).toEqual([
    true,
    false,
    false,
  ]);
  regions.network.deliverAll();
  expect(await eu.recoverSession("a")).toEqual(await us.recoverSession("a"));
  expect(await eu.recoverSession("a")).toMatchObject({
    state: { text, session: "s" },
    entries: [{ value: "two" }],
  });
  // And goes on there.
  await eu.appendSessionOutput("a", ["three"]);
  const archived = await eu.archiveSession("a");
  regions.network.deliverAll();
  expect((await us.readArchive("a", archived!.archivedAtMs)).entries.map(({ value }) => value)).toEqual([
    "two",
    "three",
  ]);
});

test("ZON-8 A-28 what one region archived is current in none, also where somebody wrote it who had not heard", async () => {
  const regions = new Regions();
  const [us, eu] = regions.zones as [Zones, Zones];
  await us.writeSessionState("a", stateText("first"), NONE);
  regions.network.deliverAll();
  const archived = await us.archiveSession("a");
  await us.writeSessionState("a", stateText("second"), NONE);
  // Later, by a clock that is ahead, and without having heard.
  regions.nowMs += 60_000;
  await eu.writeSessionState("a", stateText("late"), { revision: 2, logOffset: 0 });
  regions.network.deliverAll();
  for (const zones of regions.zones) {
    expect((await zones.readSessionState("a"))?.text).toBe(stateText("second"));
    // Nothing is lost: what came late is in the archive.
    expect((await zones.readArchive("a", archived!.archivedAtMs)).state?.text).toBe(stateText("late"));
    expect(await zones.listArchives("a")).toHaveLength(1);
  }
});

test("ZON-8 A-26 A-28 two regions that began a conversation at once show one, and archive both", async () => {
  const regions = new Regions();
  const [us, eu, ap] = regions.zones as [Zones, Zones, Zones];
  await us.writeSessionState("a", stateText("of us"), NONE);
  await eu.writeSessionState("a", stateText("of eu"), NONE);
  regions.network.deliverAll();
  const [first, ...others] = await regions.shown("a");
  for (const other of others) expect(other).toEqual(first);
  await ap.archiveSession("a");
  regions.network.deliverAll();
  for (const zones of regions.zones) {
    expect(await zones.readSessionState("a")).toBeUndefined();
    expect((await zones.listArchives("a")).map(({ preview }) => preview).toSorted()).toEqual([
      "of eu",
      "of us",
    ]);
  }
  // What is deleted in one region is deleted in all, also if another writes it meanwhile.
  const [{ archivedAtMs } = { archivedAtMs: 0 }] = await us.listArchives("a");
  await us.deleteArchive("a", archivedAtMs);
  await eu.restoreArchive("a", (await eu.listArchives("a"))[1]!.archivedAtMs);
  regions.network.deliverAll();
  const [shown, ...same] = await regions.shown("a");
  for (const other of same) expect(other).toEqual(shown);
  expect(await us.listArchives("a")).toEqual([]);
  expect(await us.readSessionState("a")).toBeDefined();
});

test("ZON-8 A-28 what one region deleted does not come back where somebody wrote it who had not heard", async () => {
  const regions = new Regions();
  const [us, eu] = regions.zones as [Zones, Zones];
  await us.writeSessionState("a", stateText("first"), NONE);
  regions.network.deliverAll();
  const { archivedAtMs } = (await us.archiveSession("a"))!;
  await us.deleteArchive("a", archivedAtMs);
  regions.nowMs += 60_000;
  await eu.writeSessionState("a", stateText("late"), { revision: 2, logOffset: 0 });
  regions.network.deliverAll();
  for (const zones of regions.zones) {
    expect(await zones.currentSession("a")).toBeUndefined();
    expect(await zones.listArchives("a")).toEqual([]);
  }
});

test("ZON-8 a region that was away for longer than a journal keeps reads what is current, and says where a log has a gap", async () => {
  const regions = new Regions({ window: 10 });
  const [us, eu] = regions.zones as [Zones, Zones];
  const ends: number[] = [];
  for (let at = 0; at < 30; at++) ends.push((await us.appendSessionOutput("a", ["x".repeat(900), at])).end);
  for (let at = 0; at < 20; at++)
    await us.writeSessionState("a", stateText(`${at}`), { revision: at, logOffset: ends[3]! });
  await us.appendSessionOutput("a", ["last"]);
  regions.network.deliverAll();
  const recovered = await eu.recoverSession("a");
  expect(recovered).toMatchObject({
    state: { text: stateText("19"), revision: 19 },
    entries: [],
    gapAt: ends[3],
  });
  expect(recovered?.end).toBe((await us.recoverSession("a"))?.end);
  // The next snapshot covers what is missing.
  await us.writeSessionState("a", stateText("whole"), { revision: 20, logOffset: recovered!.end });
  await us.appendSessionOutput("a", ["after"]);
  regions.network.deliverAll();
  expect(await eu.recoverSession("a")).toEqual(await us.recoverSession("a"));
  expect((await eu.recoverSession("a"))?.entries.map(({ value }) => value)).toEqual(["after"]);
});

test("ZON-8 a region that follows has at hand what was written elsewhere, and lists its agents", async () => {
  const regions = new Regions();
  const [us, eu] = regions.zones as [Zones, Zones];
  const stop = new AbortController();
  const following = eu.follow(stop.signal, (definition, error) => {
    throw new Error(definition, { cause: error });
  });
  await us.writeSessionState("a", stateText("said"), NONE);
  regions.network.deliverAll();
  await expect.poll(() => eu.definitions()).toEqual(["a"]);
  stop.abort();
  await following;
  expect(await eu.currentSession("a")).toMatchObject({ preview: "said" });
});

type Step =
  | { readonly do: "write" | "append" | "archive" | "delete" | "restore"; readonly region: number }
  | { readonly do: "deliver"; readonly from: number; readonly to: number; readonly count: number }
  | { readonly do: "fail"; readonly when: "before" | "after" }
  | { readonly do: "clock"; readonly ms: number };

const region = fc.nat({ max: 2 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(["write", "append", "append", "append", "archive", "delete", "restore"] as const),
      ),
      region,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      from: region,
      to: region,
      count: fc.nat({ max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      when: fc.constantFrom("before" as const, "after" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("clock" as const), ms: fc.integer({ min: -20, max: 20 }) }),
  },
);

test("ZON-8 A-28 whatever regions do without having heard of each other, they show the same in the end, and nothing archived is current", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const regions = new Regions();
      let count = 0;
      for (const one of steps) {
        if (one.do === "deliver") regions.network.deliver(NAMES[one.from]!, NAMES[one.to]!, one.count);
        else if (one.do === "fail") regions.network.failing = one.when;
        else if (one.do === "clock") regions.nowMs += one.ms;
        else {
          const zones = regions.zones[one.region]!;
          const expected = regions.network.failing;
          const call = async (): Promise<unknown> => {
            if (one.do === "write")
              return zones.writeSessionState("a", stateText(`${(count += 1)}`), {
                revision: count,
                logOffset: (await zones.currentSession("a"))?.end ?? 0,
              });
            if (one.do === "append")
              return zones.appendSessionOutput("a", ["x".repeat(((count += 1) % 7) * 1_000)]);
            if (one.do === "archive") return zones.archiveSession("a");
            const [row] = await zones.listArchives("a");
            if (row === undefined) return undefined;
            return one.do === "delete"
              ? zones.deleteArchive("a", row.archivedAtMs)
              : zones.restoreArchive("a", row.archivedAtMs);
          };
          await call().catch((error: unknown) => {
            if (expected === undefined) throw error;
          });
        }
      }
      regions.network.failing = undefined;
      regions.network.deliverAll();
      const [first, ...others] = await regions.shown("a");
      for (const other of others) expect(other).toEqual(first);
      const [us] = regions.zones as [Zones];
      await us.archiveSession("a");
      regions.network.deliverAll();
      for (const zones of regions.zones) expect(await zones.currentSession("a")).toBeUndefined();
    }),
    { numRuns: 80 },
  );
});
