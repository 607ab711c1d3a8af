import { describe, expect, test } from "vitest";
import {
  LiveCursor,
  LiveError,
  type LiveReplayStore,
  MemoryJournals,
  openMemoryReplayStore,
} from "../src/index.ts";
import { LiveWorld, settle, take, told } from "./live-world.ts";

/** Everything a session was told of, in the order of the store. */
async function log(store: LiveReplayStore): Promise<unknown[]> {
  await settle();
  const { incarnation } = await store.currentCursor("trip", 0);
  const start = LiveCursor.of({ session: "trip", revision: 0, position: 0, incarnation });
  const replay = await store.replayAfter(start);
  if (replay.kind === "gap") throw new Error(replay.gap.reason);
  return replay.events.map(({ payload }) => told(payload));
}

describe("LIV-9 every observer can tell where a turn stands", () => {
  test("accepted, streaming, done", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    const turn = session.beginTurn({ turn: "t1" });
    expect([turn.state, session.turns()]).toEqual(["pending", [{ turn: "t1", state: "pending" }]]);
    turn.activity("Hel");
    turn.activity("lo");
    expect(turn.state).toBe("streaming");
    turn.done();
    // What comes later is dropped.
    turn.fail("too late");
    turn.activity("too late");
    expect(await take(items, 5)).toEqual(["t1 pending", "t1 streaming", "Hel", "lo", "t1 done"]);
    expect([turn.state, session.turns(), turn.signal.aborted]).toEqual(["done", [], false]);
    expect(await log(world.store)).toHaveLength(5);
    expect(world.timers.set).toBe(0);
  });

  test("failed, with what it failed of", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    session.beginTurn({ turn: "t1" }).fail("no credit");
    await take(items, 1);
    const { value: item } = await items.next();
    expect(item).toMatchObject({ event: { payload: { turn: "t1", state: "error", message: "no credit" } } });
  });

  test("a turn that is under way here is not begun again, one that ended is", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    const turn = session.beginTurn({ turn: "t1" });
    expect(() => session.beginTurn({ turn: "t1" })).toThrow(RangeError);
    expect(() => session.beginTurn({ turn: "t2", ttlMs: 0 })).toThrow(RangeError);
    turn.done();
    session.beginTurn({ turn: "t1" }).done();
    expect(await take(items, 4)).toEqual(["t1 pending", "t1 done", "t1 pending", "t1 done"]);
  });

  test("signs of life are no news to who knows the state, and tell one who comes later", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const early = session.watch();
    await take(early, 1);
    const turn = session.beginTurn({ turn: "t1", ttlMs: 300 });
    turn.activity("Hel");
    expect(await take(early, 3)).toEqual(["t1 pending", "t1 streaming", "Hel"]);
    const late = session.watch();
    await take(late, 1);
    await world.timers.pass(100);
    expect(await take(late, 1)).toEqual(["t1 streaming"]);
    await world.timers.pass(1_000);
    turn.done();
    expect(await take(early, 1)).toEqual(["t1 done"]);
    expect(await take(late, 1)).toEqual(["t1 done"]);
  });
});

