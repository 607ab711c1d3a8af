import { bytes, expectThat, sameBytes, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, send } from "./reader.ts";

/** A publisher that was not sure publishes again under the same number: that resolves, and harms nothing. */
export async function repeatsAreHarmless(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const reader = await read(context, right, "sessions.1.0");
  for (const last of [4, 4, 9, 9, 4]) {
    await send(context, left, "sessions.1.0", Uint8Array.of(last), { epoch: 1, last });
  }
  await send(context, left, "sessions.1.0", bytes("marker"), { epoch: 2, last: 1 });
  const before = await reader.until(bytes("marker"), "after repeats");
  for (const last of [4, 9]) {
    const expected = Uint8Array.of(last);
    expectThat(
      before.some((frame) => sameBytes(frame, expected)),
      `the frame with number ${last} was lost`,
    );
  }
}

/** Frames without a number pass between numbered ones. */
export async function ephemeralFramesPass(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const reader = await read(context, right, "sessions.1.0");
  await send(context, left, "sessions.1.0", bytes("numbered"), { epoch: 1, last: 1 });
  await reader.until(bytes("numbered"), "a numbered frame");
  await send(context, left, "sessions.1.0", bytes("ephemeral"));
  await reader.until(bytes("ephemeral"), "a frame without a number");
  await send(context, left, "sessions.1.0", bytes("numbered again"), { epoch: 1, last: 2 });
  await reader.until(bytes("numbered again"), "the numbered frame after it");
}

/** `release` is a hint: before any frame, in the middle, above the end, and twice. */
export async function releaseIsHarmless(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const release = (last: number): Promise<void> =>
    within(deadlineMs, left.release("sessions.1.0", { epoch: 1, last }), "release()");
  await release(5);
  const reader = await read(context, right, "sessions.1.0");
  for (let last = 6; last < 12; last++) {
    await send(context, left, "sessions.1.0", Uint8Array.of(last), { epoch: 1, last });
    await reader.until(Uint8Array.of(last), `frame ${last}`);
    await release(last - 1);
    await release(last - 1);
  }
  await release(1_000);
  await send(context, left, "sessions.1.0", bytes("after"), { epoch: 2, last: 1 });
  await reader.until(bytes("after"), "a frame after a release above the end");
}

/** A position that nobody ever gave out begins a subscription all the same. */
export async function unknownPositionsAreIgnored(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  for (const from of ["no such position", "", "0", "999999999999-0"]) {
    const reader = await read(context, right, "sessions.1.0", { from });
    await send(context, left, "sessions.1.0", bytes(`after ${from}`));
    await reader.until(bytes(`after ${from}`), `from ${JSON.stringify(from)}`);
    await reader.subscription.close();
  }
}

/** Claimed `replay`: a subscription from a position gives what came after it, nothing up to it. */
export async function replaysFromAPosition(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const first = await read(context, right, "sessions.1.0");
  await send(context, left, "sessions.1.0", bytes("one"), { epoch: 1, last: 1 });
  const { position } = await first.next("the first frame");
  expectThat(typeof position === "string", "a frame came without a position");
  await first.subscription.close();
  await send(context, left, "sessions.1.0", bytes("two"), { epoch: 1, last: 2 });
  await send(context, left, "sessions.1.0", bytes("three"), { epoch: 1, last: 3 });
  const again = await read(context, right, "sessions.1.0", { from: position! });
  const between = await again.until(bytes("three"), "replay");
  expectThat(
    between.some((frame) => sameBytes(frame, bytes("two"))),
    "a frame after the position was not replayed",
  );
  expectThat(!between.some((frame) => sameBytes(frame, bytes("one"))), "the position itself was replayed");
}

/** Claimed `persistent`: what `replay` gives is there after the medium itself was restarted. */
export async function remembersAcrossABrokerRestart(context: TransportCheckContext): Promise<void> {
  const { left, right, mesh, deadlineMs } = context;
  const first = await read(context, right, "sessions.1.0");
  await send(context, left, "sessions.1.0", bytes("one"), { epoch: 1, last: 1 });
  const { position } = await first.next("the first frame");
  await first.subscription.close();
  await send(context, left, "sessions.1.0", bytes("two"), { epoch: 1, last: 2 });
  await within(deadlineMs, mesh.restartBroker!(), "restartBroker()");
  const again = await read(context, right, "sessions.1.0", { from: position! });
  await again.until(bytes("two"), "a frame from before the restart");
}
