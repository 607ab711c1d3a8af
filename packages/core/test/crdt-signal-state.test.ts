import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { CoreError, CrdtSignalState } from "../src/index.ts";

const HOUR = 3_600_000;
const NOW = 1_790_000_000_000;
const OPTIONS = { halfLifeMs: 24 * HOUR } as const;
type Add = readonly [replica: number, weight: number, timeMs: number];

const hex = (state: CrdtSignalState): string => Buffer.from(state.encode()).toString("hex");
const make = (adds: readonly Add[]): CrdtSignalState => {
  const state = new CrdtSignalState(OPTIONS);
  for (const [replica, weight, timeMs] of adds) state.add(replica, weight, timeMs);
  return state;
};
const join = (...states: readonly CrdtSignalState[]): CrdtSignalState => {
  const out = new CrdtSignalState(OPTIONS);
  for (const state of states) out.merge(state);
  return out;
};

const add = fc.tuple(
  fc.nat(3),
  fc.double({ min: -9, max: 9, noNaN: true }),
  fc.integer({ min: NOW - 200 * HOUR, max: NOW }),
);
const anyState = fc.array(add, { maxLength: 12 }).map(make);

test("CORE-12 scenario 35: merge is commutative, associative, idempotent and monotone, bytes compared", () => {
  fc.assert(
    fc.property(anyState, anyState, anyState, (a, b, c) => {
      expect(hex(join(a, b))).toBe(hex(join(b, a)));
      expect(hex(join(join(a, b), c))).toBe(hex(join(a, join(b, c))));
      expect(hex(join(a, a))).toBe(hex(a));
      expect(hex(join(join(a, b), a))).toBe(hex(join(a, b)));
      expect(join(a, b).count).toBeGreaterThanOrEqual(Math.max(a.count, b.count));
    }),
    { numRuns: 400 },
  );
});

test("CORE-12 scenario 35: equal counts with different bytes fall to the greater bytes on both sides", () => {
  const [a, b] = [make([[1, 1, NOW]]), make([[1, 2, NOW]])];
  const [left, right] = [join(a, b), join(b, a)];
  expect(hex(left)).toBe(hex(right));
  expect(left.count).toBe(1);
});

test("CORE-12 scenario 37: three replicas that merge in different orders read the same score, ten years on", () => {
  const parts = [1, 2, 3].map((replica) => {
    return make(Array.from({ length: 20 }, (_, i): Add => [replica, i - 5.5, NOW - i * replica * HOUR]));
  });
  const [a, b, c] = parts as [CrdtSignalState, CrdtSignalState, CrdtSignalState];
  const merged = [join(a, b, c), join(c, b, a, b), join(join(b, c), join(a, c))];
  for (const now of [NOW, NOW + 10 * 365 * 24 * HOUR]) {
    const scores = merged.map((state) => state.score(now));
    expect(new Set(scores).size).toBe(1);
    expect(Number.isFinite(scores[0])).toBe(true);
  }
  expect(new Set(merged.map(hex)).size).toBe(1);
  expect(merged[0]!.window("all", NOW).count).toBe(60);
});

test("CORE-12 merge() copies: what the other adds afterwards does not show", () => {
  const a = make([[1, 1, NOW]]);
  const b = new CrdtSignalState(OPTIONS);
  expect([b.merge(a), b.merge(a)]).toEqual([true, false]);
  a.add(1, 5, NOW);
  expect([a.weight, b.weight, b.exact]).toEqual([6, 1, true]);
  expect(() => b.merge(new CrdtSignalState({ halfLifeMs: 1 }))).toThrow(TypeError);
});

test("CORE-12 the golden file is read and written back", () => {
  const golden = readFileSync(new URL("golden/crdt-signal-state-v1.hex", import.meta.url), "utf8").trim();
  const state = make([
    [7, 1, NOW],
    [300, -0.25, NOW - 5 * HOUR],
    [7, 1 / 3, NOW - 1],
  ]);
  expect(hex(state)).toBe(golden);
  const read = CrdtSignalState.decode(Uint8Array.from(Buffer.from(golden, "hex")));
  expect(hex(read)).toBe(golden);
  expect([read.count, read.score(NOW)]).toEqual([3, state.score(NOW)]);
});

test("CORE-13 any bytes decode to a canonical state or throw DECODE_FAILED", () => {
  const attempt = (bytes: Uint8Array): void => {
    try {
      expect(hex(CrdtSignalState.decode(bytes))).toBe(Buffer.from(bytes).toString("hex"));
    } catch (error) {
      expect(error).toBeInstanceOf(CoreError);
      expect((error as CoreError).code).toBe("DECODE_FAILED");
    }
  };
  fc.assert(fc.property(anyState, (state) => attempt(state.encode())));
  const valid = make([
    [7, 1, NOW],
    [300, -0.25, NOW - 5 * HOUR],
  ]).encode();
  for (let end = 0; end < valid.length; end++) attempt(valid.subarray(0, end));
  for (let bit = 0; bit < valid.length * 8; bit++) {
    const damaged = valid.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    attempt(damaged);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => attempt(bytes)));
});
