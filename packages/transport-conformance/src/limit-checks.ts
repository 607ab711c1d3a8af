import { bytes, expectBytes, expectCode, expectThat, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, send } from "./reader.ts";

/** `capabilities` are what the adapter's tests have pinned, on every peer. */
export async function claimsAreAsPinned(context: TransportCheckContext): Promise<void> {
  for (const { capabilities } of context.mesh.peers) {
    for (const claim of ["frameBytesMax", "ordered", "replay", "persistent"] as const) {
      const actual = capabilities[claim];
      const pinned = context.claims[claim];
      expectThat(actual === pinned, `capabilities.${claim} is ${actual}, pinned is ${pinned}`);
    }
  }
}

/** A frame without a byte is a frame, and so is such a request or answer. */
export async function carriesEmptyFrames(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const reader = await read(context, right, "ack.1");
  await send(context, left, "ack.1", new Uint8Array(0));
  await reader.expect(new Uint8Array(0), "an empty frame");
  await right.serve("inbox.2", async (frame) => new Uint8Array(frame.length));
  const answer = await left.request("inbox.2", new Uint8Array(0), { timeoutMs: deadlineMs });
  expectBytes(answer, new Uint8Array(0), "an empty answer");
}

/** A frame of exactly `frameBytesMax` passes whole. */
export async function carriesTheLargestFrame(context: TransportCheckContext): Promise<void> {
  const { left, right, claims } = context;
  const frame = patterned(claims.frameBytesMax);
  const reader = await read(context, right, "sessions.1.0");
  await send(context, left, "sessions.1.0", frame);
  await reader.expect(frame, "a frame of frameBytesMax");
}

/** One byte more is `FRAME_TOO_LARGE`, and nothing of it arrives. */
export async function refusesALargerFrame(context: TransportCheckContext): Promise<void> {
  const { left, right, claims, deadlineMs } = context;
  const frame = patterned(claims.frameBytesMax + 1);
  const reader = await read(context, right, "sessions.1.0");
  await expectCode(deadlineMs, "FRAME_TOO_LARGE", () => left.publish("sessions.1.0", frame), "publish()");
  await send(context, left, "sessions.1.0", bytes("marker"));
  const before = await reader.until(bytes("marker"), "after a refused frame");
  expectThat(before.length === 0, "a frame above the limit arrived after all");
}

/** Requests and answers have the same limit, to the byte. */
export async function carriesTheLargestRequest(context: TransportCheckContext): Promise<void> {
  const { left, right, claims, deadlineMs } = context;
  await right.serve("inbox.2", async (frame) => frame);
  const frame = patterned(claims.frameBytesMax);
  const answer = await within(
    deadlineMs,
    left.request("inbox.2", frame, { timeoutMs: deadlineMs }),
    "request()",
  );
  expectBytes(answer, frame, "a request and its answer of frameBytesMax");
}

/** A larger request is `FRAME_TOO_LARGE` and runs no handler. */
export async function refusesALargerRequest(context: TransportCheckContext): Promise<void> {
  const { left, right, claims, deadlineMs } = context;
  let calls = 0;
  await right.serve("inbox.2", async () => Uint8Array.of(++calls));
  const frame = patterned(claims.frameBytesMax + 1);
  const ask = (): Promise<Uint8Array> => left.request("inbox.2", frame, { timeoutMs: deadlineMs });
  await expectCode(deadlineMs, "FRAME_TOO_LARGE", ask, "request()");
  await left.request("inbox.2", bytes("after"), { timeoutMs: deadlineMs });
  expectThat(calls === 1, "a request above the limit reached the handler");
}

/** A larger answer never arrives, and the service goes on. */
export async function refusesALargerAnswer(context: TransportCheckContext): Promise<void> {
  const { left, right, claims, deadlineMs } = context;
  await right.serve("inbox.2", async (frame) => patterned(claims.frameBytesMax + frame.length));
  const ask = (): Promise<Uint8Array> => left.request("inbox.2", bytes("x"), { timeoutMs: 50 });
  const codes = ["FRAME_TOO_LARGE", "NO_RESPONDER", "REQUEST_TIMEOUT"] as const;
  await expectCode(deadlineMs, codes, ask, "an answer above the limit");
  const answer = await left.request("inbox.2", new Uint8Array(0), { timeoutMs: deadlineMs });
  expectThat(answer.length === claims.frameBytesMax, "the service did not go on");
}

/** Bytes that differ from place to place, so that a lost or swapped part shows. */
function patterned(length: number): Uint8Array {
  const frame = new Uint8Array(length);
  for (let index = 0; index < length; index++) frame[index] = (index * 31 + (index >> 8)) & 255;
  return frame;
}
