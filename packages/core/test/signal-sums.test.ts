import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter, CoreError, SignalSums } from "../src/index.ts";
import { exp2Fraction } from "../src/exp2.ts";
import { toDouble } from "../src/fixed-point.ts";

const HOUR = 3_600_000;
const NOW = 1_790_000_000_000;
type Contribution = readonly [weight: number, timeMs: number];

const bytesOf = (sums: SignalSums): Uint8Array => {
  const writer = new ByteWriter();
  sums.encode(writer);
  return writer.take();
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const fold = (halfLifeMs: number, list: readonly Contribution[]): SignalSums => {
  const sums = new SignalSums({ halfLifeMs });
  for (const [weight, timeMs] of list) sums.add(weight, timeMs);
  return sums;
};

/** The definition in the docstring, in BigInt, from the whole list at once. */
function referenceBytes(halfLifeMs: number, list: readonly Contribution[]): string {
  const H = BigInt(halfLifeMs);
  const round = (numerator: bigint, shift: bigint): bigint => (numerator + (1n << (shift - 1n))) >> shift;
  const units = (weight: number): bigint => {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, Math.abs(weight));
    const raw = view.getBigUint64(0);
    const exponent = Number((raw >> 52n) & 0x7ffn);
    const mantissa = (raw & ((1n << 52n) - 1n)) | (exponent === 0 ? 0n : 1n << 52n);
    const shift = Math.max(exponent, 1) - 1075 + 40;
    return shift >= 0 ? mantissa << BigInt(shift) : round(mantissa, BigInt(-shift));
  };
  type Row = Map<bigint, { count: number; sum: bigint }>;
  const rows: [Row, Row, Row] = [new Map(), new Map(), new Map()];
  const put = (row: Row, index: bigint, value: bigint): void => {
    const old = row.get(index) ?? { count: 0, sum: 0n };
    row.set(index, { count: old.count + 1, sum: old.sum + value });
  };
  let plain = 0n;
  for (const [weight, timeMs] of list) {
    const t = BigInt(timeMs);
    const sign = weight < 0 ? -1n : 1n;
    const u = units(weight);
    const fraction = exp2Fraction(Number(((t % H) << 48n) / H));
    plain += sign * u;
    put(rows[0], t / H, sign * round(u * ((1n << 52n) + BigInt(fraction)), 53n));
    put(rows[1], t / 60_000n, sign * u);
    put(rows[2], t / 3_600_000n, sign * u);
  }
  const writer = new ByteWriter();
  const sum = (value: bigint): void => {
    const hi = Number(BigInt.asIntN(105, value) >> 52n);
    writer.varint(hi >= 0 ? hi * 2 : -hi * 2 - 1);
    writer.varint(Number(BigInt.asUintN(52, value)));
  };
  writer.u8(1);
  writer.u8(1);
  writer.varint(halfLifeMs);
  writer.varint(list.length);
  if (list.length > 0) sum(plain);
  for (const [which, keep] of [
    [0, 96n],
    [1, 120n],
    [2, 336n],
  ] as const) {
    if (list.length === 0) break;
    const sorted = [...rows[which]].sort(([a], [b]) => Number(a - b));
    const kept = sorted.filter(([index]) => index > sorted.at(-1)![0] - keep);
    writer.varint(kept.length);
    let previous = 0n;
    for (const [index, cell] of kept) {
      writer.varint(Number(index - previous));
      writer.varint(cell.count);
      sum(cell.sum);
      previous = index;
    }
  }
  return hex(writer.take());
}

const anyWeight = fc.oneof(
  fc.double({ min: -10, max: 10, noNaN: true }),
  fc.double({ min: -(2 ** 40), max: 2 ** 40, noNaN: true, minExcluded: true, maxExcluded: true }),
  fc.constantFrom(
    0,
    -0,
    1,
    -1,
    2 ** -41,
    -(2 ** -41),
    2 ** -42,
    2 ** 40 - 2 ** -12,
    -(2 ** 40 - 2 ** -12),
    5e-324,
  ),
);
const anyTime = fc.oneof(
  fc.integer({ min: NOW - 400 * HOUR, max: NOW }),
  fc.integer({ min: NOW - 3 * HOUR, max: NOW }),
  fc.integer({ min: 0, max: 2 ** 48 - 1 }),
);
const anyHalfLife = fc.oneof(
  fc.constantFrom(1, 3, 1000, HOUR, 24 * HOUR, 2 ** 40 - 1),
  fc.integer({ min: 1, max: 2 ** 40 - 1 }),
);
const contributions = fc.array(fc.tuple(anyWeight, anyTime), { maxLength: 40 });

