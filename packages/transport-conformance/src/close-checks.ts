import type { Service, Transport } from "@tidemark/transport";
import { bytes, expectCode, expectThat, rejectionOf, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, send } from "./reader.ts";

/** `close` may be called at once, again and later: each call resolves. */
export async function closesOnce(context: TransportCheckContext): Promise<void> {
  const { left, deadlineMs } = context;
  const both = Promise.all([left.close(), left.close()]);
  await within(deadlineMs, both, "close() twice at once");
  await within(deadlineMs, left.close(), "close() of a closed transport");
  expectThat(left.status.state === "closed", `the status after close() is ${left.status.state}`);
}

/** `close` ends iterations, without an error. */
export async function closeEndsIterations(context: TransportCheckContext): Promise<void> {
  const { right, deadlineMs } = context;
  const waiting = await read(context, right, "ack.1");
  const idle = await read(context, right, "ack.2");
  const next = waiting.wait();
  await within(deadlineMs, right.close(), "close() with a waiting iteration");
  await waiting.expectEnd("the waiting iteration", next);
  await idle.expectEnd("an iteration that had not begun");
  await within(deadlineMs, idle.subscription.close(), "close() of a subscription of a closed transport");
}

/** `close` rejects requests that wait with `TRANSPORT_CLOSED`. */
export async function closeRejectsRequests(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  let called = (): void => undefined;
  const calling = new Promise<void>((resolve) => (called = resolve));
  const handler = (): Promise<Uint8Array> => {
    called();
    return new Promise(() => undefined);
  };
  await within(deadlineMs, right.serve("inbox.2", handler), "serve()");
  const asking = left.request("inbox.2", bytes("?"), { timeoutMs: deadlineMs * 10 });
  asking.catch(() => undefined);
  await within(deadlineMs, calling, "the handler being called");
  await within(deadlineMs, left.close(), "close() with a waiting request");
  await expectCode(deadlineMs, "TRANSPORT_CLOSED", () => asking, "the waiting request");
}

/** `close` aborts the signal of running handlers and does not wait for one that hangs. */
export async function closeDoesNotWaitForHandlers(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  let service: Service | undefined;
  const called = new Promise<AbortSignal>((resolve) => {
    const serving = right.serve("inbox.2", (_, { signal }) => {
      resolve(signal);
      return new Promise(() => undefined);
    });
    serving.then(
      (open) => {
        service = open;
        left.request("inbox.2", bytes("?"), { timeoutMs: deadlineMs }).catch(() => undefined);
      },
      () => undefined,
    );
  });
  const signal = await within(deadlineMs, called, "the handler being called");
  expectThat(!signal.aborted, "the signal of a running handler is aborted too early");
  await within(deadlineMs, right.close(), "close() with a running handler");
  expectThat(signal.aborted, "close() did not abort the signal of a running handler");
  await within(deadlineMs, service!.close(), "close() of a service of a closed transport");
}

/** A closed transport rejects every call with `TRANSPORT_CLOSED`. */
export async function closedRejectsEverything(context: TransportCheckContext): Promise<void> {
  const { left, deadlineMs } = context;
  await within(deadlineMs, left.close(), "close()");
  for (const [name, call] of Object.entries(callsOf(left, "ack.1", deadlineMs))) {
    await expectCode(deadlineMs, "TRANSPORT_CLOSED", () => call(), `${name}() of a closed transport`);
  }
  left.onStatus(() => undefined)();
}

/** When several errors apply, the documented order decides. */
export async function theFirstErrorDecides(context: TransportCheckContext): Promise<void> {
  const { left, right, claims, deadlineMs } = context;
  const tooLarge = new Uint8Array(claims.frameBytesMax + 1);
  const publishTooLarge = (): Promise<void> => right.publish("not a subject", tooLarge);
  await expectCode(deadlineMs, "INVALID_SUBJECT", publishTooLarge, "a bad subject before a large frame");
  await within(deadlineMs, left.close(), "close()");
  for (const [name, call] of Object.entries(callsOf(left, "not a subject", deadlineMs))) {
    await expectCode(deadlineMs, "TRANSPORT_CLOSED", () => call(), `${name}(): closed before a bad subject`);
  }
  const reason = { why: "first of all" };
  const { release: _, ...abortable } = callsOf(left, "not a subject", deadlineMs, AbortSignal.abort(reason));
  for (const [name, call] of Object.entries(abortable)) {
    const error = await rejectionOf(deadlineMs, () => call(), `${name}() aborted and closed`);
    expectThat(error === reason, `${name}(): the signal's reason comes before TRANSPORT_CLOSED`);
  }
}

/** A wait that is no positive number is the caller's bug: a `RangeError`. */
export async function refusesAWaitThatIsNone(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  await right.serve("inbox.2", async (frame) => frame);
  for (const timeoutMs of [0, -1, Number.NaN]) {
    const ask = (): Promise<Uint8Array> => left.request("inbox.2", bytes("?"), { timeoutMs });
    const error = await rejectionOf(deadlineMs, ask, `timeoutMs: ${timeoutMs}`);
    expectThat(error instanceof RangeError, `timeoutMs: ${timeoutMs} is no RangeError`);
  }
}

/** A peer that closed and came back under its name hears and answers, and so do those it left. */
export async function aPeerRestarts(context: TransportCheckContext): Promise<void> {
  const { left, right, mesh, deadlineMs } = context;
  const heard = await read(context, left, "ack.2");
  await within(
    deadlineMs,
    right.serve("inbox.2", async () => bytes("first life")),
    "serve()",
  );
  await within(deadlineMs, right.close(), "close()");
  await send(context, left, "ack.1", bytes("while it was away"));
  const again = await within(deadlineMs, mesh.reopen(1), "reopen()");
  const reader = await read(context, again, "ack.1");
  await within(
    deadlineMs,
    again.serve("inbox.2", async () => bytes("second life")),
    "serve() after a restart",
  );
  await send(context, left, "ack.1", bytes("welcome back"));
  await reader.until(bytes("welcome back"), "frames to a restarted peer");
  await send(context, again, "ack.2", bytes("here I am"));
  await heard.until(bytes("here I am"), "frames from a restarted peer");
  const answer = await left.request("inbox.2", bytes("?"), { timeoutMs: deadlineMs });
  expectThat(answer.length === bytes("second life").length, "the first life of a peer still answers");
}

function callsOf(
  transport: Transport,
  subject: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Record<"publish" | "subscribe" | "release" | "serve" | "request", () => Promise<unknown>> {
  const options = signal === undefined ? {} : { signal };
  return {
    publish: () => transport.publish(subject, bytes("x"), options),
    subscribe: () => transport.subscribe(subject, options),
    release: () => transport.release(subject, { epoch: 1, last: 1 }),
    serve: () => transport.serve(subject, async (frame) => frame, options),
    request: () => transport.request(subject, bytes("x"), { timeoutMs, ...options }),
  };
}
