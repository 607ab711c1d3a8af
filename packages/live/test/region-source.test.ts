import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Live,
  type LiveItem,
  LiveCursor,
  type LiveRegion,
  type LiveRegionChange,
  type LiveRegionSession,
  openLive,
  openMemoryReplayStore,
  regionSource,
} from "../src/index.ts";
import { LaneTally } from "../src/lane-tally.ts";
import { settle, told } from "./live-world.ts";

/** An operation as it stands in a log: a copy of another stands in a log of its own. */
interface Applied extends LiveRegionChange {
  readonly log: string;
  readonly lsn: number;
}

/** One session in one region: operations in the order they are applied in. A cursor is the count of each log. */
class FakeRegion implements LiveRegion<LiveRegionSession> {
  readonly applied: Applied[] = [];
  /** Readers that are not over. */
  reading = 0;
  /** Operations before it are stored no more. */
  firstStored = 0;
  /** What the latest bearer has seen, as it was said. */
  covered = "";
  refuse: { readonly code: string } | undefined;
  readonly #listeners: Set<(change: { readonly session: string }) => void> = new Set();
  readonly #vector: Record<string, number> = {};
  readonly #lanes: Map<string, { upTo: number; readonly numbers: Set<number> }> = new Map();
  #closed = false;

  readonly sessions: LiveRegion<LiveRegionSession>["sessions"] = {
    get: () => (this.applied.length === 0 ? undefined : this.#session),
    resume: async (_, { cursor }) => {
      this.covered = cursor;
      if (this.refuse !== undefined) throw Object.assign(new Error("refused"), this.refuse);
      return this.#session;
    },
  };

  readonly #session: LiveRegionSession = {
    cursor: () => `c${JSON.stringify(this.#vector)}`,
    lanes: () =>
      new Map([...this.#lanes].map(([lane, { upTo, numbers }]) => [lane, { upTo, count: numbers.size }])),
    changes: (options) => this.#changes(options),
  };

  onChange(listener: (change: { readonly session: string }) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  apply(lane: string, seqno: number, log: string = lane): void {
    const lsn = (this.#vector[log] ?? 0) + 1;
    this.#vector[log] = lsn;
    const known = this.#lanes.get(lane) ?? { upTo: 0, numbers: new Set() };
    this.#lanes.set(lane, known);
    known.numbers.add(seqno);
    while (known.numbers.has(known.upTo + 1)) known.upTo += 1;
    this.applied.push({ kind: "annotate", position: { lane, seqno }, log, lsn });
    this.#tell();
  }

  close(): void {
    this.#closed = true;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener({ session: "s" });
  }

  #changes(options: Parameters<LiveRegionSession["changes"]>[0]): AsyncIterable<LiveRegionChange> {
    // Taken by the call, not when the reading begins.
    return this.#read(options.after === undefined ? this.applied.length : this.firstStored, options);
  }

  async *#read(
    from: number,
    { after, follow = true, signal }: Parameters<LiveRegionSession["changes"]>[0],
  ): AsyncGenerator<LiveRegionChange> {
    const seen = after === undefined ? {} : (JSON.parse(after.slice(1)) as Record<string, number>);
    let at = from;
    const end = this.applied.length;
    let wake = (): void => undefined;
    const listener = (): void => wake();
    this.#listeners.add(listener);
    signal?.addEventListener("abort", listener);
    this.reading += 1;
    try {
      for (;;) {
        signal?.throwIfAborted();
        if (this.#closed || (!follow && at >= end)) return;
        const change = this.applied[at];
        if (change === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        at += 1;
        if (change.lsn > (seen[change.log] ?? 0)) yield change;
      }
    } finally {
      this.reading -= 1;
      this.#listeners.delete(listener);
      signal?.removeEventListener("abort", listener);
    }
  }
}

type Items = AsyncIterator<LiveItem<string>, undefined>;

function open(region: FakeRegion): Live<string> {
  const view = (_: unknown, change?: LiveRegionChange): string =>
    change === undefined
      ? region.applied.map(({ position }) => position.lane + position.seqno).join(" ")
      : change.position.lane + change.position.seqno;
  return openLive({ store: openMemoryReplayStore(), source: regionSource(region, { view }) });
}

async function next(items: Items): Promise<LiveItem<string>> {
  const step = await items.next();
  if (step.done === true) throw new Error("an item was expected");
  return step.value;
}

function shown(item: LiveItem<string>): unknown {
  if (item.kind === "event") return told(item.event.payload);
  const { revision, view } = item.observation;
  return item.kind === "gap" ? `gap ${item.gap.reason}, ${revision} ${view}` : `observed ${revision} ${view}`;
}

async function take(items: Items, count: number): Promise<unknown[]> {
  const taken = [];
  while (taken.length < count) taken.push(shown(await next(items)));
  return taken;
}

function cursorOf(item: LiveItem<string>): LiveCursor {
  return item.kind === "event" ? item.event.cursor : item.observation.cursor;
}

describe("LIV-8 over a region every operation is a commit", () => {
  test("told once, beside the activity of this process, and gone on with behind any item", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    await using live = open(region);
    const session = live.session("s");
    const items = session.watch();
    const seen = [await next(items)];
    region.apply("a", 2);
    session.publish({ kind: "turn_activity", activity: "x" });
    await settle();
    for (let index = 0; index < 2; index++) seen.push(await next(items));
    region.apply("b", 1);
    // A copy of what came before, by another way.
    region.apply("a", 1, "ticket");
    session.publish({ kind: "turn_activity", activity: "y" });
    for (let index = 0; index < 2; index++) seen.push(await next(items));
    expect(shown(seen[0]!)).toBe("observed 1 a1");
    expect(seen.slice(1).map(shown).sort()).toEqual(["committed a2", "committed b1", "x", "y"]);
    const revisions = seen.map((item) => (item.kind === "event" ? item.event.cursor.revision : 1));
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    await items.return!();
    for (const [at, item] of seen.entries()) {
      const rest = seen
        .slice(at + 1)
        .map(shown)
        .sort();
      const resumed = await session.resume(cursorOf(item).toString());
      expect(
        resumed.kind === "replayed" && resumed.events.map(({ payload }) => told(payload)).sort(),
        `behind item ${at}`,
      ).toEqual(rest);
      const again = session.watch({ after: cursorOf(item).toString() });
      expect((await take(again, rest.length)).sort(), `behind item ${at}`).toEqual(rest);
      await again.return!();
    }
  });

  test("in another region activity is a gap, and the commits that were missed follow it, each once", async () => {
    const [us, eu] = [new FakeRegion(), new FakeRegion()];
    for (const region of [us, eu]) region.apply("a", 1);
    await using here = open(us);
    await using there = open(eu);
    const items = here.session("s").watch();
    await take(items, 1);
    us.apply("a", 2);
    here.session("s").publish({ kind: "turn_activity", activity: "x" });
    await next(items);
    const last = cursorOf(await next(items)).toString();
    // In another order, with one that only this region has.
    eu.apply("b", 1);
    eu.apply("a", 2);
    eu.apply("a", 3);
    const watch = there.session("s").watch({ after: last });
    const gap = await next(watch);
    expect(shown(gap)).toBe("gap unavailable, 4 a1 b1 a2 a3");
    // Whoever drops out right behind the gap is given them as well.
    const dropped = there.session("s").watch({ after: cursorOf(gap).toString() });
    for (const one of [watch, dropped]) expect(await take(one, 2)).toEqual(["committed b1", "committed a3"]);
    eu.apply("a", 4);
    there.session("s").publish({ kind: "turn_activity", activity: "y" });
    for (const one of [watch, dropped]) expect((await take(one, 2)).sort()).toEqual(["committed a4", "y"]);
    const answer = await there.session("s").resume(last);
    expect(answer.kind === "gap" && answer.committed?.map(({ payload }) => told(payload))).toEqual([
      "committed b1",
      "committed a3",
      "committed a4",
    ]);
  });

  test("a reader that is behind says what it has seen, and goes on from where it was", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    await using live = open(region);
    const session = live.session("s");
    const { cursor } = await session.observe();
    for (const seqno of [2, 3, 4]) region.apply("a", seqno);
    const items = session.watch({ after: cursor });
    const behind = cursorOf(await next(items));
    await items.return!();
    expect(region.covered).toBe('c{"a":1}');
    const again = session.watch({ after: behind });
    expect(await take(again, 2)).toEqual(["committed a3", "committed a4"]);
    expect(region.covered).toBe('c{"a":4}');
  });

  test("a commit that somebody told the store of comes from the region alone", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    const source = regionSource(region, { view: (_, change) => String(change?.position.seqno) });
    await using store = openMemoryReplayStore();
    await using live = openLive<string>({ store, source });
    const session = live.session("s");
    const items = session.watch();
    const first = await next(items);
    await store.append("s", 9, { kind: "committed", view: "of the store" });
    await session.committed();
    session.publish({ kind: "turn_activity", activity: "x" });
    expect(await take(items, 1)).toEqual(["x"]);
    const resumed = await session.resume(cursorOf(first));
    expect(resumed.kind === "replayed" && resumed.events.map(({ payload }) => told(payload))).toEqual(["x"]);
  });

  test("what cannot be told without a hole is a gap, and the watch goes on behind a fresh observation", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    await using live = open(region);
    const session = live.session("s");
    const { cursor } = await session.observe();
    for (const seqno of [2, 3, 4]) region.apply("a", seqno);
    region.firstStored = 3;
    const items = session.watch({ after: cursor });
    expect(await take(items, 2)).toEqual(["committed a4", "gap unavailable, 4 a1 a2 a3 a4"]);
    region.apply("a", 5);
    expect(await take(items, 1)).toEqual(["committed a5"]);
    expect(await session.resume(cursor)).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
  });

  test.each(["CURSOR_FORGED", "POSITION_UNKNOWN", "SESSION_UNKNOWN"])(
    "a session cursor that is %s is a gap",
    async (code) => {
      const region = new FakeRegion();
      region.apply("a", 1);
      await using live = open(region);
      const { cursor } = await live.session("s").observe();
      region.refuse = { code };
      const items = live.session("s").watch({ after: cursor });
      expect(await take(items, 1)).toEqual(["gap unavailable, 1 a1"]);
    },
  );

  test("what a region does not have yet ends the watch with what it says", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    await using live = open(region);
    const { cursor } = await live.session("s").observe();
    region.refuse = { code: "NOT_YET_VISIBLE" };
    await expect(live.session("s").watch({ after: cursor }).next()).rejects.toMatchObject(region.refuse);
    await expect(live.session("s").resume(cursor)).rejects.toMatchObject(region.refuse);
  });

