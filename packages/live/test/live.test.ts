import { describe, expect, test } from "vitest";
import {
  LiveCursor,
  LiveError,
  type LiveReplayStore,
  openLive,
  openMemoryReplayStore,
} from "../src/index.ts";
import { collectGarbage, LiveWorld, settle, shown, take, text, told } from "./live-world.ts";

test("LIV-5 B-10 resuming gives what was missed, or a gap with a fresh observation", async () => {
  await using world = new LiveWorld(openMemoryReplayStore({ eventsMax: 2 }));
  const session = world.live.session("trip");
  const { cursor } = await session.observe();
  session.publish(text("a"));
  session.publish(text("b"));
  const resumed = await session.resume(cursor);
  expect(resumed.kind === "replayed" && resumed.events.map(({ payload }) => told(payload))).toEqual([
    "a",
    "b",
  ]);
  session.publish(text("c"));
  await settle();
  const gap = await session.resume(cursor.toString());
  if (gap.kind !== "gap") throw new Error("a gap was expected");
  expect(shown(gap)).toBe("gap trimmed 3, observed 0 nothing");
  expect(gap.gap.requested).toEqual(cursor);
  // B-34: there is nothing left to ask for.
  expect(gap.gap.latest).toEqual(gap.observation.cursor);
  expect(gap.gap.latestRevision).toBe(gap.observation.revision);
  expect(await session.resume(gap.observation.cursor)).toEqual({ kind: "replayed", events: [] });
});

test("B-34 a gap of a watch and of a resume hold the observation and the latest cursor", async () => {
  await using world = new LiveWorld();
  const session = world.live.session("trip");
  world.commit("one");
  const after = LiveCursor.of({ session: "trip", revision: 0, position: 9, incarnation: "before" });
  const { value: item } = await session.watch({ after }).next();
  expect(shown(item)).toBe("gap unavailable, observed 1 one");
  const latest = await world.store.currentCursor("trip", 1);
  expect(item).toMatchObject({
    gap: { requested: after, latest, latestRevision: 1 },
    observation: { cursor: latest },
  });
});

/** A store that counts what it is asked. */
function counted(store: LiveReplayStore): { store: LiveReplayStore; asked: () => number } {
  let calls = 0;
  const proxy = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== "function") return value;
      calls += 1;
      return value.bind(target) as unknown;
    },
  });
  return { store: proxy, asked: () => calls };
}

test("B-18 B-33 what is malformed or of another session is refused before the store is asked", async () => {
  const { store, asked } = counted(openMemoryReplayStore());
  let observed = 0;
  const source = {
    observe: async () => {
      observed += 1;
      return { revision: 0, view: "" };
    },
  };
  await using live = openLive({ store, source });
  const session = live.session("trip");
  for (const [after, code] of [
    ["tml1:", "MALFORMED"],
    ["tml1:a:0:0::other", "WRONG_SESSION"],
  ] as const) {
    await expect(session.resume(after)).rejects.toMatchObject({ code });
    // By the call itself: an answer over HTTP has not begun yet.
    expect(() => session.watch({ after })).toThrow(expect.objectContaining({ code }));
  }
  expect([asked(), observed]).toEqual([0, 0]);
});

test("B-9 a cursor, a store, a lag and the end have errors that can be told apart", async () => {
  await using world = new LiveWorld(openMemoryReplayStore({ bufferedMax: 1 }));
  const session = world.live.session("trip");
  expect(() => session.watch({ after: "" })).toThrow(LiveError);
  const lags = session.watch({ onLag: "throw" });
  await take(lags, 1);
  session.publish(text("a"));
  expect(await take(lags, 1)).toEqual(["a"]);
  for (const activity of ["b", "c", "d"]) session.publish(text(activity));
  await settle();
  await expect(lags.next()).rejects.toMatchObject({ code: "SUBSCRIBER_LAGGED", missed: 2 });
  expect(await take(lags, 1)).toEqual(["done"]);
  const ends = session.watch();
  await take(ends, 1);
  await world.store.close();
  await expect(ends.next()).rejects.toMatchObject({ code: "CLOSED" });
});

