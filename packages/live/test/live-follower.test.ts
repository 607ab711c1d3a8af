import { expect, test } from "vitest";
import { LiveCursor, type LiveEvent, LiveFollower, PushedSubscription } from "../src/index.ts";

function event(position: number): LiveEvent {
  const cursor = LiveCursor.of({ session: "s", revision: 1, position, incarnation: "a" });
  return { session: "s", revision: 1, cursor, payload: { kind: "turn_activity", activity: position } };
}

const at = (position: number) => ({ incarnation: "a", at: position });

test("B-28 a replay that ends before what is handed on begins is read again, and one that reaches it is not", async () => {
  const follower = new LiveFollower<number>("s", (left, right) => left < right);
  const onEnd = (): void => undefined;
  const [slow, quick] = [0, 1].map(() => new PushedSubscription({ bufferedMax: 9, onEnd })) as [
    PushedSubscription,
    PushedSubscription,
  ];
  follower.add(slow);
  follower.add(quick);
  // Both are read; the one that was read later is there first.
  expect(follower.joins(quick, at(5))).toBe(true);
  quick.begin("a", 5, []);
  follower.begin(at(5));
  follower.take([event(6)], at(6));
  expect(follower.joins(slow, at(3))).toBe(false);
  expect(follower.joins(slow, at(5))).toBe(true);
  expect(follower.joins(slow, { incarnation: "b", at: 0 })).toBe(true);
  slow.begin("a", 4, [event(5)]);
  follower.begin(at(5));
  expect(follower.place).toEqual(at(6));
  for (const position of [5, 6]) expect((await slow.next()).value).toEqual(event(position));
  expect((await quick.next()).value).toEqual(event(6));
});