  test.each(["", "x", "1|c1", "1|c{}|a", "1|c{}|a=1+0", "01|c{}|a=1", "1|c{}~|a=1"])(
    "a position %j is a gap",
    async (committed) => {
      const region = new FakeRegion();
      region.apply("a", 1);
      await using live = open(region);
      const { cursor } = await live.session("s").observe();
      const { session, revision, position, incarnation } = cursor;
      const fields = { session, revision, position, incarnation };
      const after = LiveCursor.of(committed === "" ? fields : { ...fields, committed });
      expect(await take(live.session("s").watch({ after }), 1)).toEqual(["gap unavailable, 1 a1"]);
      expect(await live.session("s").resume(after)).toMatchObject({ kind: "gap" });
    },
  );

  test("a session that nothing is known of is told of with its first operation", async () => {
    const region = new FakeRegion();
    await using live = open(region);
    const items = live.session("s").watch();
    const first = await next(items);
    expect(shown(first)).toBe("observed 0 ");
    expect(await live.session("s").resume(cursorOf(first))).toEqual({ kind: "replayed", events: [] });
    const waiting = next(items);
    await settle();
    region.apply("a", 1);
    expect(shown(await waiting)).toBe("gap unavailable, 1 a1");
    region.apply("a", 2);
    expect(await take(items, 1)).toEqual(["committed a2"]);
  });

