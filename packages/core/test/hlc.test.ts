import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ByteReader,
  ByteWriter,
  compareBytes,
  compareHlc,
  CoreError,
  type Hlc,
  HLC_BYTES,
  HLC_ZERO,
  HlcClock,
  laterHlc,
  readHlc,
  stepHlc,
  writeHlc,
} from "../src/index.ts";

const u16 = fc.integer({ min: 0, max: 0xffff });
const stamp = fc.record({ wallMs: fc.integer({ min: 0, max: 2 ** 48 - 2 }), counter: u16, clockId: u16 });
const near = fc.record({
  wallMs: fc.integer({ min: 0, max: 2 }),
  counter: fc.constantFrom(0, 1, 0xffff),
  clockId: fc.integer({ min: 0, max: 2 }),
});
const encode = (value: Hlc) => {
  const writer = new ByteWriter();
  writeHlc(writer, value);
  return writer.take();
};

test("CORE-6 the ten bytes of a stamp, big-endian", () => {
  const bytes = encode({ wallMs: 1_790_000_000_123, counter: 258, clockId: 0xfffe });
  expect(Buffer.from(bytes).toString("hex")).toBe("01a0c4506c7b0102fffe");
  expect(bytes.length).toBe(HLC_BYTES);
  expect(encode(HLC_ZERO)).toEqual(new Uint8Array(10));
});

test("CORE-6 bytes round-trip and sort as stamps do", () => {
  fc.assert(
    fc.property(fc.oneof(stamp, near), fc.oneof(stamp, near), (a, b) => {
      expect(readHlc(new ByteReader(encode(a)))).toEqual(a);
      expect(Math.sign(compareBytes(encode(a), encode(b)))).toBe(Math.sign(compareHlc(a, b)));
      expect(compareHlc(laterHlc(a, b), a)).toBeGreaterThanOrEqual(0);
    }),
  );
  expect(() => readHlc(new ByteReader(new Uint8Array(9)))).toThrow(CoreError);
  for (const wrong of [{ wallMs: 2 ** 48 }, { wallMs: 0.5 }, { counter: 0x1_0000 }, { clockId: -1 }]) {
    expect(() => encode({ ...HLC_ZERO, ...wrong })).toThrow(RangeError);
  }
});

test("CORE-7 stepHlc() is the smallest stamp above with that clock id", () => {
  fc.assert(
    fc.property(fc.oneof(stamp, near), u16, fc.oneof(stamp, near), (after, clockId, other) => {
      const next = stepHlc(after, clockId);
      expect(compareHlc(next, after)).toBeGreaterThan(0);
      expect(next.clockId).toBe(clockId);
      const rival = { ...other, clockId };
      if (compareHlc(rival, after) > 0) expect(compareHlc(rival, next)).toBeGreaterThanOrEqual(0);
    }),
  );
  expect(() => stepHlc({ wallMs: 2 ** 48 - 1, counter: 0xffff, clockId: 1 }, 1)).toThrow(RangeError);
});

/** A clock under an arbitrary wall clock, with what it issued, and the bound on its disk. */
type Step = { now: number } | { remote: Hlc } | { crash: true };
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.integer({ min: 0, max: 20_000 }).map((now) => ({ now })),
  fc
    .record({
      wallMs: fc.integer({ min: 0, max: 25_000 }),
      counter: fc.constantFrom(0, 7, 0xffff),
      clockId: u16,
    })
    .map((remote) => ({ remote })),
  fc.constant({ crash: true as const }),
);