test("B-13 a watch begins with an observation and gives every event behind it", async () => {
  await using world = new LiveWorld();
  const session = world.live.session("trip");
  session.publish(text("before"));
  await settle();
  const items = session.watch();
  expect(await take(items, 1)).toEqual(["observed 0 nothing"]);
  session.publish(text("a"));
  world.commit("one");
  await session.committed();
  expect(await take(items, 2)).toEqual(["a", "committed one"]);
});

test("a watch goes on behind the cursor of any item, of an event as of an observation", async () => {
  await using world = new LiveWorld();
  const session = world.live.session("trip");
  const items = session.watch();
  const { value: first } = await items.next();
  for (const activity of ["a", "b"]) session.publish(text(activity));
  const { value: second } = await items.next();
  if (first?.kind !== "observation" || second?.kind !== "event") throw new Error("other items were expected");
  expect(await take(session.watch({ after: first.observation.cursor }), 2)).toEqual(["a", "b"]);
  expect(await take(session.watch({ after: second.event.cursor.toString() }), 1)).toEqual(["b"]);
});

describe("LIV-6a no event falls between an observation and its cursor", () => {
  test("B-40 one that comes while the view is loaded is given", async () => {
    await using world = new LiveWorld();
    const { store } = world;
    let loads = 0;
    const source = {
      observe: async () => {
        const head = world.head("trip");
        // What is loaded is the state before; this comes before the answer.
        if (loads++ === 0) {
          world.commit("one");
          await store.append("trip", 0, text("in between"));
          await store.append("trip", 1, { kind: "committed", view: "one" });
        }
        return head;
      },
    };
    const live = world.open({ source });
    expect(await take(live.session("trip").watch(), 3)).toEqual([
      "observed 0 nothing",
      "in between",
      "committed one",
    ]);
  });

  test("B-40 a commit that the view has already is not given again", async () => {
    await using world = new LiveWorld();
    const { store } = world;
    const source = {
      observe: async () => {
        world.commit("one");
        await store.append("trip", 1, { kind: "committed", view: "one" });
        await store.append("trip", 1, text("after"));
        return world.head("trip");
      },
    };
    const live = world.open({ source });
    expect(await take(live.session("trip").watch(), 2)).toEqual(["observed 1 one", "after"]);
  });

  test("B-41 a replay that does not reach the present revision through a commit is unavailable", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const { cursor } = await session.observe();
    session.publish(text("a"));
    // It was never told.
    world.commit("one");
    expect(shown((await session.resume(cursor)) as never)).toBe("gap unavailable, observed 1 one");
    expect(await take(session.watch({ after: cursor }), 1)).toEqual(["gap unavailable, observed 1 one"]);
    await session.committed();
    const replay = await session.resume(cursor);
    expect(replay.kind === "replayed" && replay.events.map(({ payload }) => told(payload))).toEqual([
      "a",
      "committed one",
    ]);
    world.commit("two");
    expect(await session.resume(cursor)).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
  });

  test("B-41 activity that knows of a later revision than its reader has seen bridges nothing", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    world.commit("one");
    await world.store.append("trip", 1, text("a"));
    const { value: item } = await items.next();
    if (item?.kind !== "event") throw new Error("an event was expected");
    expect(item.event).toMatchObject({ revision: 1, cursor: { revision: 0 } });
    expect(await session.resume(item.event.cursor)).toMatchObject({ kind: "gap" });
    await session.committed();
    expect(await take(session.watch({ after: item.event.cursor }), 1)).toEqual(["committed one"]);
  });
});

