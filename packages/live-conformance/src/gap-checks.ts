import type { LiveReplayStore } from "@tidemark/live";
import { expectSame, expectThat } from "./assertions.ts";
import { hookOf, type LiveCheckContext } from "./check.ts";
import { appendPieces, expectEvents, expectGap, piece, replayed } from "./event-helpers.ts";
import { cursorLike, subscribe } from "./subscriber.ts";

/** The bounds of {@link followsTheTable}. */
export const TABLE_BOUNDS = { eventsMax: 3 } as const;

/** Every row of the table that a count can bring about; of 5 events the last 3 are held. */
export async function followsTheTable(context: LiveCheckContext): Promise<void> {
  const { store } = context;
  const start = await store.currentCursor("s", 0);
  await expectGap(store, cursorLike(start, { position: 1 }), "unavailable", "ahead of an unknown session");
  const events = await appendPieces(store, "s", 5);
  const at = (position: number) => cursorLike(events[0]!.cursor, { position, revision: 4 });
  for (const position of [0, 1]) await expectGap(store, at(position), "trimmed", `behind ${position} of 5`);
  for (const position of [2, 3, 4, 5]) {
    const rest = events.slice(position);
    expectEvents(await replayed(store, at(position)), rest, `the replay behind ${position} of 5`);
    const subscriber = await subscribe(context, at(position));
    expectEvents(await subscriber.take(rest.length, "the replay"), rest, `subscribed behind ${position}`);
    await subscriber.leave();
  }
  for (const position of [6, 7, 2 ** 53 - 1])
    await expectGap(store, at(position), "unavailable", `ahead of the tail, at ${position}`);
}

/** A gap says what was asked, and where to go on. */
export async function tellsWhereToGoOn({ store }: LiveCheckContext): Promise<void> {
  const events = await appendPieces(store, "s", 4);
  await store.append("s", 6, piece("last"), { committed: "r1:6" });
  const asked = cursorLike(events[0]!.cursor, { position: 0, revision: 0 });
  const gap = await expectGap(store, asked, "trimmed", "behind what was trimmed");
  expectSame(gap.session, "s", "the session of the gap");
  expectSame(gap.requested, asked, "the cursor that was asked for");
  expectSame(gap.latestRevision, 6, "the latest revision");
  expectSame([gap.latest.position, gap.latest.revision], [5, 6], "the latest cursor");
  expectEvents(await replayed(store, gap.latest), [], "the replay behind the latest cursor");
  const next = await store.append("s", 7, piece("next"));
  expectEvents(await replayed(store, gap.latest), [next], "the replay behind the latest cursor, later");
}

/** A cursor of another life of the buffer proves nothing, whatever its position. */
export async function refusesAnotherIncarnation({ store }: LiveCheckContext): Promise<void> {
  const events = await appendPieces(store, "s", 3);
  const { incarnation } = events[2]!.cursor;
  for (const position of [0, 1, 3, 9]) {
    const cursor = cursorLike(events[0]!.cursor, { position, incarnation: `${incarnation.slice(1)}x` });
    await expectGap(store, cursor, "unavailable", `of another incarnation at ${position}`);
  }
}

/** Once a medium has lost what it held, no cursor from before is answered with events, or with none. */
export async function isAnotherAfterALoss(context: LiveCheckContext): Promise<void> {
  const { fixture, store } = context;
  const early = await store.currentCursor("s", 0);
  const events = await appendPieces(store, "s", 3);
  const other = await store.currentCursor("unknown", 0);
  await appendPieces(store, "unknown", 1);
  const after = await hookOf(fixture, "forget")();
  for (const cursor of [early, other, ...events.map((event) => event.cursor)])
    await expectGap(after, cursor, "unavailable", `at ${cursor.position}, of before the loss`);
  const fresh = await after.currentCursor("s", 0);
  expectSame(fresh.position, 0, "the tail after the loss");
  await overtake(after, "s", fresh.incarnation, events[0]!.cursor.incarnation);
  for (const cursor of [early, ...events.map((event) => event.cursor)])
    await expectGap(after, cursor, "unavailable", `at ${cursor.position}, overtaken after the loss`);
  const [first] = await replayed(after, fresh);
  expectSame(first?.cursor.position, 1, "the first event after the loss");
}

/** A session that was let go of while idle comes back as another. */
export async function isAnotherAfterEviction(context: LiveCheckContext): Promise<void> {
  const { fixture, store } = context;
  const early = await store.currentCursor("s", 0);
  const events = await appendPieces(store, "s", 3);
  await hookOf(fixture, "evict")("s");
  for (const cursor of [early, ...events.map((event) => event.cursor)])
    await expectGap(store, cursor, "unavailable", `at ${cursor.position}, of before the eviction`);
  const fresh = await store.currentCursor("s", 0);
  await overtake(store, "s", fresh.incarnation, events[0]!.cursor.incarnation);
  for (const cursor of [early, ...events.map((event) => event.cursor)])
    await expectGap(store, cursor, "unavailable", `at ${cursor.position}, overtaken after the eviction`);
}

/** Appends more events than there had been. */
async function overtake(
  store: LiveReplayStore,
  session: string,
  fresh: string,
  before: string,
): Promise<void> {
  const events = await appendPieces(store, session, 5);
  expectSame(events[0]!.cursor.position, 1, "the first position of a new buffer");
  expectSame(events[0]!.cursor.incarnation, fresh, "the incarnation told before the first event");
  expectThat(fresh !== before, "a new buffer has the incarnation of the old one");
}