test("CORE-5 tick() and receive() are strictly increasing under any wall clock, remote stamps and restarts", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      let [now, highest, disk, last] = [0, 0, undefined as number | undefined, undefined as Hlc | undefined];
      const open = () =>
        new HlcClock({
          clockId: 3,
          now: () => now,
          persistBound: (boundMs) => (disk = boundMs),
          ...(disk === undefined ? {} : { resumeAboveMs: disk }),
        });
      let clock = open();
      let pulled = 0;
      for (const step of steps) {
        const before = clock.last;
        if ("now" in step) now = step.now;
        else if ("crash" in step) clock = open();
        else {
          const bounded = step.remote.wallMs < now + clock.driftMsMax;
          clock.receive(step.remote);
          if (before.wallMs > 0) expect(compareHlc(clock.last, before)).toBeGreaterThan(0);
          if (bounded) expect(compareHlc(clock.last, step.remote)).toBeGreaterThan(0);
          if (bounded) pulled = Math.max(pulled, now + clock.driftMsMax);
        }
        highest = Math.max(highest, now, pulled, disk ?? 0);
        const next = clock.tick();
        if (last !== undefined) expect(compareHlc(next, last)).toBeGreaterThan(0);
        expect(next.wallMs).toBeLessThan(disk!);
        expect(next.wallMs).toBeLessThanOrEqual(highest + 60);
        last = next;
      }
    }),
  );
});

describe("scenario 26", () => {
  test("CORE-5 scenario 26: a clock set back an hour, on an hour, frozen, keeps order", () => {
    const hour = 3_600_000;
    const start = 1_790_000_000_000;
    let now = start;
    const clock = new HlcClock({ clockId: 1, now: () => now });
    let last = clock.tick();
    for (const jump of [start - hour, start + hour, start + hour, start, start + 2 * hour]) {
      now = jump;
      for (let index = 0; index < 100; index++) {
        const next = clock.tick();
        expect(compareHlc(next, last)).toBeGreaterThan(0);
        last = next;
      }
    }
    expect(last).toEqual({ wallMs: start + 2 * hour, counter: 99, clockId: 1 });
  });

  test("CORE-5 scenario 26: a restart resumes above the persisted bound, though the wall clock is behind", () => {
    const bounds: number[] = [];
    let now = 10_000;
    const clock = new HlcClock({
      clockId: 1,
      now: () => now,
      persistBound: (boundMs) => bounds.push(boundMs),
    });
    clock.tick();
    now = 11_999;
    clock.tick();
    expect(bounds).toEqual([12_000]);
    now = 12_000;
    const last = clock.tick();
    expect(bounds).toEqual([12_000, 14_000]);
    now = 0;
    const reopened = new HlcClock({
      clockId: 1,
      now: () => now,
      resumeAboveMs: 14_000,
      persistBound: (b) => bounds.push(b),
    });
    const first = reopened.tick();
    expect(first.wallMs).toBeGreaterThan(14_000);
    expect(compareHlc(first, last)).toBeGreaterThan(0);
    expect(first.wallMs).toBeLessThan(bounds.at(-1)!);
  });

  test("CORE-5 scenario 26: with a lost clock file the clock starts from its wall clock", () => {
    expect(new HlcClock({ clockId: 1, now: () => 500 }).tick()).toEqual({
      wallMs: 500,
      counter: 0,
      clockId: 1,
    });
    expect(new HlcClock({ clockId: 1, now: () => 0 }).tick()).toEqual(
      stepHlc({ ...HLC_ZERO, clockId: 0 }, 1),
    );
  });
});

test("CORE-5 scenario 24: a stamp ten years ahead is ordered behind, and pulls no clock", () => {
  const start = 1_790_000_000_000;
  const poison = { wallMs: start + 315_360_000_000, counter: 0, clockId: 9 };
  const clock = new HlcClock({ clockId: 1, now: () => start });
  for (let index = 0; index < 10; index++) {
    clock.receive(poison);
    expect(clock.tick().wallMs).toBe(start);
  }
  // As far as it may be pulled it is.
  const near = { wallMs: start + clock.driftMsMax, counter: 3, clockId: 9 };
  clock.receive(near);
  expect(compareHlc(clock.tick(), near)).toBeGreaterThan(0);
  // What answers the poisoned stamp is ordered behind it by its own stamp, not by the clock.
  expect(compareHlc(stepHlc(poison, 1), poison)).toBeGreaterThan(0);
});

