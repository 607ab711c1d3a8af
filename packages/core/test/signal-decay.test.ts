import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter, CoreError, SignalSums, type SignalSumsOptions } from "../src/index.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 1_790_000_000_000;
type Contribution = readonly [weight: number, timeMs: number];

const bytesOf = (sums: SignalSums): Uint8Array => {
  const writer = new ByteWriter();
  sums.encode(writer);
  return writer.take();
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const fold = (options: SignalSumsOptions, list: readonly Contribution[]): SignalSums => {
  const sums = new SignalSums(options);
  for (const [weight, timeMs] of list) sums.add(weight, timeMs);
  return sums;
};
/** The definition in the docstring, one contribution at a time. */
const naive = (linearMs: number, list: readonly Contribution[], nowMs: number): number => {
  const step = Math.ceil(linearMs / 128);
  return list.reduce((sum, [weight, timeMs]) => {
    const ageMs = Math.max(0, nowMs - Math.floor(timeMs / step) * step);
    return sum + weight * Math.max(0, 1 - ageMs / linearMs);
  }, 0);
};
const anySpan = fc.oneof(
  fc.constantFrom(1, 127, 128, 129, HOUR, DAY, 2 ** 40 - 1),
  fc.integer({ min: 1, max: 2 ** 40 - 1 }),
);
const anyOptions: fc.Arbitrary<SignalSumsOptions> = fc
  .tuple(
    fc.oneof(
      anySpan.map((linearMs) => ({ linearMs })),
      fc.constant({ permanent: true as const }),
    ),
    fc.boolean(),
  )
  .map(([decay, windows]) => ({ ...decay, windows }));
const contributions = fc.array(
  fc.tuple(
    fc.oneof(fc.double({ min: -10, max: 10, noNaN: true }), fc.constantFrom(0, -0, 2 ** -41, 2 ** 40 - 1)),
    fc.oneof(fc.integer({ min: NOW - 400 * HOUR, max: NOW }), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
  ),
  { maxLength: 40 },
);

test("CORE-12 SIG-1 a straight line agrees with brute force to 6 decimals over 10,000 random sequences", () => {
  let state = 20_261_121;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  let worst = 0;
  let shift = 0;
  for (let run = 0; run < 10_000; run++) {
    const linearMs = Math.floor(60_000 + random() ** 4 * 90 * DAY);
    const list = Array.from({ length: Math.floor(random() * 30) }, (): Contribution => {
      return [random() * 20, Math.floor(NOW - random() ** 2 * 3 * linearMs)];
    });
    const nowMs = NOW + Math.floor(random() ** 3 * linearMs);
    const sums = fold({ linearMs }, list);
    worst = Math.max(worst, Math.abs(sums.score(nowMs) - naive(linearMs, list, nowMs)));
    const smooth = list.reduce(
      (sum, [w, t]) => sum + w * Math.max(0, 1 - Math.max(0, nowMs - t) / linearMs),
      0,
    );
    const most = list.reduce((sum, [w]) => sum + w, 0);
    shift = Math.max(shift, most === 0 ? 0 : Math.abs(sums.score(nowMs) - smooth) / most);
  }
  expect(worst).toBeLessThan(5e-7);
  // Against a line without steps: never off by more than a step.
  expect(shift).toBeLessThan(1 / 127);
});

test("CORE-12 a straight line reaches nothing, and reads exactly as far back as it is long", () => {
  const sums = fold({ linearMs: 128_000 }, [
    [4, NOW],
    [2, NOW - 64_000],
  ]);
  expect(sums.score(NOW)).toBe(5);
  expect(sums.score(NOW - 64_000)).toBe(6);
  expect(sums.score(NOW + 64_000)).toBe(2);
  expect(sums.score(NOW + 127_999)).toBeGreaterThan(0);
  expect(sums.score(NOW + 128_000)).toBe(0);
  expect(sums.score(2 ** 48 - 1)).toBe(0);
  for (let age = 1; age < 2_000; age++) sums.add(1, NOW - age * 1_000);
  expect(sums.score(NOW - 128_000)).toBe(
    naive(128_000, [[4, NOW], [2, NOW - 64_000], ...ages(2_000)], NOW - 128_000),
  );
});

const ages = (count: number): Contribution[] =>
  Array.from({ length: count - 1 }, (_, index): Contribution => [1, NOW - (index + 1) * 1_000]);

test("CORE-12 a permanent signal never fades", () => {
  const sums = fold({ permanent: true, windows: false }, [
    [1, 0],
    [-0.25, NOW],
  ]);
  for (const now of [0, NOW, 2 ** 48 - 1]) expect(sums.score(now)).toBe(0.75);
  expect(bytesOf(sums).length).toBeLessThan(20);
});

test("CORE-12 scenario 37: any order and grouping of any decay: identical bytes, no NaN, bounded", () => {
  fc.assert(
    fc.property(anyOptions, contributions, fc.infiniteStream(fc.nat(1000)), (options, list, random) => {
      const draw = (): number => random.next().value as number;
      const shuffled = list
        .map((one) => [draw(), one] as const)
        .sort(([a], [b]) => a - b)
        .map(([, one]) => one);
      const groups = [0, 1, 2].map(() => new SignalSums(options));
      for (const [weight, timeMs] of shuffled) groups[draw() % 3]!.add(weight, timeMs);
      const total = new SignalSums(options);
      for (const group of groups) total.addAll(group.copy());
      const whole = fold(options, list);
      expect(hex(bytesOf(total))).toBe(hex(bytesOf(whole)));
      for (const now of [0, NOW - 10 * 365 * DAY, NOW, NOW + 10 * 365 * DAY, 2 ** 48 - 1]) {
        expect(total.score(now)).toBe(whole.score(now));
        expect(Number.isFinite(whole.score(now))).toBe(true);
        expect(Object.is(whole.score(now), -0)).toBe(false);
      }
    }),
    { numRuns: 400 },
  );
  const sums = new SignalSums({ linearMs: 60_000 });
  for (let i = 0; i < 20_000; i++) sums.add(1 / 3, i * 100_000);
  expect(bytesOf(sums).length).toBeLessThan(9_000);
});

test("CORE-12 sums of two decays are not added", () => {
  const line = new SignalSums({ linearMs: HOUR });
  for (const options of [{ halfLifeMs: HOUR }, { linearMs: HOUR + 1 }, { permanent: true }] as const) {
    expect(() => line.addAll(new SignalSums(options))).toThrow(TypeError);
  }
  for (const linearMs of [0, -1, 0.5, NaN, 2 ** 40]) {
    expect(() => new SignalSums({ linearMs })).toThrow(RangeError);
  }
});

test("CORE-12 CORE-13 the golden files of each decay are read and written back", () => {
  const list: Contribution[] = [
    [1, NOW],
    [-0.1, NOW - 1000],
    [2 ** 39, NOW - 90_000_000],
    [1 / 3, NOW - HOUR],
  ];
  for (const [name, options] of [
    ["linear", { linearMs: 7 * DAY }],
    ["permanent", { permanent: true, windows: false }],
  ] as const) {
    const file = new URL(`golden/signal-sums-${name}-v1.hex`, import.meta.url);
    const golden = readFileSync(file, "utf8").trim();
    const sums = fold(options, list);
    expect(hex(bytesOf(sums))).toBe(golden);
    const reader = new ByteReader(Uint8Array.from(Buffer.from(golden, "hex")));
    const read = SignalSums.decode(reader);
    reader.finish();
    expect(hex(bytesOf(read))).toBe(golden);
    expect(read.decay).toEqual(sums.decay);
    expect(read.score(NOW)).toBe(sums.score(NOW));
  }
});

test("CORE-13 damaged bytes of any decay decode to a canonical state or throw DECODE_FAILED", () => {
  for (const options of [{ linearMs: DAY }, { permanent: true, windows: true }] as const) {
    const valid = bytesOf(
      fold(options, [
        [1, NOW],
        [-2.5, NOW - 100_000_000],
        [3, NOW - HOUR],
      ]),
    );
    const attempt = (bytes: Uint8Array): void => {
      try {
        const reader = new ByteReader(bytes);
        const read = SignalSums.decode(reader);
        reader.finish();
        expect(hex(bytesOf(read))).toBe(hex(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(CoreError);
        expect((error as CoreError).code).toBe("DECODE_FAILED");
      }
    };
    for (let end = 0; end < valid.length; end++) attempt(valid.subarray(0, end));
    for (let bit = 0; bit < valid.length * 8; bit++) {
      const damaged = valid.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      attempt(damaged);
    }
  }
});