describe("LIV-6 B-31 a reader that is too slow", () => {
  test("is given a gap with the count and a fresh observation, and goes on behind it", async () => {
    await using world = new LiveWorld(openMemoryReplayStore({ bufferedMax: 2 }));
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    session.publish(text("a"));
    expect(await take(items, 1)).toEqual(["a"]);
    for (const activity of ["b", "c", "d", "e"]) session.publish(text(activity));
    world.commit("one");
    await session.committed();
    expect(await take(items, 1)).toEqual(["gap lagged 5, observed 1 one"]);
    session.publish(text("f"));
    expect(await take(items, 1)).toEqual(["f"]);
  });

  test("costs the others nothing, and one that never reads costs a bounded amount of memory", async () => {
    await using world = new LiveWorld(openMemoryReplayStore({ bufferedMax: 8, eventsMax: 8 }));
    const session = world.live.session("trip");
    const stuck = session.watch();
    await take(stuck, 1);
    void stuck.next();
    const fast = session.watch();
    await take(fast, 1);
    const refs: WeakRef<object>[] = [];
    for (let index = 0; index < 500; index++) {
      const activity = { index };
      refs.push(new WeakRef(activity));
      session.publish(text(activity));
      expect(await take(fast, 1)).toEqual([{ index }]);
    }
    await collectGarbage();
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(20);
  });
});

describe("B-32 a watch lets go of all it holds", () => {
  /** Whether the store holds a subscription: idle sessions without one go. */
  async function held(): Promise<{ world: LiveWorld; subscribed: () => Promise<boolean> }> {
    let nowMs = 0;
    const store = openMemoryReplayStore({ idleMsMax: 10, monotonicMs: () => nowMs });
    const world = new LiveWorld(store);
    return {
      world,
      subscribed: async () => {
        const { incarnation } = await store.currentCursor("trip", 0);
        nowMs += 100;
        await store.append("other", 0, text("x"));
        return (await store.currentCursor("trip", 0)).incarnation === incarnation;
      },
    };
  }

  test.each(["loop", "return", "signal", "close", "error"] as const)("by %s", async (how) => {
    const { world, subscribed } = await held();
    const stop = new AbortController();
    const session = world.live.session("trip");
    const items = session.watch({ signal: stop.signal, onLag: "throw" });
    await take(items, 1);
    const waiting = items.next().catch((error: { code: string }) => error.code);
    await settle();
    expect(await subscribed()).toBe(true);
    if (how === "loop") {
      session.publish(text("a"));
      await waiting;
      session.publish(text("b"));
      for await (const item of items) {
        expect(shown(item)).toBe("b");
        break;
      }
    }
    // While an event is waited for, too.
    if (how === "return") expect(await items.return!()).toEqual({ done: true, value: undefined });
    if (how === "signal") stop.abort(new Error("enough"));
    if (how === "close") await world.live.close();
    if (how === "error") {
      for (let index = 0; index < 3_000; index++) session.publish(text(index));
      await settle();
      await expect(items.next()).rejects.toMatchObject({ code: "SUBSCRIBER_LAGGED" });
    }
    if (how === "close") expect(await waiting).toBe("CLOSED");
    if (how === "signal") expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await take(items, 1)).toEqual(["done"]);
    expect(await subscribed()).toBe(false);
    await world[Symbol.asyncDispose]();
  });

  test("a watch that was aborted before it began gives nothing, and one of a closed handle is CLOSED", async () => {
    await using world = new LiveWorld();
    const session = world.live.session("trip");
    expect(await take(session.watch({ signal: AbortSignal.abort() }), 1)).toEqual(["done"]);
    const late = session.watch();
    await world.live.close();
    await world.live.close();
    await expect(late.next()).rejects.toMatchObject({ code: "CLOSED" });
    expect(await take(late, 1)).toEqual(["done"]);
    expect(() => session.watch()).toThrow(expect.objectContaining({ code: "CLOSED" }));
    await expect(session.observe()).rejects.toMatchObject({ code: "CLOSED" });
    // These never fail for the transport's sake.
    session.publish(text("a"));
    await session.committed();
  });

  test("a source that never answers holds nobody back", async () => {
    await using world = new LiveWorld();
    const live = world.open({ source: { observe: () => new Promise(() => undefined) } });
    const items = live.session("trip").watch();
    const waiting = items.next();
    await settle();
    expect(await items.return!()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
  });
});

test("B-35 a switched frame is told right before its commit, if it is another one and not empty", async () => {
  await using world = new LiveWorld();
  const session = world.live.session("trip");
  const items = session.watch();
  await take(items, 1);
  for (const frame of ["planner", "planner", "", "coder"]) {
    world.commit(`by ${frame}`);
    await session.committed({ frame });
  }
  expect(await take(items, 6)).toEqual([
    "frame planner",
    "committed by planner",
    "committed by planner",
    "committed by ",
    "frame coder",
    "committed by coder",
  ]);
});

