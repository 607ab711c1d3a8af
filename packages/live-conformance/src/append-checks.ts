import type { LivePayload } from "@tidemark/live";
import { expectSame, expectThat } from "./assertions.ts";
import type { LiveCheckContext } from "./check.ts";
import { appendPieces, expectEvents, piece, positionsOf, replayed } from "./event-helpers.ts";
import { cursorLike } from "./subscriber.ts";

/** Names that are nearly the same, or that media might take for patterns, separators or slots. */
const SESSIONS: readonly string[] = [
  "a",
  "A",
  "a:",
  "a:b",
  "a.b",
  "a.*",
  "a.>",
  ">",
  "*",
  "{a}",
  "{a}b",
  "a b",
  "a/b",
  "a%2Fb",
  "é",
  "e\u0301",
  "会话 🌊",
];

/** One payload of each kind and shape. */
const PAYLOADS: readonly LivePayload[] = [
  {
    kind: "turn_activity",
    turn: "t",
    activity: { text: 'line\r\n\u0000 "quoted" 🌊', list: [1, null, true, -0.5] },
  },
  { kind: "turn_activity", activity: null },
  { kind: "turn_state", turn: "t", state: "pending" },
  { kind: "turn_state", turn: "t", state: "error", message: "no luck" },
  { kind: "committed", view: { items: ["a"], deep: { deeper: {} } } },
  { kind: "agent_frame_switched", frame: "researcher" },
  { kind: "queue_changed", change: "enqueued", batches: ["b1", "b2"] },
  { kind: "process_changed", change: "cancelled", processes: [] },
];

/** The store is the one whose claims were pinned. */
export async function isAsPinned({ store, claims }: LiveCheckContext): Promise<void> {
  expectSame(store.name, claims.name, "the name");
}

/** Positions count from 1 in each session, whatever the others do, and an event's cursor is its own. */
export async function countsFromOne({ store, second }: LiveCheckContext): Promise<void> {
  for (const round of [1, 2, 3]) {
    for (const session of SESSIONS) {
      const handle = round === 2 ? second : store;
      const event = await handle.append(session, round * 10, piece(round));
      expectSame(event.cursor.position, round, `the position of event ${round} of ${session}`);
      expectSame(event.session, session, "the session of the event");
      expectSame(event.cursor.session, session, "the session of its cursor");
      expectSame([event.revision, event.cursor.revision], [round * 10, round * 10], "the revision");
    }
  }
}

/** What was appended is replayed, whole, by either handle: payload, revision and cursor. */
export async function replaysWhatWasAppended({ store, second }: LiveCheckContext): Promise<void> {
  const start = await store.currentCursor("s", 0);
  const appended = [];
  for (const [index, payload] of PAYLOADS.entries()) {
    const options = index % 2 === 0 ? {} : { committed: `r1:${index}` };
    const event = await store.append("s", index, payload, options);
    expectSame(event.payload, payload, "the payload of the event");
    expectSame(event.cursor.committed, options.committed, "the session cursor it carries");
    appended.push(event);
  }
  for (const handle of [store, second]) {
    expectEvents(await replayed(handle, start), appended, "the replay from the start");
    expectEvents(await replayed(handle, appended[2]!.cursor), appended.slice(3), "the replay behind event 3");
  }
}

/** The cursor of an event leaves that event out; a replay takes nothing away. */
export async function leavesOutItsOwnEvent({ store }: LiveCheckContext): Promise<void> {
  const events = await appendPieces(store, "s", 5);
  for (const [index, { cursor }] of events.entries()) {
    for (const round of [1, 2])
      expectEvents(
        await replayed(store, cursor),
        events.slice(index + 1),
        `replay ${round} behind ${index + 1}`,
      );
  }
}

/** The current cursor is behind the last event, carries what it was given, and misses nothing that comes. */
export async function tellsWhereItIs({ store, second }: LiveCheckContext): Promise<void> {
  const unknown = await store.currentCursor("s", 7, { committed: "r1:9" });
  expectSame(
    [unknown.session, unknown.revision, unknown.position, unknown.committed],
    ["s", 7, 0, "r1:9"],
    "the cursor of an unknown session",
  );
  expectEvents(await replayed(store, unknown), [], "the replay of an unknown session");
  const again = await second.currentCursor("s", 8);
  const events = await appendPieces(store, "s", 3);
  expectEvents(await replayed(store, unknown), events, "the replay behind the cursor of nothing");
  expectEvents(await replayed(second, again), events, "the replay behind the cursor of the other handle");
  const tail = await second.currentCursor("s", 99);
  expectSame([tail.position, tail.revision], [3, 99], "the cursor of the tail");
  expectSame(tail.incarnation, events[2]!.cursor.incarnation, "the incarnation of the tail");
  expectEvents(await replayed(store, tail), [], "the replay behind the tail");
}

/** The revision of a cursor is the caller's affair. */
export async function ignoresTheRevision({ store }: LiveCheckContext): Promise<void> {
  const events = await appendPieces(store, "s", 3);
  for (const revision of [0, 1, 2 ** 40]) {
    const cursor = cursorLike(events[0]!.cursor, { revision });
    expectEvents(await replayed(store, cursor), events.slice(1), `the replay behind revision ${revision}`);
  }
}

/** Calls that were made one after another take effect in that order, also if nobody waited. */
export async function keepsTheOrderOfCalls({ store }: LiveCheckContext): Promise<void> {
  const start = await store.currentCursor("s", 0);
  const appending = Array.from({ length: 50 }, (_, index) => store.append("s", 1, piece(index)));
  const events = await Promise.all(appending);
  expectSame(
    positionsOf(events),
    events.map((_, index) => index + 1),
    "the positions of 50 calls",
  );
  expectEvents(await replayed(store, start), events, "the replay of 50 calls");
}

/** Nobody has to be there to hear an event, and trimming what is not there is nothing. */
export async function needsNobody({ store }: LiveCheckContext): Promise<void> {
  await store.trim("never heard of");
  const [event] = await appendPieces(store, "s", 1);
  await store.trim("s");
  expectThat(event !== undefined && event.cursor.position === 1, "the first event is not number 1");
  expectSame((await store.currentCursor("s", 1)).position, 1, "the tail after trim()");
}
