import { describe, expect, test } from "vitest";
import {
  LiveCursor,
  type LiveEvent,
  type LiveEvents,
  type LivePayload,
  type LiveReplay,
  type LiveReplayStore,
  type MemoryReplayStoreOptions,
  openMemoryReplayStore,
} from "../src/index.ts";
import { collectGarbage } from "./live-world.ts";

class World {
  nowMs = 0;
  readonly store: LiveReplayStore;

  constructor(options: MemoryReplayStoreOptions = {}) {
    this.store = openMemoryReplayStore({ monotonicMs: () => this.nowMs, ...options });
  }

  append(text: unknown, session: string = "s", revision: number = 0): Promise<LiveEvent> {
    return this.store.append(session, revision, activity(text));
  }

  /** The cursor at another position of the same life. */
  async at(position: number, session: string = "s"): Promise<LiveCursor> {
    const { revision, incarnation } = await this.store.currentCursor(session, 0);
    return LiveCursor.of({ session, revision, incarnation, position });
  }

  async replay(position: number, session: string = "s"): Promise<unknown> {
    return shown(await this.store.replayAfter(await this.at(position, session)));
  }

  async subscribe(cursor: LiveCursor, signal?: AbortSignal): Promise<LiveEvents> {
    const subscription = await this.store.subscribeAfter(cursor, signal === undefined ? {} : { signal });
    if (subscription.kind !== "subscribed") throw new Error(subscription.gap.reason);
    return subscription.events;
  }
}

function activity(text: unknown): LivePayload {
  return { kind: "turn_activity", activity: text };
}

function textOf({ payload }: LiveEvent): unknown {
  return payload.kind === "turn_activity" ? payload.activity : payload.kind;
}

function shown(replay: LiveReplay): unknown {
  return replay.kind === "gap" ? replay.gap.reason : replay.events.map(textOf);
}

async function next(events: AsyncIterableIterator<LiveEvent>): Promise<unknown> {
  const step = await events.next();
  return step.done === true ? "done" : textOf(step.value);
}

describe("LIV-3 LIV-4 the gap table, row by row", () => {
  test("no buffer: position 0 is a proven empty replay, any other is unavailable", async () => {
    const world = new World();
    expect(await world.replay(0)).toEqual([]);
    expect(await world.replay(1)).toBe("unavailable");
  });

  test("B-19 something held: before the first is trimmed, from there on replayed, ahead of the tail unavailable", async () => {
    const world = new World({ eventsMax: 3 });
    for (const text of ["1", "2", "3", "4", "5"]) await world.append(text);
    expect(await world.replay(0)).toBe("trimmed");
    expect(await world.replay(1)).toBe("trimmed");
    expect(await world.replay(2)).toEqual(["3", "4", "5"]);
    expect(await world.replay(4)).toEqual(["5"]);
    expect(await world.replay(5)).toEqual([]);
    expect(await world.replay(6)).toBe("unavailable");
  });

  test("B-25 nothing held: the tail is a proven empty replay, before it is trimmed", async () => {
    const world = new World({ ageMsMax: 100 });
    await world.append("1");
    await world.append("2");
    world.nowMs = 101;
    expect(await world.replay(2)).toEqual([]);
    expect(await world.replay(1)).toBe("trimmed");
    expect(await world.replay(0)).toBe("trimmed");
    expect(await world.replay(3)).toBe("unavailable");
  });

  test("a gap says where the events are now", async () => {
    const world = new World({ eventsMax: 1 });
    const before = await world.store.currentCursor("s", 0);
    await world.append("1");
    const last = await world.append("2", "s", 7);
    expect(await world.store.replayAfter(before)).toEqual({
      kind: "gap",
      gap: { session: "s", requested: before, latest: last.cursor, latestRevision: 7, reason: "trimmed" },
    });
  });
});

test("LIV-3 B-11 positions begin at 1 and grow by one, each session on its own", async () => {
  const world = new World();
  const positions = [];
  for (const session of ["a", "b", "a", "a", "b"]) {
    positions.push((await world.append("x", session)).cursor.position);
  }
  expect(positions).toEqual([1, 1, 2, 3, 2]);
});