  test("a lag costs activity alone", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    const source = regionSource(region, { view: (_, change) => String(change?.position.seqno) });
    await using live = openLive<string>({ store: openMemoryReplayStore({ bufferedMax: 1 }), source });
    const session = live.session("s");
    const items = session.watch();
    await next(items);
    session.publish({ kind: "turn_activity", activity: "x" });
    expect(await take(items, 1)).toEqual(["x"]);
    await settle();
    for (const activity of ["y", "z", "w", "v"]) session.publish({ kind: "turn_activity", activity });
    region.apply("a", 2);
    await settle();
    const seen = [await next(items), await next(items)];
    expect(seen.map(shown)).toContain("committed 2");
    expect(seen.find(({ kind }) => kind === "gap")).toMatchObject({ gap: { reason: "lagged", missed: 4 } });
    region.apply("a", 3);
    expect(await take(items, 1)).toEqual(["committed 3"]);
  });

  test("B-32 leaving a watch ends its reading of the region, and a region that closes ends the watch", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    await using live = open(region);
    const session = live.session("s");
    for (let round = 0; round < 3; round++) {
      const items = session.watch();
      await next(items);
      region.apply("a", region.applied.length + 1);
      await next(items);
      // With and without a step that is waited for.
      const waiting = round === 0 ? items.next() : undefined;
      await items.return!();
      expect(await waiting).toEqual(round === 0 ? { done: true, value: undefined } : undefined);
      await settle();
      expect(region.reading).toBe(0);
    }
    const items = session.watch();
    await next(items);
    const waiting = items.next();
    await settle();
    region.close();
    await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("more commits than one answer holds are a gap to who resumes, and a stream to who watches", async () => {
    const region = new FakeRegion();
    region.apply("a", 1);
    await using live = open(region);
    const { cursor } = await live.session("s").observe();
    for (let seqno = 2; seqno <= 2_100; seqno++) region.apply("a", seqno);
    expect(await live.session("s").resume(cursor)).toMatchObject({ kind: "gap" });
    let count = 0;
    for await (const item of live.session("s").watch({ after: cursor })) {
      expect(item.kind).toBe("event");
      if (++count === 2_099) break;
    }
  });
});

