import type { Transport, TransportStatus } from "@tidemark/transport";
import { bytes, expectCode, expectThat, settled, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, type Reader } from "./reader.ts";

/** An open transport says that it is ready, at once or before long. */
export async function saysThatItIsReady(context: TransportCheckContext): Promise<void> {
  for (const peer of context.mesh.peers) await state(context, peer, ["ready"]);
}

/** `close` is announced, once. */
export async function announcesItsEnd(context: TransportCheckContext): Promise<void> {
  const { left, deadlineMs } = context;
  const states: string[] = [];
  left.onStatus((status) => states.push(status.state));
  await within(deadlineMs, left.close(), "close()");
  await within(deadlineMs, left.close(), "close() again");
  const ends = states.filter((one) => one === "closed").length;
  expectThat(ends === 1, `the end was announced ${ends} times`);
}

/** A listener that was taken off hears nothing, and takes no other with it. */
export async function listenersCanLeave(context: TransportCheckContext): Promise<void> {
  const { left, deadlineMs } = context;
  const heard: string[] = [];
  const leave = left.onStatus(() => heard.push("left"));
  left.onStatus(() => heard.push("stayed"));
  leave();
  leave();
  await within(deadlineMs, left.close(), "close()");
  expectThat(!heard.includes("left"), "a listener that was taken off was called");
  expectThat(heard.includes("stayed"), "a listener that stayed was not called");
}

/** While a link is cut nothing passes; after it heals frames and requests do, and both ends are told. */
export async function recoversFromACut(context: TransportCheckContext): Promise<void> {
  const { left, right, mesh, deadlineMs } = context;
  const reader = await read(context, right, "sessions.1.0");
  await within(
    deadlineMs,
    right.serve("inbox.2", async (frame) => frame),
    "serve()",
  );
  await within(deadlineMs, mesh.cut!(0, 1), "cut()");
  const publishing = left.publish("sessions.1.0", bytes("into the void"));
  publishing.catch(() => undefined);
  await state(context, left, ["degraded", "connecting"]);
  await state(context, right, ["degraded", "connecting"]);
  const asking = (): Promise<Uint8Array> => left.request("inbox.2", bytes("?"), { timeoutMs: 50 });
  const codes = ["REQUEST_TIMEOUT", "NO_RESPONDER", "PUBLISH_FAILED"] as const;
  await expectCode(deadlineMs, codes, asking, "a request over a cut link");
  const told = Promise.all([toldReady(left), toldReady(right)]);
  await within(deadlineMs, mesh.heal!(), "heal()");
  await within(deadlineMs, told, "being told that the link healed");
  await settled(deadlineMs, publishing, "a publish from before the heal");
  await flows(context, left, reader, "sessions.1.0");
  await within(deadlineMs, left.request("inbox.2", bytes("?"), { timeoutMs: deadlineMs }), "request()");
}

/** A link cut one way lets the other way through, and heals as well. */
export async function recoversFromACutOneWay(context: TransportCheckContext): Promise<void> {
  const { left, right, mesh, deadlineMs } = context;
  const cut = await read(context, right, "sessions.1.0");
  const open = await read(context, left, "sessions.2.0");
  await within(deadlineMs, mesh.cutOneWay!(0, 1), "cutOneWay()");
  const publishing = left.publish("sessions.1.0", bytes("into the void"));
  publishing.catch(() => undefined);
  await flows(context, right, open, "sessions.2.0");
  await within(deadlineMs, mesh.heal!(), "heal()");
  await settled(deadlineMs, publishing, "a publish from before the heal");
  await flows(context, left, cut, "sessions.1.0");
}

/** After the medium's server came back, open subscriptions and services go on by themselves. */
export async function recoversFromABrokerRestart(context: TransportCheckContext): Promise<void> {
  const { left, right, mesh, deadlineMs } = context;
  const reader = await read(context, right, "sessions.1.0");
  await within(
    deadlineMs,
    right.serve("inbox.2", async (frame) => frame),
    "serve()",
  );
  await within(deadlineMs, mesh.restartBroker!(), "restartBroker()");
  await flows(context, left, reader, "sessions.1.0");
  await state(context, left, ["ready"]);
  await state(context, right, ["ready"]);
  const answer = await within(
    deadlineMs,
    left.request("inbox.2", bytes("?"), { timeoutMs: deadlineMs }),
    "request() after a restart",
  );
  expectThat(answer.length === 1, "another answer came back");
}

/** Waits until a transport is in one of these states. */
async function state(
  context: TransportCheckContext,
  transport: Transport,
  states: readonly TransportStatus["state"][],
): Promise<void> {
  const reached = new Promise<void>((resolve) => {
    if (states.includes(transport.status.state)) {
      resolve();
      return;
    }
    const stop = transport.onStatus((status) => {
      if (!states.includes(status.state)) return;
      stop();
      resolve();
    });
  });
  await within(context.deadlineMs, reached, `becoming ${states.join(" or ")} (is ${transport.status.state})`);
}

/** Resolves once a transport announces that it is ready. */
function toldReady(transport: Transport): Promise<void> {
  return new Promise((resolve) => {
    const stop = transport.onStatus((status) => {
      if (status.state !== "ready") return;
      stop();
      resolve();
    });
  });
}

/** Publishes again and again until a frame arrives: the first ones after a fault may still be lost. */
async function flows(
  context: TransportCheckContext,
  from: Transport,
  reader: Reader,
  subject: string,
): Promise<void> {
  let arrived = false;
  const arrival = reader.until(bytes("flows"), `frames on ${subject}`).finally(() => (arrived = true));
  arrival.catch(() => undefined);
  while (!arrived) {
    const publishing = from.publish(subject, bytes("flows"));
    publishing.catch(() => undefined);
    await Promise.race([arrival, settled(context.deadlineMs, publishing, `publish(${subject})`)]);
    // A turn of the event loop, so that the loop cannot starve what it waits for.
    await new Promise<void>((resolve) => globalThis.setTimeout(resolve, 5));
  }
  await arrival;
}