test("LIV-3 B-11 B-12 an event's own cursor leaves the event out", async () => {
  const world = new World();
  const first = await world.append("1", "s", 4);
  await world.append("2");
  expect(first).toMatchObject({
    session: "s",
    revision: 4,
    cursor: { session: "s", revision: 4, position: 1 },
  });
  expect(shown(await world.store.replayAfter(first.cursor))).toEqual(["2"]);
});

test("B-14 currentCursor() gives the tail under the given revision, and neither makes a buffer nor trims", async () => {
  const world = new World({ ageMsMax: 10 });
  expect(await world.store.currentCursor("s", 5)).toMatchObject({ session: "s", revision: 5, position: 0 });
  await world.append("1");
  world.nowMs = 11;
  const cursor = await world.store.currentCursor("s", 9, { committed: "tmc1.AQ" });
  expect(cursor).toMatchObject({ revision: 9, position: 1, committed: "tmc1.AQ" });
  // A clock that goes back shows that nothing was trimmed.
  world.nowMs = 5;
  expect(await world.replay(0)).toEqual(["1"]);
});

test("B-15 B-23 trim() applies the bounds, keeps the tail, and takes a session without a buffer", async () => {
  const world = new World({ ageMsMax: 10 });
  await world.store.trim("unknown");
  await world.append("1");
  world.nowMs = 11;
  await world.store.trim("s");
  world.nowMs = 5;
  expect(await world.replay(0)).toBe("trimmed");
  expect((await world.append("2")).cursor.position).toBe(2);
});

test("B-17 the store looks neither at the revision nor for an expected session", async () => {
  const world = new World();
  const { cursor } = await world.append("1", "s", 3);
  await world.append("2", "s", 4);
  const { session, position, incarnation } = cursor;
  const later = LiveCursor.of({ session, position, incarnation, revision: 99 });
  expect(shown(await world.store.replayAfter(later))).toEqual(["2"]);
});

test("B-20 subscribing makes the buffer, replaying does not", async () => {
  const world = new World({ sessionsMax: 1 });
  await world.append("1", "a");
  await world.store.replayAfter(await world.at(3, "b"));
  expect(await world.replay(0, "a")).toEqual(["1"]);
  const gap = await world.store.subscribeAfter(await world.at(3, "b"));
  expect(gap).toMatchObject({ kind: "gap", gap: { reason: "unavailable" } });
  // There was room for one.
  expect(await world.replay(0, "a")).toEqual([]);
});

test("LIV-4 B-21 by default 2,048 events and 120 s are held", async () => {
  const world = new World();
  for (let index = 0; index < 2_049; index++) await world.append(index);
  expect(await world.replay(0)).toBe("trimmed");
  expect(await world.replay(1)).toHaveLength(2_048);
  world.nowMs = 120_000;
  expect(await world.replay(1)).toHaveLength(2_048);
  world.nowMs = 120_001;
  expect(await world.replay(2_048)).toBe("trimmed");
});

test("B-22 an event goes when its age is strictly above the limit, from the oldest on", async () => {
  const world = new World({ ageMsMax: 100, eventsMax: 3 });
  for (const nowMs of [0, 10, 20, 30]) {
    world.nowMs = nowMs;
    await world.append(nowMs);
  }
  expect(await world.replay(1)).toEqual([10, 20, 30]);
  world.nowMs = 110;
  expect(await world.replay(1)).toEqual([10, 20, 30]);
  world.nowMs = 111;
  expect(await world.replay(1)).toBe("trimmed");
  expect(await world.replay(2)).toEqual([20, 30]);
});

test("B-22a age is of the monotonic clock: setting the wall clock trims nothing", async () => {
  const world = new World({ ageMsMax: 100 });
  await world.append("1");
  const wall = Date.now;
  Date.now = () => wall() + 1e9;
  try {
    expect(await world.replay(0)).toEqual(["1"]);
  } finally {
    Date.now = wall;
  }
});

