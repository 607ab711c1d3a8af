import { bytes, expectThat, rejectionOf, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, send } from "./reader.ts";

/** With an aborted signal every call rejects with its reason and does nothing. */
export async function abortedSignalsStopEveryCall(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const reason = { why: "changed my mind" };
  const signal = AbortSignal.abort(reason);
  const reader = await read(context, right, "ack.1");
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    publish: () => left.publish("ack.1", bytes("never"), { signal }),
    subscribe: () => left.subscribe("ack.1", { signal }),
    serve: () => left.serve("inbox.1", async () => bytes("never"), { signal }),
    request: () => left.request("inbox.1", bytes("never"), { timeoutMs: deadlineMs, signal }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = await rejectionOf(deadlineMs, call, `${name}() with an aborted signal`);
    expectThat(error === reason, `${name}() rejected with something else than the signal's reason`);
  }
  await send(context, left, "ack.1", bytes("marker"));
  const before = await reader.until(bytes("marker"), "after an aborted publish");
  expectThat(before.length === 0, "publish() with an aborted signal sent its frame");
  // The subject is free: the aborted serve left nothing behind.
  await within(
    deadlineMs,
    left.serve("inbox.1", async () => bytes("served")),
    "serve() after an aborted one",
  );
}

/** An abort in the middle of `publish` and `subscribe` settles them, with the reason if it rejects. */
export async function abortDuringACallSettlesIt(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const reason = { why: "no patience" };
  const check = async (call: (signal: AbortSignal) => Promise<unknown>, what: string): Promise<void> => {
    const controller = new AbortController();
    const calling = call(controller.signal);
    controller.abort(reason);
    const outcome = calling.then(
      () => undefined,
      (error: unknown) =>
        expectThat(error === reason, `${what} rejected with something else than the reason`),
    );
    await within(deadlineMs, outcome, what);
  };
  await check((signal) => left.publish("ack.1", bytes("maybe"), { signal }), "publish()");
  await check((signal) => left.subscribe("ack.1", { signal }), "subscribe()");
  await check((signal) => left.serve("inbox.1", async (frame) => frame, { signal }), "serve()");
  const reader = await read(context, right, "ack.1");
  await send(context, left, "ack.1", bytes("marker"));
  await reader.until(bytes("marker"), "after aborted calls");
}

/** An abort ends an open subscription: a waiting iteration rejects with the reason, then it is over. */
export async function abortEndsASubscription(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const controller = new AbortController();
  const reader = await read(context, right, "ack.1", { signal: controller.signal });
  await send(context, left, "ack.1", bytes("before"));
  await reader.until(bytes("before"), "before the abort");
  const waiting = reader.wait();
  const reason = { why: "enough" };
  controller.abort(reason);
  await reader.expectRejection(reason, waiting, "the waiting iteration");
  await reader.expectEnd("after the abort");
}

/** An abort ends the waiting of `request` at once, whatever the handler does. */
export async function abortEndsARequest(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const controller = new AbortController();
  const reason = { why: "tired of waiting" };
  let called = (): void => undefined;
  const calling = new Promise<void>((resolve) => (called = resolve));
  const handler = (): Promise<Uint8Array> => {
    called();
    return new Promise(() => undefined);
  };
  await within(deadlineMs, right.serve("inbox.2", handler), "serve()");
  const { signal } = controller;
  // Ten times the deadline: only the abort can end it in time.
  const asking = left.request("inbox.2", bytes("?"), { timeoutMs: deadlineMs * 10, signal });
  asking.catch(() => undefined);
  await within(deadlineMs, calling, "the handler being called");
  controller.abort(reason);
  const error = await rejectionOf(deadlineMs, () => asking, "request()");
  expectThat(error === reason, "request() rejected with something else than the signal's reason");
}

/** An abort ends a service: the subject is free for another handler. */
export async function abortEndsAService(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const controller = new AbortController();
  const { signal } = controller;
  await within(
    deadlineMs,
    right.serve("inbox.2", async () => bytes("old"), { signal }),
    "serve()",
  );
  controller.abort();
  await within(
    deadlineMs,
    right.serve("inbox.2", async () => bytes("new")),
    "serve() after the abort",
  );
  const answer = await left.request("inbox.2", bytes("?"), { timeoutMs: deadlineMs });
  expectThat(answer.length === 3 && answer[0] === bytes("new")[0], "the aborted handler still answers");
}
