import { expect, test } from "vitest";
import { EXP2_STEPS, exp2Fraction, fraction48 } from "../src/exp2.ts";

/** 2^(steps / 2^48) with 160 fractional bits, from repeated square roots: nothing shared with the source. */
function reference(steps: bigint): bigint {
  const bits = 160n;
  const one = 1n << bits;
  let root = 2n * one;
  let out = one;
  for (let bit = 47n; bit >= 0n; bit--) {
    root = sqrt(root << bits);
    if ((steps >> bit) & 1n) out = (out * root) >> bits;
  }
  return out - one;
}

function sqrt(value: bigint): bigint {
  let low = 1n;
  let high = 1n << 170n;
  while (high - low > 1n) {
    const mid = (low + high) >> 1n;
    if (mid * mid <= value) low = mid;
    else high = mid;
  }
  return low;
}

const GOLDEN: readonly (readonly [number, number])[] = [
  [0, 0],
  [1, 11],
  [2 ** 24, 186065283],
  [2 ** 40, 12210497305791],
  [2 ** 47, 1865452045155277],
  [2 ** 48 - 1, 4503599627370469],
  [123_456_789_012_345, 1600105217041156],
];

test("CORE-12 exp2Fraction() gives the golden integers", () => {
  expect(GOLDEN.map(([steps]) => [steps, exp2Fraction(steps)])).toEqual(GOLDEN);
});

test("CORE-12 exp2Fraction() is within 8 units of 2^-52 of the truth, and grows", () => {
  let state = 12345;
  let previous = -1;
  for (let i = 0; i < 400; i++) {
    state = (state * 1_103_515_245 + 12_345) % 0x8000_0000;
    const steps = Math.min(EXP2_STEPS - 1, Math.floor(((i + state / 0x8000_0000) / 400) * EXP2_STEPS));
    const exact = reference(BigInt(steps));
    const off = (BigInt(exp2Fraction(steps)) << 108n) - exact;
    expect(off < 8n << 108n && off > -(8n << 108n)).toBe(true);
    expect(exp2Fraction(steps)).toBeGreaterThan(previous);
    previous = exp2Fraction(steps);
  }
});

test("CORE-12 fraction48() is the exact floor, close to the limits too", () => {
  const wholes = [1, 2, 3, 7, 999, 86_400_000, 2 ** 39 + 1, 2 ** 40 - 1, 2 ** 40 - 2];
  for (const whole of wholes) {
    for (const part of new Set([0, 1, Math.floor(whole / 2), Math.floor(whole / 3), whole - 2, whole - 1])) {
      if (part < 0 || part >= whole) continue;
      const exact = (BigInt(part) << 48n) / BigInt(whole);
      expect(BigInt(fraction48(part, whole))).toBe(exact);
    }
  }
});
