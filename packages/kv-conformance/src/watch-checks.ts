import type { KvCallOptions } from "@tidemark/kv";
import { bytes, expectThat, numberBytes, rejectionOf, within } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";

const A = bytes("a/1");

/** One watch, asked step by step. */
function watching({ kv }: KvCheckContext, prefix: Uint8Array, options?: KvCallOptions) {
  return kv.watch!("p", prefix, options)[Symbol.asyncIterator]();
}

type Watching = ReturnType<typeof watching>;

/** Asks once, and expects the watch to go on. */
async function ring({ deadlineMs }: KvCheckContext, watch: Watching, what: string): Promise<void> {
  const { done } = await within(deadlineMs, watch.next(), what);
  expectThat(done !== true, `${what}: the watch has ended`);
}

/** Leaves a watch, which must not wait for anything. */
async function leave({ deadlineMs }: KvCheckContext, watch: Watching): Promise<void> {
  await within(deadlineMs, Promise.resolve(watch.return?.()), "leaving a watch");
}

async function put({ second }: KvCheckContext, key: Uint8Array, number: number): Promise<void> {
  await second.commit("p", { puts: [{ key, value: numberBytes(number) }] });
}

/** A watch says that it is in place, and after that that something was put or deleted, by whichever handle. */
export async function tellsOfChanges(context: KvCheckContext): Promise<void> {
  const { kv, second } = context;
  const watch = watching(context, bytes("a/"));
  await ring(context, watch, "the watch being in place");
  const changes = [
    () => put(context, A, 1),
    () => kv.commit("p", { puts: [{ key: A, value: numberBytes(2) }] }),
    () => second.commit("p", { deletes: [A] }),
    () => put(context, bytes("a/2"), 3),
    () => put(context, bytes("a/"), 4),
  ];
  for (const [index, change] of changes.entries()) {
    const waiting = ring(context, watch, `change ${index}`);
    await change();
    await waiting;
  }
  await leave(context, watch);
}

/** Changes that come while nobody is asking are not lost: the next question is answered at once. */
export async function losesNoWakeUp(context: KvCheckContext): Promise<void> {
  const watch = watching(context, bytes("a/"));
  await ring(context, watch, "the watch being in place");
  for (let number = 1; number <= 30; number++) {
    const before = number % 3 === 0 ? watch.next() : undefined;
    await put(context, A, number);
    const { done } = await within(context.deadlineMs, before ?? watch.next(), `change ${number}`);
    expectThat(done !== true, `change ${number}: the watch has ended`);
  }
  await leave(context, watch);
}

/** Who looks after each ring sees the last of many changes, however they came. */
export async function theLastChangeIsSeen(context: KvCheckContext): Promise<void> {
  const { kv, deadlineMs } = context;
  const looking = (async () => {
    for await (const _ of kv.watch!("p", bytes("a/"))) {
      const [value] = await kv.get("p", [A]);
      if (value !== undefined && value[3] === 100) return;
    }
    expectThat(false, "the watch ended before the last change was seen");
  })();
  const writing = (async () => {
    for (let number = 1; number <= 100; number++) await put(context, A, number);
  })();
  await within(deadlineMs, Promise.all([looking, writing]), "the last of 100 changes");
}

/** Many changes while nobody asks are few rings: what is not asked for does not pile up. */
export async function coalesces(context: KvCheckContext): Promise<void> {
  const { kv, deadlineMs } = context;
  const watch = watching(context, bytes("a/"));
  await ring(context, watch, "the watch being in place");
  for (let number = 1; number <= 100; number++) await put(context, A, number);
  await ring(context, watch, "100 changes");
  // A marker in another watch that is rung after all of the changes: what follows is not theirs.
  const marker = watching(context, bytes("marker"));
  await ring(context, marker, "the second watch being in place");
  let rings = 0;
  let counting = true;
  const rest = (async () => {
    while (counting && (await watch.next()).done !== true) rings += 1;
  })();
  const marked = ring(context, marker, "the marker");
  await kv.commit("p", { puts: [{ key: bytes("marker"), value: A }] });
  await marked;
  // What is there to be answered has its turn before the count ends.
  await new Promise((resolve) => globalThis.setTimeout(resolve));
  counting = false;
  await leave(context, watch);
  await leave(context, marker);
  await within(deadlineMs, rest, "the end of a watch that was left");
  // Rings that were on their way when the first was answered may come on their own.
  expectThat(rings <= 20, `100 changes while nobody asked were ${rings + 1} rings`);
}

/** Leaving the loop ends a watch, and only that one; one that was never asked is nothing. */
export async function leavingTheLoopEndsIt(context: KvCheckContext): Promise<void> {
  const { kv, deadlineMs } = context;
  const other = watching(context, bytes("a/"));
  await ring(context, other, "the other watch being in place");
  watching(context, bytes("a/"));
  const leaving = (async () => {
    for await (const _ of kv.watch!("p", bytes("a/"))) break;
  })();
  await within(deadlineMs, leaving, "leaving the loop");
  const waiting = ring(context, other, "a change after another watch was left");
  await put(context, A, 1);
  await waiting;
  const asked = other.next();
  await leave(context, other);
  expectThat(
    (await within(deadlineMs, asked, "the question")).done === true,
    "a watch that was left goes on",
  );
}

/** Closing the store ends watches without an error. */
export async function closeEndsWatches(context: KvCheckContext): Promise<void> {
  const watch = watching(context, bytes("a/"));
  await ring(context, watch, "the watch being in place");
  const waiting = watch.next();
  await context.kv.close();
  const { done } = await within(context.deadlineMs, waiting, "the waiting question");
  expectThat(done === true, "a watch of a closed store goes on");
  const later = await within(context.deadlineMs, watch.next(), "a question after close()");
  expectThat(later.done === true, "a watch of a closed store goes on");
}

/** An abort ends a watch with the reason of the signal, once; aborted before, it never begins. */
export async function abortEndsAWatch(context: KvCheckContext): Promise<void> {
  const controller = new AbortController();
  const reason = { why: "enough" };
  const watch = watching(context, bytes("a/"), { signal: controller.signal });
  await ring(context, watch, "the watch being in place");
  const waiting = rejectionOf(() => watch.next(), "a watch that was aborted");
  controller.abort(reason);
  const error = await within(context.deadlineMs, waiting, "the waiting question");
  expectThat(error === reason, "a watch rejected with something else than the reason of its signal");
  const after = await within(context.deadlineMs, watch.next(), "a question after the abort");
  expectThat(after.done === true, "a watch that was aborted goes on");
  const late = watching(context, bytes("a/"), { signal: controller.signal });
  const refused = within(context.deadlineMs, late.next(), "a watch aborted before it began");
  expectThat(
    (await rejectionOf(() => refused, "a watch aborted before it began")) === reason,
    "another reason",
  );
}