test("CORE-5 scenario 27: 70,000 events in one frozen millisecond stay in order and carry once", () => {
  const clock = new HlcClock({ clockId: 1, now: () => 1_000 });
  let last = clock.tick();
  for (let index = 1; index < 70_000; index++) {
    const next = clock.tick();
    if (compareHlc(next, last) <= 0) expect.fail(`event ${index} is not above the one before`);
    last = next;
  }
  expect(last).toEqual({ wallMs: 1_001, counter: 70_000 - 65_536 - 1, clockId: 1 });
});

test("CORE-5 a bound that cannot be stored stops the stamp, and the clock has not moved", () => {
  let full = true;
  const clock = new HlcClock({
    clockId: 1,
    now: () => 100,
    persistBound: () => {
      if (full) throw new Error("disk full");
    },
  });
  expect(() => clock.tick()).toThrow("disk full");
  full = false;
  expect(clock.tick()).toEqual({ wallMs: 100, counter: 0, clockId: 1 });
});

test("CORE-7 receive() pulls the clock to the bound and no further; order after it still holds", () => {
  const clock = new HlcClock({ clockId: 1, now: () => 1_000 });
  clock.receive({ wallMs: 1_500, counter: 4, clockId: 2 });
  expect(clock.tick()).toEqual({ wallMs: 1_500, counter: 6, clockId: 1 });
  for (const far of [
    { wallMs: 1_501, counter: 0, clockId: 2 },
    { wallMs: 1_500, counter: 0xffff, clockId: 2 },
    { wallMs: 2 ** 48 - 1, counter: 0xffff, clockId: 2 },
  ]) {
    clock.receive(far);
    expect(clock.last.wallMs).toBe(1_500);
    expect(compareHlc(stepHlc(far.wallMs < 2 ** 48 - 1 ? far : HLC_ZERO, 1), HLC_ZERO)).toBeGreaterThan(0);
  }
});

test("CORE-7 checkIngest() refuses only the future side, with both numbers", () => {
  const clock = new HlcClock({ clockId: 1, now: () => 1_000 });
  clock.checkIngest(1_500, "event time");
  clock.checkIngest(-1e15, "event time");
  expect(() => clock.checkIngest(1_501, "event time")).toThrow(
    expect.objectContaining({ code: "HLC_DRIFT_EXCEEDED", aheadMs: 501, driftMsMax: 500 }),
  );
  expect(() => clock.checkIngest(1_900, "an event time")).toThrow(
    "Cannot accept an event time 900 ms ahead: the limit is 500 ms",
  );
  expect(() => clock.checkIngest(Number.NaN, "event time")).toThrow(RangeError);
});

test("CORE-7 skewMs() is the median of the latest samples, so one wild stamp does not move it", () => {
  const clock = new HlcClock({ clockId: 1, now: () => 1_000 });
  expect(clock.skewMs(2)).toBeUndefined();
  for (const remoteMs of [990, 985, 1e12, 988]) clock.observeSkew(2, remoteMs);
  expect(clock.skewMs(2)).toBe(-12);
  for (let index = 0; index < 200; index++) clock.observeSkew(2, 4_000);
  expect([clock.skewMs(2), clock.skewMs(3)]).toEqual([3_000, undefined]);
});

test("CORE-5 a reading with a fraction is taken as its millisecond, and nonsense moves nothing back", () => {
  const clock = new HlcClock({ clockId: 1, now: () => Number.NaN });
  expect(clock.tick(10.9)).toEqual({ wallMs: 10, counter: 0, clockId: 1 });
  expect(clock.tick(10.95)).toEqual({ wallMs: 10, counter: 1, clockId: 1 });
  expect(clock.tick()).toEqual({ wallMs: 10, counter: 2, clockId: 1 });
  expect(() => clock.tick(Number.POSITIVE_INFINITY)).toThrow(RangeError);
  expect(() => new HlcClock({ clockId: 0x1_0000, now: () => 0 })).toThrow(RangeError);
});
