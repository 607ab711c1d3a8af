import type { LiveCursor, LiveEvent, LiveGap, LivePayload, LiveReplayStore } from "@tidemark/live";
import { expectSame, expectThat } from "./assertions.ts";

/** A passing piece of text that can be told from any other. */
export function piece(text: string | number): LivePayload {
  return { kind: "turn_activity", turn: "turn-1", activity: { text: `${text}` } };
}

/** Appends so many pieces, one after another, all of revision 1. */
export async function appendPieces(
  store: LiveReplayStore,
  session: string,
  count: number,
  from: number = 1,
): Promise<LiveEvent[]> {
  const events: LiveEvent[] = [];
  for (let number = from; number < from + count; number++)
    events.push(await store.append(session, 1, piece(number)));
  return events;
}

/** The numbers of events. */
export function positionsOf(events: readonly LiveEvent[]): number[] {
  return events.map(({ cursor }) => cursor.position);
}

/** Checks that events are those, whole and in this order. */
export function expectEvents(
  actual: readonly LiveEvent[],
  expected: readonly LiveEvent[],
  what: string,
): void {
  expectSame(positionsOf(actual), positionsOf(expected), `${what}, positions`);
  expectSame(actual, expected, what);
}

/** The events of a replay where there must be no gap. */
export async function replayed(
  store: LiveReplayStore,
  cursor: LiveCursor,
  what: string = "replayAfter()",
): Promise<readonly LiveEvent[]> {
  const replay = await store.replayAfter(cursor);
  if (replay.kind === "replayed") return replay.events;
  expectThat(false, `${what}: a gap, ${replay.gap.reason}, where there is none`);
}

/** Checks that a cursor is answered with a gap, by a replay and by a subscription alike. */
export async function expectGap(
  store: LiveReplayStore,
  cursor: LiveCursor,
  reason: LiveGap["reason"],
  what: string,
): Promise<LiveGap> {
  const replay = await store.replayAfter(cursor);
  expectThat(
    replay.kind === "gap",
    `replayAfter() ${what}: expected a gap, ${reason}, and got ${replay.kind === "gap" ? "" : replay.events.length} events`,
  );
  expectSame(replay.gap.reason, reason, `replayAfter() ${what}, the reason`);
  const subscription = await store.subscribeAfter(cursor);
  if (subscription.kind === "subscribed") await subscription.events.return?.();
  expectThat(subscription.kind === "gap", `subscribeAfter() ${what}: expected a gap, ${reason}`);
  expectSame(subscription.gap.reason, reason, `subscribeAfter() ${what}, the reason`);
  return replay.gap;
}
