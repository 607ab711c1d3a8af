import { bytes, expectThat, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, Reader, send } from "./reader.ts";

/** Leaving a `for await` loop closes the subscription. */
export async function leavingTheLoopEndsIt(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const subscription = await within(deadlineMs, right.subscribe("ack.1"), "subscribe()");
  await send(context, left, "ack.1", bytes("first"));
  const loop = (async () => {
    for await (const { frame } of subscription) {
      expectThat(frame.length === 5, "another frame came first");
      break;
    }
  })();
  await within(deadlineMs, loop, "leaving the loop");
  await send(context, left, "ack.1", bytes("second"));
  await new Reader(subscription, deadlineMs).expectEnd("after the loop was left");
}

/** `close` ends a waiting iteration, twice is once, and no frame comes afterwards. */
export async function closingASubscriptionEndsIt(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const reader = await read(context, right, "ack.1");
  const waiting = reader.wait();
  await within(deadlineMs, reader.subscription.close(), "close()");
  await within(deadlineMs, reader.subscription.close(), "close() again");
  await reader.expectEnd("the waiting iteration", waiting);
  await send(context, left, "ack.1", bytes("too late"));
  await reader.expectEnd("the next iteration");
}

/** A closed subscription takes no other one with it. */
export async function closingOneLeavesTheOthers(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const closed = await read(context, right, "ack.1");
  const open = await read(context, right, "ack.1");
  await closed.subscription.close();
  await send(context, left, "ack.1", bytes("still heard"));
  await open.expect(bytes("still heard"), "the other subscription of the subject");
}

/** Subscriptions, services and transports are closed by `Symbol.asyncDispose`. */
export async function disposesEverything(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const reader = await read(context, right, "ack.1");
  await within(deadlineMs, reader.subscription[Symbol.asyncDispose](), "disposal of a subscription");
  await reader.expectEnd("a disposed subscription");
  const service = await within(
    deadlineMs,
    right.serve("inbox.2", async () => bytes("old")),
    "serve()",
  );
  await within(deadlineMs, service[Symbol.asyncDispose](), "disposal of a service");
  await within(
    deadlineMs,
    right.serve("inbox.2", async () => bytes("new")),
    "serve() after disposal",
  );
  await within(deadlineMs, left[Symbol.asyncDispose](), "disposal of a transport");
  expectThat(left.status.state === "closed", "a disposed transport is not closed");
}

/** A subscription nobody reads keeps no other reader of the subject from its frames, and no publisher waiting. */
export async function aSlowReaderSlowsNobody(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  await read(context, right, "sessions.1.0");
  const prompt = await read(context, right, "sessions.1.0");
  for (let index = 0; index < 1_000; index++) {
    const frame = Uint8Array.of(index >> 8, index & 255);
    await send(context, left, "sessions.1.0", frame);
    await prompt.until(frame, `frame ${index} while another reader stalls`);
  }
}

/** A channel nobody reads keeps nothing from the other: 1,000 frames pile up on one, the other flows. */
export async function aStalledChannelStarvesNobody(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  await read(context, right, "sessions.1.0");
  const signals = await read(context, right, "signals.1.0");
  for (let index = 0; index < 1_000; index++) {
    const frame = Uint8Array.of(index >> 8, index & 255);
    await send(context, left, "sessions.1.0", frame);
    if (index % 10 !== 0) continue;
    await send(context, left, "signals.1.0", frame);
    await signals.until(frame, `signals after ${index} frames of a stalled channel`);
  }
}