test("CORE-12 SignalSums is the BigInt definition, bit for bit", () => {
  fc.assert(
    fc.property(anyHalfLife, contributions, (halfLifeMs, list) => {
      expect(hex(bytesOf(fold(halfLifeMs, list)))).toBe(referenceBytes(halfLifeMs, list));
    }),
    { numRuns: 1500 },
  );
});

test("CORE-12 any order and any grouping of the same contributions give the same bytes", () => {
  fc.assert(
    fc.property(anyHalfLife, contributions, fc.infiniteStream(fc.nat(1000)), (halfLifeMs, list, random) => {
      const draw = (): number => random.next().value as number;
      const shuffled = list
        .map((one) => [draw(), one] as const)
        .sort(([a], [b]) => a - b)
        .map(([, one]) => one);
      const groups = [0, 1, 2].map(() => new SignalSums({ halfLifeMs }));
      for (const [weight, timeMs] of shuffled) groups[draw() % 3]!.add(weight, timeMs);
      const total = new SignalSums({ halfLifeMs });
      for (const group of groups) total.addAll(group);
      expect(hex(bytesOf(total))).toBe(hex(bytesOf(fold(halfLifeMs, list))));
    }),
    { numRuns: 500 },
  );
});

test("CORE-12 score() and window() agree with brute force to 6 decimals over 10,000 random sequences", () => {
  let state = 20_260_101;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const windows = [
    ["1h", 60_000, 60],
    ["24h", HOUR, 24],
    ["7d", HOUR, 168],
  ] as const;
  let worst = 0;
  for (let run = 0; run < 10_000; run++) {
    const halfLifeMs = Math.floor(60_000 + random() ** 4 * 90 * 24 * HOUR);
    const spanMs = random() ** 3 * 60 * 24 * HOUR;
    const list = Array.from({ length: Math.floor(random() * 30) }, (): Contribution => {
      return [(random() - 0.4) * 20, Math.floor(NOW - random() * spanMs)];
    });
    const now = NOW + Math.floor(random() ** 3 * 24 * HOUR);
    const sums = fold(halfLifeMs, list);
    const plain = list.reduce(
      (sum, [weight, timeMs]) => sum + weight * 2 ** ((timeMs - now) / halfLifeMs),
      0,
    );
    worst = Math.max(worst, Math.abs(sums.score(now) - plain));
    worst = Math.max(worst, Math.abs(sums.weight - list.reduce((sum, [weight]) => sum + weight, 0)));
    for (const [name, bucketMs, buckets] of windows) {
      const last = Math.floor(now / bucketMs);
      const inside = list.filter(([, timeMs]) => Math.floor(timeMs / bucketMs) > last - buckets);
      const got = sums.window(name, now);
      expect(got.count).toBe(inside.length);
      worst = Math.max(worst, Math.abs(got.weight - inside.reduce((sum, [weight]) => sum + weight, 0)));
    }
  }
  expect(worst).toBeLessThan(5e-7);
});

test("CORE-12 a window is the bucket of now and the n-1 before it", () => {
  const minute = Math.floor(NOW / 60_000) * 60_000;
  const sums = new SignalSums({ halfLifeMs: HOUR });
  sums.add(1, minute - 59 * 60_000);
  sums.add(2, minute - 59 * 60_000 - 1);
  sums.add(4, minute + 59_999);
  expect(sums.window("1h", minute)).toEqual({ count: 2, weight: 5 });
  expect(sums.window("1h", minute - 1)).toEqual({ count: 2, weight: 3 });
  expect(sums.window("1h", minute + 60_000)).toEqual({ count: 1, weight: 4 });
  expect(sums.window("all", 0)).toEqual({ count: 3, weight: 7 });
  expect(() => new SignalSums({ halfLifeMs: 1, windows: false }).window("1h", 0)).toThrow(TypeError);
});

test("CORE-12 scenario 37: three replicas fed in different orders over ten years: identical bytes, no NaN", () => {
  const tenYears = 10 * 365 * 24 * HOUR;
  for (const halfLifeMs of [1, 1000, HOUR, 7 * 24 * HOUR, 2 ** 40 - 1]) {
    const list: Contribution[] = [];
    for (let i = 0; i < 60; i++)
      list.push([(i % 7) - 2.3, NOW - tenYears + i * 977 * 60_000], [i / 3, NOW - i * 61_001]);
    const rotated = [...list.slice(50), ...list.slice(0, 50)];
    const replicas = [list, list.toReversed(), rotated].map((order) => fold(halfLifeMs, order));
    expect(new Set(replicas.map((one) => hex(bytesOf(one)))).size).toBe(1);
    for (const now of [0, NOW - tenYears, NOW, NOW + tenYears, 2 ** 48 - 1]) {
      const scores = replicas.map((one) => one.score(now));
      expect(new Set(scores).size).toBe(1);
      expect(Number.isFinite(scores[0])).toBe(true);
    }
    expect(bytesOf(replicas[0]!).length).toBeLessThan(6000);
  }
});

