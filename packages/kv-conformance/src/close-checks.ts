import { bytes, expectCode, expectThat, expectValues, rejectionOf, within } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";

const A = bytes("a");
type Call = readonly [name: string, call: (signal?: AbortSignal) => Promise<unknown>];

/** Every call that waits, once. */
function callsOf({ kv, claims }: KvCheckContext): Call[] {
  const options = (signal?: AbortSignal) => (signal === undefined ? {} : { signal });
  const calls: Call[] = [
    ["get()", (signal) => kv.get("p", [A], options(signal))],
    ["commit()", (signal) => kv.commit("p", { puts: [{ key: A, value: A }] }, options(signal))],
  ];
  if (claims.scan) calls.push(["scan()", (signal) => kv.scan("p", {}, options(signal))]);
  return calls;
}

/** `close()` and `Symbol.asyncDispose` may be called again and again, also at once. */
export async function closesOnce({ kv, deadlineMs }: KvCheckContext): Promise<void> {
  await within(deadlineMs, Promise.all([kv.close(), kv.close()]), "close() twice at once");
  await within(deadlineMs, kv.close(), "close() of a closed store");
  await within(deadlineMs, Promise.resolve(kv[Symbol.asyncDispose]()), "Symbol.asyncDispose");
}

/** A closed store rejects every call with `KV_CLOSED`. */
export async function closedRejectsEverything(context: KvCheckContext): Promise<void> {
  await context.kv[Symbol.asyncDispose]();
  for (const [name, call] of callsOf(context)) await expectCode("KV_CLOSED", () => call(), name);
  await expectCode("KV_CLOSED", () => context.kv.nowMs(), "nowMs()");
  if (context.kv.watch === undefined) return;
  const watch = context.kv.watch("p", A)[Symbol.asyncIterator]();
  await expectCode("KV_CLOSED", () => watch.next(), "watch()");
}

/** `close()` settles what is pending: each call either happened or says why not. */
export async function closeSettlesWhatIsPending({ kv, deadlineMs }: KvCheckContext): Promise<void> {
  const pending = Array.from({ length: 20 }, (_, index) =>
    kv.commit("p", { puts: [{ key: Uint8Array.of(index + 1), value: A }] }),
  );
  const settled = Promise.allSettled(pending);
  await within(deadlineMs, kv.close(), "close() with pending commits");
  const outcomes = await within(deadlineMs, settled, "commits pending at close()");
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") continue;
    await expectCode("KV_CLOSED", () => Promise.reject(outcome.reason), "a commit pending at close()");
  }
}

/** Closing one handle leaves the other of the same store open. */
export async function closingOneLeavesTheOther({ kv, second }: KvCheckContext): Promise<void> {
  await kv.commit("p", { puts: [{ key: A, value: A }] });
  await kv.close();
  expectValues(await second.get("p", [A]), [A], "get() of the handle that is open");
  const { committed } = await second.commit("p", { deletes: [A] });
  expectThat(committed, "commit() of the handle that is open failed");
}

/** A signal that is aborted stops every call before it does anything, with its reason. */
export async function abortedSignalsStopEveryCall(context: KvCheckContext): Promise<void> {
  const reason = { why: "changed my mind" };
  for (const [name, call] of callsOf(context)) {
    const error = await rejectionOf(() => call(AbortSignal.abort(reason)), name);
    expectThat(error === reason, `${name} rejected with something else than the signal's reason`);
  }
  expectValues(await context.kv.get("p", [A]), [undefined], "after a commit that was aborted before");
}

/** An abort during a call ends the waiting, with the reason if it rejects; the store works on. */
export async function abortDuringACallSettlesIt(context: KvCheckContext): Promise<void> {
  const reason = { why: "no patience" };
  for (const [name, call] of callsOf(context)) {
    const controller = new AbortController();
    const calling = Promise.allSettled([call(controller.signal)]);
    controller.abort(reason);
    const [outcome] = await within(context.deadlineMs, calling, `${name} that was aborted`);
    if (outcome.status === "fulfilled") continue;
    expectThat(outcome.reason === reason, `${name} rejected with something else than the reason`);
  }
  await context.kv.commit("p", { puts: [{ key: A, value: A }] });
  expectValues(await context.kv.get("p", [A]), [A], "after calls that were aborted");
}

/** The documented order of errors: the signal's reason, `KV_CLOSED`, a wrong argument, `KV_TOO_LARGE`. */
export async function theFirstErrorDecides({ kv }: KvCheckContext): Promise<void> {
  const tooLong = new Uint8Array(1_025);
  const both = () => kv.commit("p", { puts: [{ key: tooLong, value: A }], deletes: [new Uint8Array(0)] });
  const wrong = await rejectionOf(both, "a key too long beside an empty one");
  expectThat(wrong instanceof RangeError, `a wrong argument comes before KV_TOO_LARGE: got ${String(wrong)}`);
  await kv.close();
  await expectCode("KV_CLOSED", both, "a wrong argument of a closed store");
  const reason = { why: "first of all" };
  const aborted = () => kv.get("", [tooLong], { signal: AbortSignal.abort(reason) });
  const first = await rejectionOf(aborted, "an aborted call with a wrong argument of a closed store");
  expectThat(first === reason, `the signal's reason comes first: got ${String(first)}`);
}
