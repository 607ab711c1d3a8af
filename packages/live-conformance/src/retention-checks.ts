import { expectSame } from "./assertions.ts";
import { hookOf, type LiveCheckContext } from "./check.ts";
import { appendPieces, expectEvents, expectGap, piece, positionsOf, replayed } from "./event-helpers.ts";
import { cursorLike, subscribe } from "./subscriber.ts";

/** Of 2,048 events that fit by default the next one pushes out the first. */
export async function holdsSoManyByDefault({ store }: LiveCheckContext): Promise<void> {
  const start = await store.currentCursor("s", 0);
  const append = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, index) => store.append("s", 1, piece(index))));
  await append(2_048);
  const all = await replayed(store, start);
  expectSame([all.length, all[0]?.cursor.position, all.at(-1)?.cursor.position], [2_048, 1, 2_048], "2,048");
  await append(1);
  await expectGap(store, start, "trimmed", "from the start, with 2,049 events");
  const rest = await replayed(store, all[0]!.cursor);
  expectSame([rest.length, rest.at(-1)?.cursor.position], [2_048, 2_049], "the last 2,048 of 2,049");
}

/** A store of one event. */
export async function holdsOne(context: LiveCheckContext): Promise<void> {
  const { store } = context;
  const start = await store.currentCursor("s", 0);
  const [a, b] = await appendPieces(store, "s", 2);
  await expectGap(store, start, "trimmed", "from the start");
  expectEvents(await replayed(store, a!.cursor), [b!], "the replay behind the first");
  const subscriber = await subscribe(context, a!.cursor);
  expectEvents(await subscriber.take(1, "the replay"), [b!], "subscribed behind the first");
  await subscriber.leave();
}

/** A store that replays nothing still hands on what comes. */
export async function holdsNone(context: LiveCheckContext): Promise<void> {
  const { store } = context;
  const start = await store.currentCursor("s", 0);
  const subscriber = await subscribe(context, start);
  const events = await appendPieces(store, "s", 3);
  expectEvents(await subscriber.take(3, "live events"), events, "live events of a store that holds none");
  await subscriber.leave();
  for (const { cursor } of [{ cursor: start }, ...events.slice(0, 2)])
    await expectGap(store, cursor, "trimmed", `at ${cursor.position}`);
  expectEvents(await replayed(store, events[2]!.cursor), [], "the replay behind the tail");
  expectSame((await store.currentCursor("s", 1)).position, 3, "the tail");
}

/** An event is dropped once it is older than the limit, not before; the tail stays where it is. */
export async function dropsWhatIsOld(context: LiveCheckContext): Promise<void> {
  const { store, fixture } = context;
  const advance = hookOf(fixture, "advance");
  const start = await store.currentCursor("s", 0);
  const [first, ...rest] = await appendPieces(store, "s", 2);
  await advance(400);
  rest.push(...(await appendPieces(store, "s", 2, 3)));
  await advance(600);
  expectEvents(
    await replayed(store, start, "at the limit of age"),
    [first!, ...rest],
    "the replay at the limit of age",
  );
  await advance(1);
  await expectGap(store, start, "trimmed", "beyond the limit of age");
  await expectGap(store, first!.cursor, "trimmed", "behind the first, beyond the limit of age");
  expectEvents(await replayed(store, rest[0]!.cursor), rest.slice(1), "the replay of what is younger");
  await advance(10_000);
  const tail = rest.at(-1)!.cursor;
  for (const cursor of [start, rest[0]!.cursor, rest[1]!.cursor])
    await expectGap(store, cursor, "trimmed", `at ${cursor.position}, when nothing is held`);
  expectEvents(await replayed(store, tail), [], "the replay behind the tail, when nothing is held");
  await expectGap(store, cursorLike(tail, { position: 5 }), "unavailable", "ahead of the tail, nothing held");
  await store.trim("s");
  expectSame((await store.currentCursor("s", 1)).position, 4, "the tail after everything was trimmed");
  const next = await store.append("s", 1, piece("next"));
  expectSame(next.cursor.position, 5, "the position after everything was trimmed");
  expectEvents(await replayed(store, tail), [next], "the replay behind the old tail");
}

/** What trim() drops is dropped, what it keeps is kept. */
export async function trimsWhenTold(context: LiveCheckContext): Promise<void> {
  const { store, second, fixture } = context;
  const advance = hookOf(fixture, "advance");
  const events = await appendPieces(store, "s", 3);
  await advance(1_000);
  await second.trim("s");
  expectEvents(await replayed(store, events[0]!.cursor), events.slice(1), "the replay after an early trim()");
  await advance(1);
  await second.trim("s");
  await expectGap(store, events[0]!.cursor, "trimmed", "after trim()");
  expectEvents(await replayed(store, events[2]!.cursor), [], "the replay behind the tail after trim()");
}

/** A step of the clock on the wall neither drops events nor brings them back. */
export async function doesNotMindTheWallClock(context: LiveCheckContext): Promise<void> {
  const { store, fixture } = context;
  const step = hookOf(fixture, "stepWallClock");
  const start = await store.currentCursor("s", 0);
  const events = await appendPieces(store, "s", 2);
  await step(86_400_000);
  expectEvents(await replayed(store, start), events, "the replay after a step ahead by a day");
  events.push(...(await appendPieces(store, "s", 1, 3)));
  await step(-2 * 86_400_000);
  events.push(...(await appendPieces(store, "s", 1, 4)));
  expectEvents(await replayed(store, start), events, "the replay after a step back by two days");
  await hookOf(fixture, "advance")(1_001);
  await expectGap(store, start, "trimmed", "beyond the limit of age, on a clock that was set back");
  await step(-86_400_000);
  await expectGap(store, start, "trimmed", "what was trimmed, after another step back");
}

/** The count is kept for each session alone. */
export async function countsEachSession({ store }: LiveCheckContext): Promise<void> {
  const start = await store.currentCursor("a", 0);
  const events = await appendPieces(store, "a", 2);
  await appendPieces(store, "b", 20);
  expectSame(positionsOf(await replayed(store, start)), [1, 2], "positions of a beside a busy b");
  expectEvents(await replayed(store, start), events, "events of a beside a busy b");
}
