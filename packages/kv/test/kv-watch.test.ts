import { expect, test } from "vitest";
import { type KvBell, KvWatch } from "../src/index.ts";

const RUNG = { done: false, value: undefined };
const DONE = { done: true, value: undefined };

/** A watch whose putting in place and taking away the test sees. */
function watched(signal?: AbortSignal, begin: () => Promise<void> | void = () => {}) {
  const log: string[] = [];
  let bell: KvBell | undefined;
  const watch = new KvWatch({
    signal,
    begin: async (given) => {
      log.push("begin");
      bell = given;
      await begin();
    },
    end: () => log.push("end"),
  });
  return { log, bell: () => bell!, watching: watch[Symbol.asyncIterator]() };
}

test("KvWatch rings once when it is in place, and makes one of several rings", async () => {
  const { bell, watching } = watched();
  expect(await watching.next()).toEqual(RUNG);
  for (let ring = 0; ring < 3; ring++) bell().ring();
  expect(await watching.next()).toEqual(RUNG);
  const third = watching.next();
  bell().ring();
  expect(await third).toEqual(RUNG);
  bell().finish();
  expect(await watching.next()).toEqual(DONE);
});

test("KvWatch does nothing before it is asked, and ends once though nobody waits", async () => {
  const idle = watched();
  expect(await idle.watching.return!()).toEqual(DONE);
  expect(idle.log).toEqual([]);
  const { log, watching } = watched();
  await watching.next();
  const waiting = watching.next();
  expect(await watching.return!()).toEqual(DONE);
  expect(await waiting).toEqual(DONE);
  expect(log).toEqual(["begin", "end"]);
});

test("KvWatch rejects with the reason of its signal, once, and a ring after it is none", async () => {
  const controller = new AbortController();
  const { bell, log, watching } = watched(controller.signal);
  await watching.next();
  const waiting = watching.next();
  controller.abort("enough");
  await expect(waiting).rejects.toBe("enough");
  bell().ring();
  expect(await watching.next()).toEqual(DONE);
  expect(log).toEqual(["begin", "end"]);
  const late = watched(controller.signal);
  await expect(late.watching.next()).rejects.toBe("enough");
  expect(late.log).toEqual([]);
});

test("KvWatch tells a failure to begin, and is taken away only after it began", async () => {
  const failing = watched(undefined, () => Promise.reject(new Error("no link")));
  await expect(failing.watching.next()).rejects.toThrow("no link");
  expect(failing.log).toEqual(["begin", "end"]);
  let inPlace = (): void => {};
  const slow = watched(undefined, () => new Promise((resolve) => (inPlace = resolve)));
  const waiting = slow.watching.next();
  await slow.watching.return!();
  expect(await waiting).toEqual(DONE);
  expect(slow.log).toEqual(["begin"]);
  inPlace();
  await expect.poll(() => slow.log).toEqual(["begin", "end"]);
});