test("CORE-12 a state is bounded whatever the time span", () => {
  const sums = new SignalSums({ halfLifeMs: 60_000 });
  for (let i = 0; i < 5000; i++) sums.add(-1 / 3, i * 600_000);
  const day = bytesOf(sums).length;
  for (let i = 5000; i < 50_000; i++) sums.add(-1 / 3, i * 600_000);
  expect(bytesOf(sums).length).toBeLessThan(day + 20);
});

test("CORE-12 a stamp of the far future is worth at most twice its weight and buries nothing that is kept", () => {
  const sums = fold(24 * HOUR, [
    [1, NOW],
    [1, NOW + 30 * 24 * HOUR],
  ]);
  expect(sums.score(NOW)).toBeGreaterThan(1);
  expect(sums.score(NOW)).toBeLessThanOrEqual(3);
  expect(fold(1, [[1, 2 ** 48 - 1]]).score(0)).toBeLessThanOrEqual(2);
});

test("CORE-12 a weight that is no finite number below 2^40 is INVALID_WEIGHT and adds nothing", () => {
  const sums = new SignalSums({ halfLifeMs: HOUR });
  for (const weight of [NaN, Infinity, -Infinity, 2 ** 40, -(2 ** 40), 1e300]) {
    expect(() => sums.add(weight, NOW)).toThrow(expect.objectContaining({ code: "INVALID_WEIGHT" }));
  }
  for (const time of [-1, 0.5, NaN, 2 ** 48]) expect(() => sums.add(1, time)).toThrow(RangeError);
  expect([sums.count, sums.weight, sums.score(NOW)]).toEqual([0, 0, 0]);
});

test("CORE-12 a sum that overflows wraps, so that order stays out of it, and exact says so", () => {
  const most = 2 ** 40 - 2 ** -12;
  let doubled = fold(HOUR, [
    [most, NOW],
    [-most / 3, NOW - 1],
  ]);
  const copies = [doubled];
  for (let i = 0; i < 26; i++) {
    expect(doubled.exact).toBe(doubled.count <= 2 ** 24);
    const next = new SignalSums({ halfLifeMs: HOUR });
    next.addAll(doubled);
    next.addAll(doubled);
    doubled = next;
    copies.push(next);
  }
  const sum = (order: readonly SignalSums[]): string => {
    const total = new SignalSums({ halfLifeMs: HOUR });
    for (const part of order) total.addAll(part);
    return hex(bytesOf(total));
  };
  expect(sum(copies)).toBe(sum(copies.toReversed()));
  expect(Number.isFinite(doubled.score(NOW))).toBe(true);
  expect(doubled.exact).toBe(false);
});

test("CORE-12 toDouble() rounds once, negative sums as well", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 104n), max: 2n ** 104n - 1n }), (value) => {
      const got = toDouble(Number(value >> 52n), Number(BigInt.asUintN(52, value)));
      // Number(bigint) rounds to the nearest, ties to even; the scale is a power of two.
      expect(got).toBe(Number(value) / 2 ** 40);
    }),
  );
});

test("CORE-12 the golden file is read and written back", () => {
  const golden = readFileSync(new URL("golden/signal-sums-v1.hex", import.meta.url), "utf8").trim();
  const sums = fold(24 * HOUR, [
    [1, NOW],
    [-0.1, NOW - 1000],
    [2 ** 39, NOW - 90_000_000],
    [1 / 3, NOW - HOUR],
  ]);
  expect(hex(bytesOf(sums))).toBe(golden);
  const reader = new ByteReader(Uint8Array.from(Buffer.from(golden, "hex")));
  const read = SignalSums.decode(reader);
  reader.finish();
  expect(hex(bytesOf(read))).toBe(golden);
  expect(read.score(NOW)).toBe(sums.score(NOW));
});

test("CORE-12 CORE-13 decode() inverts encode(), and continues where it stopped", () => {
  fc.assert(
    fc.property(anyHalfLife, contributions, contributions, (halfLifeMs, first, second) => {
      const read = SignalSums.decode(new ByteReader(bytesOf(fold(halfLifeMs, first))));
      for (const [weight, timeMs] of second) read.add(weight, timeMs);
      expect(hex(bytesOf(read))).toBe(hex(bytesOf(fold(halfLifeMs, [...first, ...second]))));
    }),
    { numRuns: 300 },
  );
});

test("CORE-13 damaged bytes decode to a canonical state or throw DECODE_FAILED", () => {
  const valid = bytesOf(
    fold(24 * HOUR, [
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
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => attempt(bytes)));
});