describe("LIV-8 LaneTally", () => {
  const step = fc.record({ lane: fc.constantFrom("a", "b", "c"), seqno: fc.integer({ min: 1, max: 6 }) });

  test("takes each number once, and knows when it has all", () => {
    fc.assert(
      fc.property(fc.array(step), fc.array(step), (before, steps) => {
        const applied = new Map<string, Set<number>>();
        const note = ({ lane, seqno }: { lane: string; seqno: number }): boolean => {
          const numbers = applied.get(lane) ?? new Set();
          const isNew = !numbers.has(seqno);
          applied.set(lane, numbers.add(seqno));
          return isNew;
        };
        const counts = (): Map<string, { upTo: number; count: number }> =>
          new Map(
            [...applied].map(([lane, numbers]) => {
              let upTo = 0;
              while (numbers.has(upTo + 1)) upTo += 1;
              return [lane, { upTo, count: numbers.size }];
            }),
          );
        const tally = new LaneTally();
        for (const one of [...before, ...steps]) {
          expect(tally.take(one.lane, one.seqno)).toBe(note(one));
          expect(tally.has(counts())).toBe(true);
          const text = tally.text(1_000);
          const parsed = LaneTally.parse(text)!;
          expect(parsed.text(1_000)).toBe(text);
          expect(parsed.has(counts())).toBe(true);
        }
        const more = counts();
        more.set("a", { upTo: 9, count: 9 });
        expect(tally.has(more)).toBe(false);
        more.delete("a");
        more.set("new", { upTo: 1, count: 1 });
        expect(tally.has(more)).toBe(false);
      }),
    );
  });

  test("says when it has no room, and then tells again rather than nothing", () => {
    const tally = new LaneTally();
    for (let lane = 0; lane < 10; lane++) tally.take(`lane${lane}`, 1);
    const text = tally.text(40);
    expect(text).toBe("*lane6=1,lane7=1,lane8=1,lane9=1");
    const parsed = LaneTally.parse(text)!;
    expect(parsed.take("lane9", 1)).toBe(false);
    expect(parsed.take("lane0", 1)).toBe(true);
    // Of a lane that was left out, what came before is taken for given.
    expect(parsed.take("lane1", 5)).toBe(true);
    expect(parsed.has(new Map([["lane1", { upTo: 5, count: 5 }]]))).toBe(true);
    expect(parsed.has(new Map([["lane5", { upTo: 3, count: 3 }]]))).toBe(true);
    expect(parsed.text(1_000).startsWith("*")).toBe(true);
  });
});