describe("LIV-9 to go away is not to cancel, cancelling is an act", () => {
  test("a reader that goes away cancels nothing", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    const turn = session.beginTurn({ turn: "t1" });
    await items.return!();
    await settle();
    expect([turn.state, turn.signal.aborted]).toEqual(["pending", false]);
  });

  test("a producer hears of it over the store, from another process, and it is told once", async () => {
    await using world = new LiveWorld();
    const there = world.open().session("trip");
    const items = there.watch();
    await take(items, 1);
    const turn = world.live.session("trip").beginTurn({ turn: "t1" });
    turn.activity("Hel");
    await settle();
    expect(await there.cancelTurn("t1")).toBe(true);
    await settle();
    expect([turn.state, turn.signal.aborted]).toEqual(["cancelled", true]);
    turn.activity("lo");
    turn.done();
    expect(await there.cancelTurn("t1")).toBe(true);
    expect(await take(items, 4)).toEqual(["t1 pending", "t1 streaming", "Hel", "t1 cancelled"]);
    expect(await log(world.store)).toHaveLength(4);
  });

  test("who cancels what has ended is told so", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    session.beginTurn({ turn: "t1" }).done();
    expect(await session.cancelTurn("t1")).toBe(false);
    // Of another process, maybe: it cannot be told that it has ended.
    expect(await session.cancelTurn("t2")).toBe(true);
    expect(await log(world.store)).toEqual(["t1 pending", "t1 done", "t2 cancelled"]);
  });

  test("a producer in another region hears of it through the journal, once the regions are joined", async () => {
    const journals = new MemoryJournals(["us", "eu"]);
    await using us = new LiveWorld(openMemoryReplayStore(), { journal: journals.journal("us") });
    await using eu = new LiveWorld(openMemoryReplayStore(), { journal: journals.journal("eu") });
    const items = us.live.session("trip").watch();
    await take(items, 1);
    const turn = us.live.session("trip").beginTurn({ turn: "t1" });
    const other = us.live.session("trip").beginTurn({ turn: "t2" });
    journals.cut("eu", "us");
    expect(await eu.live.session("trip").cancelTurn("t1")).toBe(true);
    await settle();
    expect(turn.signal.aborted).toBe(false);
    journals.heal("eu", "us");
    await settle();
    expect([turn.state, turn.signal.aborted, other.state]).toEqual(["cancelled", true, "pending"]);
    expect(await take(items, 3)).toEqual(["t1 pending", "t2 pending", "t1 cancelled"]);
    // What was cancelled before it began again does not count any more.
    const again = us.live.session("trip").beginTurn({ turn: "t1" });
    await us.live.session("trip").cancelTurn("t2");
    await settle();
    expect([again.state, other.state]).toEqual(["pending", "cancelled"]);
    await eu.live.session("trip").cancelTurn("t1");
    await settle();
    expect(again.state).toBe("cancelled");
  });

  test("what was cancelled before a turn began again cancels it no more, when the journal tells of something else", async () => {
    const journal = new MemoryJournals(["us"]).journal("us");
    await using world = new LiveWorld(openMemoryReplayStore(), { journal });
    const session = world.live.session("trip");
    const first = session.beginTurn({ turn: "t1" });
    await session.cancelTurn("t1");
    await settle();
    const again = session.beginTurn({ turn: "t1" });
    await session.cancelTurn("another");
    await settle();
    expect([first.state, again.state]).toEqual(["cancelled", "pending"]);
  });

  test("whoever ends a turn first decides: what comes later is told to nobody, and wakes no watchdog", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    for (const state of ["pending", "cancelled", "done", "streaming"] as const)
      await world.store.append("trip", 0, { kind: "turn_state", turn: "t1", state });
    await world.store.append("trip", 0, { kind: "turn_activity", activity: "next" });
    expect(await take(items, 3)).toEqual(["t1 pending", "t1 cancelled", "next"]);
    expect([session.turns(), world.timers.set]).toEqual([[], 0]);
  });

  test("a journal that refuses the act fails it, and one that ends is asked again", async () => {
    const journals = new MemoryJournals(["us"]);
    const journal = journals.journal("us");
    let asked = 0;
    let refuses = true;
    await using world = new LiveWorld(openMemoryReplayStore(), {
      journal: {
        append: (...given) => (refuses ? Promise.reject(new Error("read only")) : journal.append(...given)),
        read: journal.read,
        changes: (signal) => (asked++ === 0 ? none() : journal.changes(signal)),
      },
    });
    const turn = world.live.session("trip").beginTurn({ turn: "t1" });
    await expect(world.live.session("trip").cancelTurn("t1")).rejects.toThrow("read only");
    expect(turn.state).toBe("pending");
    refuses = false;
    await settle();
    expect(world.errors).toHaveLength(1);
    await journal.append("trip", "tidemark.live.turns", new TextEncoder().encode('{"turn":"t1"}'), "1");
    await world.timers.pass(1_000);
    expect([asked, turn.state]).toEqual([2, "cancelled"]);
  });
});

async function* none(): AsyncGenerator<string, void> {}

