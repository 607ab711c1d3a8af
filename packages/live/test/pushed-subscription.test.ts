import { expect, test } from "vitest";
import { LiveCursor, type LiveEvent, PushedSubscription } from "../src/index.ts";

function event(position: number, incarnation = "a"): LiveEvent {
  const cursor = LiveCursor.of({ session: "s", revision: 1, position, incarnation });
  return { session: "s", revision: 1, cursor, payload: { kind: "turn_activity", activity: position } };
}

function open(bufferedMax = 4, signal?: AbortSignal) {
  const ended: PushedSubscription[] = [];
  const onEnd = (subscription: PushedSubscription): void => void ended.push(subscription);
  return { subscription: new PushedSubscription({ bufferedMax, signal, onEnd }), ended };
}

/** What each step gives: a position, how many were missed, a code, or the end. */
async function steps(subscription: PushedSubscription, count: number): Promise<unknown[]> {
  const found: unknown[] = [];
  for (let step = 0; step < count; step++) {
    found.push(
      await subscription.next().then(
        ({ done, value }) => (done === true ? "done" : value.cursor.position),
        (error: { code: string; missed?: number }) =>
          error.missed === undefined ? error.code : { missed: error.missed },
      ),
    );
  }
  return found;
}

test("B-28 what was pushed before the replay is known is given once, behind it", async () => {
  const { subscription } = open();
  for (const position of [3, 4, 5]) subscription.push(event(position));
  subscription.begin("a", 1, [event(2), event(3), event(4)]);
  for (const position of [4, 5, 6]) subscription.push(event(position));
  expect(await steps(subscription, 5)).toEqual([2, 3, 4, 5, 6]);
});

test("B-29 a lag counts what fell out of the buffer, and holes of the medium, at their place", async () => {
  const { subscription } = open(3);
  subscription.begin("a", 0, [event(1)]);
  for (const position of [2, 3, 6, 7, 8]) subscription.push(event(position));
  expect(await steps(subscription, 5)).toEqual([1, { missed: 4 }, 6, 7, 8]);
  const waiting = [steps(subscription, 1), steps(subscription, 1)];
  subscription.push(event(11));
  expect(await Promise.all(waiting)).toEqual([[{ missed: 2 }], [11]]);
});

test("B-39 an event of another life of the buffer ends it, once", async () => {
  const { subscription, ended } = open();
  subscription.begin("a", 0, []);
  const waiting = steps(subscription, 1);
  subscription.push(event(9, "b"));
  expect(await waiting).toEqual(["STORE_UNAVAILABLE"]);
  expect(await steps(subscription, 1)).toEqual(["done"]);
  expect(ended).toEqual([subscription]);
  const early = open();
  early.subscription.push(event(9, "b"));
  early.subscription.begin("a", 0, [event(1)]);
  expect(await steps(early.subscription, 2)).toEqual(["STORE_UNAVAILABLE", "done"]);
});

test("B-32 a signal and return() end it, whatever waits, and let go of it once", async () => {
  const controller = new AbortController();
  const { subscription, ended } = open(4, controller.signal);
  subscription.begin("a", 0, []);
  const waiting = steps(subscription, 2);
  controller.abort();
  expect(await waiting).toEqual(["done", "done"]);
  await subscription.return();
  subscription.push(event(1));
  subscription.lose();
  subscription.close();
  expect(await steps(subscription, 1)).toEqual(["done"]);
  expect(ended.length).toBe(1);
  expect(open(4, controller.signal).subscription.ended).toBe(true);
});