test("B-35 a commit that was told of is not told of again, and an older one not behind it", async () => {
  await using world = new LiveWorld();
  const session = world.live.session("trip");
  const { cursor } = await session.observe();
  world.commit("one");
  const one = world.head("trip");
  world.commit("two");
  await session.committed();
  await session.committed();
  await session.committed({ head: one });
  const replay = await world.store.replayAfter(cursor);
  expect(replay.kind === "replayed" && replay.events.map(({ payload }) => told(payload))).toEqual([
    "committed two",
  ]);
});

test("B-35 the frame of the head is the one that is told", async () => {
  await using world = new LiveWorld();
  const session = world.live.session("trip");
  const items = session.watch();
  await take(items, 1);
  world.heads.set("trip", { revision: 1, view: "one", frame: "planner" });
  await session.committed();
  expect(await take(items, 2)).toEqual(["frame planner", "committed one"]);
});

/** A store whose appends fail for as long as it is told. */
function failing(): { store: LiveReplayStore; fail: (on: boolean) => void } {
  const store = openMemoryReplayStore();
  let fails = false;
  const append: LiveReplayStore["append"] = (...given) =>
    fails ? Promise.reject(new LiveError("STORE_UNAVAILABLE", "The store is away")) : store.append(...given);
  const proxy = new Proxy(store, {
    get(target, name) {
      if (name === "append") return append;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { store: proxy, fail: (on) => (fails = on) };
}

describe("B-36 an append that fails", () => {
  test("fails no commit and no turn, is reported, and readers recover through a gap", async () => {
    const { store, fail } = failing();
    await using world = new LiveWorld(store);
    const session = world.live.session("trip");
    const { cursor } = await session.observe();
    fail(true);
    session.publish(text("a"));
    world.commit("one");
    await session.committed();
    await settle();
    expect(world.errors).toHaveLength(2);
    expect(world.errors[0]).toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(await session.resume(cursor)).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
  });

  test("of a commit is tried again, so that who watches is not left behind", async () => {
    const { store, fail } = failing();
    await using world = new LiveWorld(store);
    const session = world.live.session("trip");
    const items = session.watch();
    await take(items, 1);
    fail(true);
    world.commit("one");
    await session.committed();
    fail(false);
    await world.timers.pass(1_000);
    expect(await take(items, 1)).toEqual(["committed one"]);
    await world.timers.pass(5_000);
    expect(world.errors).toHaveLength(1);
  });

  test("of a source that does not answer holds back no publisher", async () => {
    await using world = new LiveWorld();
    const observe = (): Promise<never> => Promise.reject(new Error("away"));
    const live = world.open({ source: { observe } });
    live.session("trip").publish(text("a"));
    await live.session("trip").committed();
    await settle();
    expect(world.errors).toHaveLength(2);
  });
});

test("B-37 activity, queue and process changes carry the current revision, and what changed nothing is no event", async () => {
  await using world = new LiveWorld();
  world.commit("one");
  const session = world.live.session("trip");
  const items = session.watch();
  await take(items, 1);
  session.publish({ kind: "queue_changed", change: "cancelled", batches: [] });
  session.publish({ kind: "process_changed", change: "cancelled", processes: [] });
  session.publish({ kind: "queue_changed", change: "cancelled", batches: ["b1"] });
  world.commit("two");
  await session.committed();
  session.publish({ kind: "process_changed", change: "started", processes: ["p1"] });
  session.publish(text("a"));
  const events = [];
  for (let index = 0; index < 4; index++) {
    const { value: item } = await items.next();
    if (item?.kind === "event") events.push([item.event.revision, told(item.event.payload)]);
  }
  expect(events).toEqual([
    [1, "cancelled b1"],
    [2, "committed two"],
    [2, "started p1"],
    [2, "a"],
  ]);
});

test("B-37 the first event of a handle looks up the revision, and keeps the order of those behind it", async () => {
  await using world = new LiveWorld();
  world.commit("one");
  const watcher = world.open();
  const items = watcher.session("trip").watch();
  await take(items, 1);
  const session = world.live.session("trip");
  session.publish(text("a"));
  world.commit("two");
  void session.committed({ head: world.head("trip") });
  session.publish(text("b"));
  expect(await take(items, 3)).toEqual(["a", "committed two", "b"]);
});

test("B-16 a slow store holds back no publisher, and what it cannot take is dropped and reported", async () => {
  let release = (): void => undefined;
  const store = openMemoryReplayStore();
  const gate = new Promise<void>((resolve) => (release = resolve));
  const append: LiveReplayStore["append"] = async (...given) => {
    await gate;
    return store.append(...given);
  };
  await using world = new LiveWorld(
    Object.assign(Object.create(store) as LiveReplayStore, bound(store), { append }),
    {
      appendsMax: 3,
    },
  );
  const session = world.live.session("trip");
  const items = session.watch();
  await take(items, 1);
  for (const activity of ["a", "b", "c", "d"]) session.publish(text(activity));
  expect(world.errors).toHaveLength(1);
  expect(world.errors[0]).toMatchObject({ code: "STORE_UNAVAILABLE" });
  release();
  expect(await take(items, 3)).toEqual(["a", "b", "c"]);
});

function bound(store: LiveReplayStore): Omit<LiveReplayStore, "name" | typeof Symbol.asyncDispose> {
  return {
    append: store.append.bind(store),
    replayAfter: store.replayAfter.bind(store),
    subscribeAfter: store.subscribeAfter.bind(store),
    currentCursor: store.currentCursor.bind(store),
    trim: store.trim.bind(store),
    close: store.close.bind(store),
  };
}

test("B-38 B-39 after a restart a cursor of before is a gap, not a clean empty", async () => {
  await using before = new LiveWorld();
  const { cursor } = await before.live.session("trip").observe();
  await using after = new LiveWorld();
  expect(await after.live.session("trip").resume(cursor)).toMatchObject({ gap: { reason: "unavailable" } });
});

test("B-42 a cursor opens no session but its own, and nothing of it is a secret", async () => {
  await using world = new LiveWorld();
  const { cursor } = await world.live.session("mine").observe();
  await expect(world.live.session("yours").resume(cursor)).rejects.toMatchObject({ code: "WRONG_SESSION" });
  // Whoever may read the session can make one up; it gives what a read gives.
  const guessed = LiveCursor.of({
    session: "mine",
    revision: 0,
    position: 0,
    incarnation: cursor.incarnation,
  });
  expect(await world.live.session("mine").resume(guessed)).toEqual({ kind: "replayed", events: [] });
});

test("a store that gives nothing but gaps ends the watch instead of asking for ever", async () => {
  const store = openMemoryReplayStore();
  const subscribeAfter: LiveReplayStore["subscribeAfter"] = async (cursor) => ({
    kind: "gap",
    gap: { session: "trip", requested: cursor, latest: cursor, latestRevision: 0, reason: "trimmed" },
  });
  await using world = new LiveWorld(
    Object.assign(Object.create(store) as LiveReplayStore, bound(store), { subscribeAfter }),
  );
  const items = world.live.session("trip").watch();
  const seen: unknown[] = [];
  await expect(
    (async () => {
      for await (const item of items) seen.push(shown(item));
    })(),
  ).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  expect(seen).toHaveLength(17);
});

test("openLive() forgets sessions beyond its bound, but none in use", async () => {
  await using world = new LiveWorld(openMemoryReplayStore(), { sessionsMax: 2 });
  const watched = world.live.session("watched").watch();
  await take(watched, 1);
  const turn = world.live.session("working").beginTurn({ turn: "t1" });
  for (let index = 0; index < 100; index++) await world.live.session(`s${index}`).observe();
  world.live.session("watched").publish(text("a"));
  expect(await take(watched, 1)).toEqual(["a"]);
  expect(world.live.session("working").turns()).toEqual([{ turn: "t1", state: "pending" }]);
  turn.done();
});