test("B-24 with room for one: the start is trimmed, behind the first comes the second, for a subscriber too", async () => {
  const world = new World({ eventsMax: 1 });
  const start = await world.store.currentCursor("s", 0);
  const { cursor } = await world.append("a");
  await world.append("b");
  expect(shown(await world.store.replayAfter(start))).toBe("trimmed");
  expect(shown(await world.store.replayAfter(cursor))).toEqual(["b"]);
  expect(await world.store.subscribeAfter(start)).toMatchObject({ kind: "gap", gap: { reason: "trimmed" } });
  expect(await next(await world.subscribe(cursor))).toBe("b");
});

test("B-26 with room for none only the tail is no gap, and subscribers receive", async () => {
  const world = new World({ eventsMax: 0 });
  const events = await world.subscribe(await world.at(0));
  await world.append("1");
  await world.append("2");
  expect(await world.replay(1)).toBe("trimmed");
  expect(await world.replay(2)).toEqual([]);
  expect([await next(events), await next(events)]).toEqual(["1", "2"]);
  await events.return!();
  await world.append("3");
  expect(await world.replay(3)).toEqual([]);
});

describe("LIV-1 B-27 B-39 a position counts in the life of its buffer alone", () => {
  test("a new store knows nothing of the positions of the one before, even of 0", async () => {
    const before = new World();
    const { cursor } = await before.append("1");
    const start = await before.at(0);
    const after = new World();
    for (const text of ["1", "2", "3"]) await after.append(text);
    expect(shown(await after.store.replayAfter(cursor))).toBe("unavailable");
    expect(shown(await after.store.replayAfter(start))).toBe("unavailable");
    expect(await after.store.subscribeAfter(cursor)).toMatchObject({ gap: { reason: "unavailable" } });
    expect(shown(await new World().store.replayAfter(start))).toBe("unavailable");
  });

  test.each([
    ["for its age", { idleMsMax: 1_000 }],
    ["for want of room", { sessionsMax: 1 }],
  ])("an idle session is evicted %s, and its cursors are unavailable from then on", async (_why, options) => {
    const world = new World(options);
    const start = await world.at(0);
    const { cursor } = await world.append("1");
    world.nowMs = 1_001;
    await world.append("x", "other");
    expect(shown(await world.store.replayAfter(cursor))).toBe("unavailable");
    expect(shown(await world.store.replayAfter(start))).toBe("unavailable");
    const again = await world.append("2");
    expect(again.cursor.position).toBe(1);
    expect(again.cursor.incarnation).not.toBe(cursor.incarnation);
    expect(shown(await world.store.replayAfter(cursor))).toBe("unavailable");
    expect(shown(await world.store.replayAfter(start))).toBe("unavailable");
    expect(await world.replay(0)).toEqual(["2"]);
  });

  test("a session with a subscriber stays, and so does one in use", async () => {
    const world = new World({ idleMsMax: 1_000, sessionsMax: 2 });
    const events = await world.subscribe(await world.at(0));
    world.nowMs = 5_000;
    for (const session of ["a", "b", "c", "d"]) await world.append("x", session);
    await world.append("1");
    expect(await next(events)).toBe("1");
    await events.return!();
    world.nowMs = 5_900;
    expect(await world.replay(0)).toEqual(["1"]);
    expect(await world.replay(0, "d")).toEqual(["x"]);
    expect(await world.replay(0, "a")).toEqual([]);
  });

  test("of the sessions that are too many, those go that were not used for longest", async () => {
    const world = new World({ sessionsMax: 3 });
    for (const session of ["a", "b", "c"]) await world.append("x", session);
    world.nowMs = 2_000;
    await world.replay(0, "a");
    await world.append("x", "d");
    const held = [];
    for (const session of ["a", "b", "c", "d"]) held.push(await world.replay(0, session));
    expect(held).toEqual([["x"], [], ["x"], ["x"]]);
  });
});

