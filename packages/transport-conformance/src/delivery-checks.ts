import { bytes, expectBytes, expectThat, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, send } from "./reader.ts";

/** `subscribe` resolves once frames published from then on are seen: again and again, without a pause. */
export async function seesFramesOnceSubscribed(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  for (let round = 0; round < 20; round++) {
    const subject = `sessions.${round}.0`;
    const reader = await read(context, right, subject);
    await send(context, left, subject, Uint8Array.of(round));
    await reader.expect(Uint8Array.of(round), `round ${round}`);
  }
}

/** Both peers publish and both hear the other. */
export async function carriesBothDirections(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const fromLeft = await read(context, right, "sessions.1.0");
  const fromRight = await read(context, left, "sessions.2.0");
  await send(context, left, "sessions.1.0", bytes("from left"));
  await send(context, right, "sessions.2.0", bytes("from right"));
  await fromLeft.expect(bytes("from left"), "left to right");
  await fromRight.expect(bytes("from right"), "right to left");
}

/** With three peers everybody subscribed hears a frame, the publisher included. */
export async function broadcastsToThreePeers(context: TransportCheckContext): Promise<void> {
  const { peers } = context.mesh;
  for (const [from, publisher] of peers.entries()) {
    const readers = await Promise.all(peers.map((peer) => read(context, peer, `ack.${from}`)));
    await send(context, publisher, `ack.${from}`, Uint8Array.of(from));
    for (const [to, reader] of readers.entries()) {
      await reader.expect(Uint8Array.of(from), `from peer ${from} to peer ${to}`);
    }
  }
}

/** Two subscriptions of one peer on one subject both get every frame. */
export async function feedsEverySubscription(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const first = await read(context, right, "signals.1.0");
  const second = await read(context, right, "signals.1.0");
  for (const frame of [bytes("one"), bytes("two")]) {
    await send(context, left, "signals.1.0", frame);
    await first.until(frame, "the first subscription");
    await second.until(frame, "the second subscription");
  }
}

/** Numbers of frames sent at once: fewer than a bounded queue may hold, and across the border of a byte. */
const BURST = { first: 156, count: 200 } as const;

/** A reader that keeps up misses none of 200 frames. They may come in any order, and twice. */
export async function losesNothingOnAQuietDay(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const reader = await read(context, right, "sessions.1.0");
  const missing = new Set(Array.from({ length: BURST.count }, (_, index) => BURST.first + index));
  const reading = (async () => {
    while (missing.size > 0) {
      const { frame } = await reader.next(`${missing.size} of ${BURST.count} frames are missing`);
      missing.delete(frame[0]! * 256 + frame[1]!);
    }
  })();
  reading.catch(() => undefined);
  for (let index = BURST.first; index < BURST.first + BURST.count; index++) {
    await send(context, left, "sessions.1.0", Uint8Array.of(index >> 8, index & 255));
  }
  await reading;
}

/** Claimed `ordered`: 200 frames come in the order they were published in. */
export async function keepsTheOrder(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const reader = await read(context, right, "sessions.1.0");
  const reading = (async () => {
    for (let last = BURST.first - 1; last < BURST.first + BURST.count - 1;) {
      const { frame } = await reader.next(`after frame ${last}`);
      const index = frame[0]! * 256 + frame[1]!;
      // A repeat is allowed, a step back is not.
      expectThat(index === last || index === last + 1, `frame ${index} came after frame ${last}`);
      last = index;
    }
  })();
  reading.catch(() => undefined);
  for (let index = BURST.first; index < BURST.first + BURST.count; index++) {
    await send(context, left, "sessions.1.0", Uint8Array.of(index >> 8, index & 255));
  }
  await reading;
}

/** The publisher may write to its buffer as soon as `publish` has returned its promise. */
export async function copiesWhatIsPublished(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const reader = await read(context, right, "sessions.1.0");
  const buffer = bytes("as published");
  const publishing = left.publish("sessions.1.0", buffer);
  buffer.fill(0);
  await within(context.deadlineMs, publishing, "publish()");
  await reader.expect(bytes("as published"), "after the publisher wrote to its buffer");
}

/** Subscribers share no bytes with each other or with the publisher. */
export async function givesEachReaderItsOwnBytes(context: TransportCheckContext): Promise<void> {
  const { left } = context;
  const first = await read(context, left, "sessions.1.0");
  const second = await read(context, left, "sessions.1.0");
  const buffer = bytes("untouched");
  await send(context, left, "sessions.1.0", buffer);
  (await first.next("the first reader")).frame.fill(0);
  await second.expect(bytes("untouched"), "after another reader wrote to its frame");
  expectBytes(buffer, bytes("untouched"), "the publisher's buffer");
}

/** A view into a larger buffer is published as the view, not as the buffer. */
export async function respectsViews(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  const reader = await read(context, right, "sessions.1.0");
  await send(context, left, "sessions.1.0", bytes("not this only this not this").subarray(9, 18));
  await reader.expect(bytes("only this"), "a view");
}