describe("LIV-9 no endless spinner", () => {
  test("a turn whose process is gone is orphaned for all who watch, and said so once", async () => {
    await using world = new LiveWorld();
    const producer = world.open();
    const watches = [world.live, world.open(), world.open()].map((live) => live.session("trip").watch());
    for (const items of watches) await take(items, 1);
    const turn = producer.session("trip").beginTurn({ turn: "t1", ttlMs: 900 });
    turn.activity("Hel");
    for (const items of watches) expect(await take(items, 3)).toEqual(["t1 pending", "t1 streaming", "Hel"]);
    const waiting = watches.map((items) => take(items, 1));
    await world.timers.pass(2_100);
    await producer.close();
    await world.timers.pass(899);
    expect(await log(world.store)).not.toContain("t1 orphaned");
    await world.timers.pass(1);
    for (const item of waiting) expect(await item).toEqual(["t1 orphaned"]);
    // Each observer may have said it; nobody is told again.
    world.live.session("trip").publish({ kind: "turn_activity", activity: "next" });
    for (const items of watches) expect(await take(items, 1)).toEqual(["next"]);
  });

  test("so is one that a reader only knows from a replay", async () => {
    await using world = new LiveWorld();
    const producer = world.open();
    const { cursor } = await world.live.session("trip").observe();
    producer.session("trip").beginTurn({ turn: "t1", ttlMs: 900 });
    await settle();
    await producer.close();
    const items = world.open().session("trip").watch({ after: cursor });
    expect(await take(items, 1)).toEqual(["t1 pending"]);
    const waiting = take(items, 1);
    await world.timers.pass(900);
    expect(await waiting).toEqual(["t1 orphaned"]);
  });

  test("a producer that comes back late learns that it was given up", async () => {
    await using world = new LiveWorld();
    const turn = world.live.session("trip").beginTurn({ turn: "t1" });
    await settle();
    await world.store.append("trip", 0, { kind: "turn_state", turn: "t1", state: "orphaned" });
    await settle();
    expect([turn.state, turn.signal.aborted]).toEqual(["orphaned", true]);
    turn.done();
    expect(await log(world.store)).toEqual(["t1 pending", "t1 orphaned"]);
  });

  test("a turn that somebody forgot to end is given up by its own process, one that shows activity is not", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const forgotten = session.beginTurn({ turn: "t1", ttlMs: 300, silentMsMax: 1_000 });
    const busy = session.beginTurn({ turn: "t2", ttlMs: 300, silentMsMax: 1_000 });
    const slow = session.beginTurn({ turn: "t3", ttlMs: 300, silentMsMax: 1_000 });
    for (let round = 0; round < 4; round++) {
      await world.timers.pass(500);
      busy.activity(round);
      slow.renew();
    }
    expect([forgotten.state, forgotten.signal.aborted]).toEqual(["orphaned", true]);
    expect([busy.state, slow.state]).toEqual(["streaming", "pending"]);
  });

  test("activity is a sign of life", async () => {
    await using world = new LiveWorld();
    const items = world.live.session("trip").watch();
    await take(items, 1);
    const { store } = world;
    await store.append("trip", 0, { kind: "turn_state", turn: "t1", state: "streaming", ttlMs: 900 });
    const seen = (async () => {
      for await (const item of items)
        if (item.kind === "event" && item.event.payload.kind === "turn_state")
          if (item.event.payload.state === "orphaned") return world.timers.now();
      return undefined;
    })();
    for (const _ of [1, 2, 3]) {
      await world.timers.pass(600);
      await store.append("trip", 0, { kind: "turn_activity", turn: "t1", activity: "x" });
      await settle();
    }
    await world.timers.pass(2_000);
    expect(await seen).toBe(2_700);
  });

  test("a store that is away when a turn is given up is tried again", async () => {
    const store = openMemoryReplayStore();
    let away = false;
    await using world = new LiveWorld(
      new Proxy(store, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown;
          if (typeof value !== "function") return value;
          if (name === "append" && away)
            return () => Promise.reject(new LiveError("STORE_UNAVAILABLE", "The store is away"));
          return value.bind(target) as unknown;
        },
      }),
    );
    const items = world.live.session("trip").watch();
    await take(items, 1);
    await store.append("trip", 0, { kind: "turn_state", turn: "t1", state: "pending", ttlMs: 900 });
    expect(await take(items, 1)).toEqual(["t1 pending"]);
    const waiting = take(items, 1);
    await settle();
    away = true;
    await world.timers.pass(900);
    expect(world.errors).toHaveLength(1);
    away = false;
    await world.timers.pass(900);
    expect(await waiting).toEqual(["t1 orphaned"]);
  });

  test("closing lets go of every timer", async () => {
    await using world = new LiveWorld();
    const items = world.live.session("trip").watch();
    await take(items, 1);
    world.live.session("trip").beginTurn({ turn: "t1" });
    await world.store.append("trip", 0, { kind: "turn_state", turn: "t2", state: "pending" });
    expect(await take(items, 2)).toEqual(["t1 pending", "t2 pending"]);
    expect(world.timers.set).toBeGreaterThan(0);
    await world.live.close();
    expect(world.timers.set).toBe(0);
  });
});