describe("LIV-3 LIV-6 subscriptions", () => {
  test("B-13 B-28 first the replay, then live events, each once", async () => {
    const world = new World();
    const start = await world.at(0);
    await world.append("1");
    await world.append("2");
    const events = await world.subscribe(start);
    await world.append("3");
    const waiting = [next(events), next(events), next(events), next(events), next(events)];
    await world.append("4");
    await world.append("5");
    expect(await Promise.all(waiting)).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("B-28 what was cut for a subscriber is not trimmed from under it", async () => {
    const world = new World({ ageMsMax: 10, eventsMax: 4 });
    const start = await world.at(0);
    for (const text of ["1", "2", "3", "4"]) await world.append(text);
    const events = await world.subscribe(start);
    world.nowMs = 100;
    await world.append("5");
    const seen = [];
    for (let index = 0; index < 5; index++) seen.push(await next(events));
    expect(seen).toEqual(["1", "2", "3", "4", "5"]);
  });

  test("B-29 one that reads too slowly is told how many it missed, and goes on with the oldest held", async () => {
    const world = new World({ bufferedMax: 4, eventsMax: 1 });
    const events = await world.subscribe(await world.at(0));
    for (const text of ["1", "2", "3", "4"]) await world.append(text);
    expect(await next(events)).toBe("1");
    for (const text of ["5", "6", "7", "8"]) await world.append(text);
    await expect(next(events)).rejects.toMatchObject({
      code: "SUBSCRIBER_LAGGED",
      missed: 3,
      retryable: true,
    });
    const seen = [];
    for (let index = 0; index < 4; index++) seen.push(await next(events));
    expect(seen).toEqual(["5", "6", "7", "8"]);
    const waiting = next(events);
    await world.append("9");
    expect(await waiting).toBe("9");
  });

  test("B-29 by default a subscriber may be 2,048 events behind, whatever can be replayed", async () => {
    const world = new World({ eventsMax: 8 });
    const events = await world.subscribe(await world.at(0));
    const late = await world.subscribe(await world.at(0));
    for (let index = 0; index < 2_048; index++) await world.append(index);
    expect(await next(events)).toBe(0);
    await world.append(2_048);
    expect(await next(events)).toBe(1);
    await expect(next(late)).rejects.toMatchObject({ missed: 1 });
    expect(await next(late)).toBe(1);
  });

  test("LIV-6 a closed store ends its subscriptions with CLOSED, once, and refuses every call", async () => {
    const world = new World();
    const waits = await world.subscribe(await world.at(0));
    const idles = await world.subscribe(await world.at(0));
    const cursor = await world.at(0);
    const refused = next(waits).catch((error: unknown) => error);
    await world.store.close();
    await world.store.close();
    expect(await refused).toMatchObject({ code: "CLOSED" });
    expect(await next(waits)).toBe("done");
    await expect(next(idles)).rejects.toMatchObject({ code: "CLOSED" });
    expect(await next(idles)).toBe("done");
    for (const call of [
      () => world.append("x"),
      () => world.store.replayAfter(cursor),
      () => world.store.subscribeAfter(cursor),
      () => world.store.currentCursor("s", 0),
      () => world.store.trim("s"),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "CLOSED" });
    }
  });

  test("B-30 nobody need be subscribed, and subscribers do not see each other", async () => {
    const world = new World({ bufferedMax: 2 });
    await world.append("0");
    const slow = await world.subscribe(await world.at(1));
    const fast = await world.subscribe(await world.at(1));
    for (const text of ["1", "2", "3"]) {
      const waiting = next(fast);
      await world.append(text);
      expect(await waiting).toBe(text);
    }
    await expect(next(slow)).rejects.toMatchObject({ missed: 1 });
  });

  test("nextBatch() gives all that is there at once, to each reader, and ends as next() does", async () => {
    const world = new World({ bufferedMax: 4 });
    await world.append("0");
    const readers = [await world.subscribe(await world.at(0)), await world.subscribe(await world.at(0))];
    const batchOf = async (events: LiveEvents): Promise<unknown> => (await events.nextBatch!())?.map(textOf);
    for (const events of readers) expect(await batchOf(events)).toEqual(["0"]);
    const waiting = readers.map(batchOf);
    await Promise.resolve();
    for (const text of ["1", "2", "3"]) void world.append(text);
    for (const batch of waiting) expect(await batch).toEqual(["1", "2", "3"]);
    // One takes them one by one, in turn with lists.
    await world.append("4");
    await world.append("5");
    expect(await next(readers[0]!)).toBe("4");
    expect(await batchOf(readers[0]!)).toEqual(["5"]);
    for (const text of ["6", "7", "8"]) await world.append(text);
    await expect(batchOf(readers[1]!)).rejects.toMatchObject({ code: "SUBSCRIBER_LAGGED", missed: 1 });
    expect(await batchOf(readers[1]!)).toEqual(["5", "6", "7", "8"]);
    expect(await batchOf(readers[0]!)).toEqual(["6", "7", "8"]);
    const left = readers[1]!.nextBatch!();
    await readers[1]!.return!();
    expect(await left).toBeUndefined();
    const ends = batchOf(readers[0]!).catch((error: unknown) => error);
    await world.store.close();
    expect(await ends).toMatchObject({ code: "CLOSED" });
    expect(await batchOf(readers[0]!)).toBeUndefined();
  });

  test("nextBatch() gives at most 256 events, of a replay as of what comes", async () => {
    const world = new World();
    for (let index = 0; index < 600; index++) await world.append(index);
    const events = await world.subscribe(await world.at(0));
    const counts = [];
    for (let batch = 0; batch < 3; batch++) counts.push((await events.nextBatch!())!.length);
    for (let index = 0; index < 300; index++) await world.append(index);
    for (let batch = 0; batch < 2; batch++) counts.push((await events.nextBatch!())!.length);
    expect(counts).toEqual([256, 256, 88, 256, 44]);
  });

  test("B-32 the signal, and leaving a loop, end a subscription and release it", async () => {
    const world = new World({ idleMsMax: 10 });
    const stop = new AbortController();
    const events = await world.subscribe(await world.at(0), stop.signal);
    const left = await world.subscribe(await world.at(0));
    await world.append("1");
    for await (const event of left) {
      expect(textOf(event)).toBe("1");
      break;
    }
    expect(await next(left)).toBe("done");
    expect(await next(events)).toBe("1");
    const waiting = next(events);
    stop.abort();
    expect(await waiting).toBe("done");
    expect(await next(events)).toBe("done");
    // Nothing holds the session any more.
    world.nowMs = 11;
    await world.append("x", "other");
    expect(await world.replay(0)).toEqual([]);
    await expect(world.subscribe(await world.at(0), stop.signal)).rejects.toThrow(
      expect.objectContaining({ name: "AbortError" }),
    );
  });
});

test("LIV-6 what every reader has taken, and nobody can replay, is let go of", async () => {
  const world = new World({ eventsMax: 4 });
  const events = await world.subscribe(await world.at(0));
  const refs: WeakRef<object>[] = [];
  for (let index = 0; index < 500; index++) {
    const activity = { index };
    refs.push(new WeakRef(activity));
    await world.append(activity);
    expect(await next(events)).toEqual({ index });
  }
  await collectGarbage();
  expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(100);
});

test("openMemoryReplayStore() refuses bounds that are none", () => {
  for (const options of [{ eventsMax: -1 }, { bufferedMax: 0 }, { sessionsMax: 0 }, { eventsMax: 1.5 }]) {
    expect(() => openMemoryReplayStore(options)).toThrow(RangeError);
  }
});

test("append() refuses what is no session and no revision", async () => {
  const world = new World();
  await expect(world.append("x", "")).rejects.toThrow(RangeError);
  await expect(world.append("x", "s", -1)).rejects.toThrow(RangeError);
  expect(await world.replay(0)).toEqual([]);
});
