import { expect, onTestFinished, test } from "vitest";
import {
  type LiveEvent,
  LiveError,
  type LiveReplayStore,
  openLive,
  openMemoryReplayStore,
} from "../src/index.ts";

/** A store whose first subscription ends as one does whose medium lost the buffer. */
function losingStore(): LiveReplayStore {
  const store = openMemoryReplayStore();
  const subscribeAfter = store.subscribeAfter.bind(store);
  let lost = false;
  store.subscribeAfter = async (...given) => {
    if (lost) return subscribeAfter(...given);
    lost = true;
    const next = (): Promise<IteratorResult<LiveEvent>> =>
      Promise.reject(new LiveError("STORE_UNAVAILABLE", "The buffer was lost"));
    const events = { next, [Symbol.asyncIterator]: () => events };
    return { kind: "subscribed", events };
  };
  return store;
}

test("B-34 B-39 a watch whose buffer was lost goes on behind a gap with a fresh observation", async () => {
  await using store = losingStore();
  await using live = openLive({ store, source: { observe: async () => ({ revision: 2, view: "fresh" }) } });
  const session = live.session("trip");
  const controller = new AbortController();
  onTestFinished(() => controller.abort());
  const items = session.watch({ signal: controller.signal })[Symbol.asyncIterator]();
  expect((await items.next()).value).toMatchObject({ kind: "observation" });
  expect((await items.next()).value).toMatchObject({
    kind: "gap",
    gap: { reason: "unavailable" },
    observation: { view: "fresh" },
  });
  const waiting = items.next();
  session.publish({ kind: "turn_activity", activity: "on" });
  expect((await waiting).value).toMatchObject({ kind: "event", event: { payload: { activity: "on" } } });
});
