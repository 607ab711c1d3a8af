import { LiveError, type LiveEvent, type LiveReplayStore } from "@tidemark/live";
import { expectCode, expectSame, expectThat, rejectionOf, within } from "./assertions.ts";
import { hookOf, type LiveCheckContext } from "./check.ts";
import { appendPieces, expectEvents, piece, positionsOf } from "./event-helpers.ts";
import { subscribe, type Subscriber } from "./subscriber.ts";

/** The replay comes first, then what is appended by whichever handle, each event once. */
export async function replaysThenFollows(context: LiveCheckContext): Promise<void> {
  const { store, second } = context;
  const start = await store.currentCursor("s", 0);
  const events = await appendPieces(store, "s", 3);
  const [all, some] = [await subscribe(context, start), await subscribe(context, events[1]!.cursor)];
  for (const handle of [second, store, second]) {
    events.push(await handle.append("s", 2, piece("live"), { committed: `r1:${events.length}` }));
    await handle.append("other", 2, piece("of another session"));
  }
  expectEvents(await all.take(6, "all events"), events, "subscribed from the start");
  expectEvents(await some.take(4, "events behind 2"), events.slice(2), "subscribed behind 2");
  const waiting = all.take(1, "an event that is waited for");
  events.push(...(await appendPieces(second, "s", 1, 7)));
  expectEvents(await waiting, events.slice(-1), "an event that was waited for");
  await all.leave();
  await some.leave();
}

/** Whoever subscribes to a session of which nothing is known gets all of it. */
export async function followsFromNothing(context: LiveCheckContext): Promise<void> {
  const { second } = context;
  const start = await second.currentCursor("s", 0);
  const subscriber = await subscribe(context, start);
  const events = await appendPieces(second, "s", 3);
  expectEvents(await subscriber.take(3, "all events"), events, "subscribed to nothing");
  await subscriber.leave();
}

/** However appends race with subscribing, a subscription is the log behind its cursor: no hole, no repeat. */
export async function racesWithAppends(context: LiveCheckContext): Promise<void> {
  const { store, second, deadlineMs } = context;
  const [writes, writers] = [40, [store, second, store, second]] as const;
  const total = writes * writers.length;
  const known = [await store.currentCursor("s", 0)];
  const order: [before: number, after: number][] = [];
  const log: LiveEvent[] = [];
  const write = async (handle: LiveReplayStore, writer: number): Promise<void> => {
    for (let number = 0; number < writes; number++) {
      const before = Math.max(0, ...positionsOf(log));
      const event = await handle.append("s", 1, piece(`${writer}/${number}`));
      order.push([before, event.cursor.position]);
      log.push(event);
      known.push(event.cursor);
    }
  };
  const read = async (handle: LiveReplayStore, reader: number): Promise<[number, LiveEvent[]]> => {
    // Spread over the time in which there are writes, and each at another distance behind them.
    while (known.length < reader * 10) await new Promise((resolve) => globalThis.setTimeout(resolve, 0));
    const cursor = known[Math.max(0, known.length - 1 - (reader % 5) * 7)]!;
    const subscriber = await subscribe({ store: handle, deadlineMs }, cursor);
    const events = await subscriber.take(total - cursor.position, `reader ${reader}`);
    await subscriber.leave();
    return [cursor.position, events];
  };
  const readers = Array.from({ length: 12 }, (_, index) => read(index % 2 === 0 ? store : second, index));
  const writing = Promise.all(writers.map(write));
  const [read12] = await within(
    deadlineMs * 8,
    Promise.all([Promise.all(readers), writing]),
    "racing appends and subscriptions",
  );
  log.sort((left, right) => left.cursor.position - right.cursor.position);
  const wanted = Array.from({ length: total }, (_, index) => index + 1);
  expectSame(positionsOf(log), wanted, "positions of racing appends");
  expectThat(
    order.every(([before, after]) => before < after),
    "an event has a position below one that was appended before it began",
  );
  for (const [position, events] of read12)
    expectEvents(events, log.slice(position), `a reader that began at ${position} while others wrote`);
}

/** Many subscribers of one session each have all of it. */
export async function serveEachAlone(context: LiveCheckContext): Promise<void> {
  const { store } = context;
  const start = await store.currentCursor("s", 0);
  const subscribers: Subscriber[] = [];
  for (let index = 0; index < 20; index++) subscribers.push(await subscribe(context, start));
  const events = await appendPieces(store, "s", 5);
  await subscribers[0]!.leave();
  for (const subscriber of subscribers.slice(1)) {
    expectEvents(await subscriber.take(5, "one of 20"), events, "one of 20 subscribers");
    await subscriber.leave();
  }
}

/** A subscriber that does not read is told how many it missed, exactly, and goes on with the oldest held. */
export async function countsWhatWasMissed(context: LiveCheckContext): Promise<void> {
  const { store, second } = context;
  const start = await store.currentCursor("s", 0);
  const [slow, fast] = [await subscribe(context, start), await subscribe(context, start)];
  const events: LiveEvent[] = [];
  for (let number = 1; number <= 10; number++) {
    events.push(...(await appendPieces(second, "s", 1, number)));
    // Once one has it, it is there for all who are subscribed to the same handle.
    expectEvents(await fast.take(1, "the one that reads"), events.slice(-1), "the one that reads");
  }
  expectSame(await slow.step("the first step of one that lagged"), { missed: 6 }, "what was missed");
  expectEvents(await slow.take(4, "what is held"), events.slice(6), "what is held after a lag");
  events.push(...(await appendPieces(second, "s", 1, 11)));
  expectEvents(await slow.take(1, "what comes then"), events.slice(-1), "what comes after a lag");
  await slow.leave();
  await fast.leave();
}

