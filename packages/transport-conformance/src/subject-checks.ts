import { bytes, expectCode, expectThat, within } from "./assertions.ts";
import type { TransportCheckContext } from "./check.ts";
import { read, send } from "./reader.ts";

/** Subjects that differ by as little as they can. */
export const NEAR_MISSES: readonly (readonly [string, string])[] = [
  ["sessions.1.0", "sessions.10.0"],
  ["sessions.1.0", "sessions.1.00"],
  ["sessions.1.0", "sessions.1"],
  ["sessions.1.0", "sessions.1.0.0"],
  ["sessions.1.0", "0.sessions.1.0"],
  ["sessions.1.0", "sessions-1.0"],
  ["sessions.1.0", "Sessions.1.0"],
  ["ack.1", "ack.11"],
  ["region.eu", "region.eu-2"],
  ["region.eu_2", "region.eu-2"],
];

/** Strings that are no subject. */
export const INVALID_SUBJECTS: readonly string[] = [
  "",
  ".",
  ".sessions",
  "sessions.",
  "sessions..1",
  "sessions.*",
  "sessions.>",
  "sessions 1",
  "sessions.1\n",
  "sessions:{1}",
  "sessions/1",
  "sessions.größe",
  "1.2.3.4.5.6.7.8.9",
  "x".repeat(201),
];

/** A frame reaches its own subject and no other, however alike. */
export async function tellsSubjectsApart(context: TransportCheckContext): Promise<void> {
  const { left, right } = context;
  for (const [mine, other] of NEAR_MISSES) {
    for (const [heard, near] of [
      [mine, other],
      [other, mine],
    ] as const) {
      const reader = await read(context, right, heard);
      await send(context, left, near, bytes("astray"));
      await send(context, left, heard, bytes("marker"));
      const strays = await reader.until(bytes("marker"), heard);
      expectThat(strays.length === 0, `${heard} heard a frame of ${near}`);
      await reader.subscription.close();
    }
  }
}

/** Every call refuses what is no subject with `INVALID_SUBJECT`. */
export async function refusesInvalidSubjects(context: TransportCheckContext): Promise<void> {
  const { left, deadlineMs } = context;
  const frame = bytes("frame");
  for (const subject of INVALID_SUBJECTS) {
    const shown = JSON.stringify(subject);
    await expectCode(deadlineMs, "INVALID_SUBJECT", () => left.publish(subject, frame), `publish(${shown})`);
    await expectCode(deadlineMs, "INVALID_SUBJECT", () => left.subscribe(subject), `subscribe(${shown})`);
    await expectCode(
      deadlineMs,
      "INVALID_SUBJECT",
      () => left.release(subject, { epoch: 1, last: 1 }),
      `release(${shown})`,
    );
    await expectCode(
      deadlineMs,
      "INVALID_SUBJECT",
      () => left.serve(subject, async (request) => request),
      `serve(${shown})`,
    );
    await expectCode(
      deadlineMs,
      "INVALID_SUBJECT",
      () => left.request(subject, frame, { timeoutMs: deadlineMs }),
      `request(${shown})`,
    );
  }
}

/** What the grammar allows is carried: all characters, eight tokens, 200 characters. */
export async function takesEverySubject(context: TransportCheckContext): Promise<void> {
  const { left, right, deadlineMs } = context;
  const subjects = ["x", "a.b.c.d.e.f.g.h", "Region_1-EU.0", "_.-", "x".repeat(200)];
  for (const [index, subject] of subjects.entries()) {
    const reader = await read(context, right, subject);
    await send(context, left, subject, Uint8Array.of(index));
    await reader.expect(Uint8Array.of(index), subject);
    const service = await within(
      deadlineMs,
      right.serve(subject, async () => Uint8Array.of(index)),
      subject,
    );
    const answer = await left.request(subject, bytes("?"), { timeoutMs: deadlineMs });
    expectThat(answer[0] === index, `a request to ${subject} got the answer of another subject`);
    await service.close();
  }
}