/** A signal ends a subscription, also while it waits; one that was aborted before never begins. */
export async function endsWithItsSignal(context: LiveCheckContext): Promise<void> {
  const { store } = context;
  const start = await store.currentCursor("s", 0);
  const controller = new AbortController();
  const subscriber = await subscribe(context, start, { signal: controller.signal });
  const other = await subscribe(context, start);
  const waiting = subscriber.next("a question when the signal aborted");
  controller.abort(new Error("enough"));
  expectSame(await waiting, undefined, "the answer to a question when the signal aborted");
  expectSame(await subscriber.next("a question after the signal"), undefined, "after the signal");
  const events = await appendPieces(store, "s", 1);
  expectSame(await subscriber.next("a question after the next event"), undefined, "after the next event");
  expectEvents(await other.take(1, "the other"), events, "a subscription without the signal");
  await other.leave();
  const early = () => store.subscribeAfter(start, { signal: controller.signal });
  const reason = await rejectionOf(early, "subscribeAfter() with an aborted signal");
  expectThat(reason === controller.signal.reason, "it rejected with something else than the reason");
}

/** Leaving a loop ends its subscription and no other. */
export async function endsWithItsLoop(context: LiveCheckContext): Promise<void> {
  const { store, deadlineMs } = context;
  const start = await store.currentCursor("s", 0);
  const other = await subscribe(context, start);
  const events = await appendPieces(store, "s", 2);
  const subscription = await store.subscribeAfter(start);
  expectThat(subscription.kind === "subscribed", "subscribeAfter() gave a gap");
  const leaving = (async () => {
    for await (const _ of subscription.events) break;
  })();
  await within(deadlineMs, leaving, "leaving the loop");
  const after = await within(deadlineMs, subscription.events.next(), "a question after leaving");
  expectThat(after.done === true, "a subscription that was left goes on");
  expectEvents(await other.take(2, "the other"), events, "another subscription");
  const waiting = other.next("a question when it was left");
  await other.leave();
  expectSame(await waiting, undefined, "the answer to a question when it was left");
}

/** A handle that closes ends what waits with `CLOSED`, once, and refuses every call. */
export async function closesForGood(context: LiveCheckContext): Promise<void> {
  const { store, deadlineMs } = context;
  const cursor = await store.currentCursor("s", 0);
  const [waiting, later] = [await subscribe(context, cursor), await subscribe(context, cursor)];
  const asked = waiting.next("the question at close()");
  asked.catch(() => undefined);
  await within(deadlineMs, Promise.all([store.close(), store.close()]), "close() twice at once");
  await within(deadlineMs, Promise.resolve(store[Symbol.asyncDispose]()), "Symbol.asyncDispose");
  await expectCode("CLOSED", () => asked, "a question at close()");
  await expectCode("CLOSED", () => later.next("a question"), "a question after close()");
  for (const each of [waiting, later])
    expectSame(await each.next("the step after CLOSED"), undefined, "the step after CLOSED");
  const calls: Record<string, () => Promise<unknown>> = {
    append: () => store.append("s", 1, piece(1)),
    replayAfter: () => store.replayAfter(cursor),
    subscribeAfter: () => store.subscribeAfter(cursor),
    currentCursor: () => store.currentCursor("s", 1),
    trim: () => store.trim("s"),
  };
  for (const [name, call] of Object.entries(calls))
    await expectCode("CLOSED", () => within(deadlineMs, call(), name), `${name}() of a closed store`);
}

/** Closing one handle leaves the other as it was. */
export async function leavesTheOtherOpen(context: LiveCheckContext): Promise<void> {
  const { store, second, deadlineMs } = context;
  const start = await second.currentCursor("s", 0);
  const subscriber = await subscribe({ store: second, deadlineMs }, start);
  const events = await appendPieces(store, "s", 1);
  await store.close();
  events.push(...(await appendPieces(second, "s", 2, 2)));
  expectEvents(await subscriber.take(3, "the other handle"), events, "the handle that is open");
  await subscriber.leave();
}

/** A link that breaks and comes back costs no event and repeats none. */
export async function survivesACut(context: LiveCheckContext): Promise<void> {
  const { store, second, fixture } = context;
  const cut = hookOf(fixture, "cut");
  const subscriber = await subscribe(context, await store.currentCursor("s", 0));
  const events = await appendPieces(second, "s", 3);
  expectEvents(await subscriber.take(2, "before the cut"), events.slice(0, 2), "before the cut");
  for (const round of [1, 2]) {
    await cut();
    events.push(...(await appendPieces(second, "s", 3, events.length + 1)));
    const wanted = events.slice(3 * round - 1, 3 * round + 2);
    expectEvents(await subscriber.take(3, `after cut ${round}`), wanted, `after cut ${round}`);
  }
  await subscriber.leave();
}

/** What the medium loses ends a subscription: it never goes on as if nothing had been. */
export async function aLossEndsIt(context: LiveCheckContext): Promise<void> {
  const { store, fixture } = context;
  const events = await appendPieces(store, "s", 3);
  const subscriber = await subscribe(context, events[0]!.cursor);
  expectEvents(await subscriber.take(2, "before the loss"), events.slice(1), "before the loss");
  const waiting = subscriber.next("the question when the buffer was lost");
  waiting.catch(() => undefined);
  const after = await hookOf(fixture, "forget")();
  await appendPieces(after, "s", 8);
  const error = await rejectionOf(() => waiting, "a subscription whose buffer was lost");
  const told = error instanceof LiveError && (error.code === "STORE_UNAVAILABLE" || error.code === "CLOSED");
  expectThat(told, `a subscription whose buffer was lost: got ${String(error)}`);
  expectSame(await subscriber.next("the step after the loss"), undefined, "the step after the loss");
}
