import { BASE, multiplyShift52 } from "./fixed-point.ts";

/** 2^48: the unit {@link exp2Fraction} counts its argument in. */
export const EXP2_STEPS: number = 2 ** 48;

/** Bits of the working precision while the tables are built. */
const WORK_BITS = 128n;
const LN2_29 = 372_130_559; // round(ln(2) * 2^29)
const HALF_LN2_SQUARED_20 = 251_896; // round(ln(2)^2 / 2 * 2^20)
const { coarse, middle, fine } = buildTables();

/**
 * `2^(steps / 2^48)` for an integer `0 <= steps < 2^48`, as the integer `x` of `(2^52 + x) / 2^52`.
 *
 * Integer arithmetic only, the same on every engine: `Math.pow` may differ in the last bit from one to
 * the next. `steps` is cut into 8, 8, 8 and 24 bits. Three tables hold `round(2^52 * 2^(i / 2^8k)) - 2^52`,
 * k = 1, 2, 3, rounded half up; the last 24 bits `y` are the series
 * `floor(y * round(ln 2 * 2^29) / 2^25) + floor(floor(y / 2^12)^2 * round(ln^2 2 / 2 * 2^20) / 2^40)`. The
 * four are multiplied left to right, each product floored to 52 bits. Within 8 units of 2^-52 of the truth.
 *
 * @example
 * ```ts
 * assert.equal(exp2Fraction(0), 0);
 * assert.equal(1 + exp2Fraction(2 ** 47) / 2 ** 52, Math.SQRT2);
 * ```
 */
export function exp2Fraction(steps: number): number {
  const upper = Math.floor(steps / 0x100_0000);
  const y = steps - upper * 0x100_0000;
  const y12 = Math.floor(y / 0x1000);
  const tail =
    Math.floor((y * LN2_29) / 0x200_0000) + Math.floor((y12 * y12 * HALF_LN2_SQUARED_20) / 0x100_0000_0000);
  const high = multiply(coarse[upper >>> 16] as number, middle[(upper >>> 8) & 0xff] as number);
  return multiply(multiply(high, fine[upper & 0xff] as number), tail);
}

/**
 * `floor(part * 2^48 / whole)` for integers `0 <= part < whole < 2^40`, exactly: long division in four
 * digits of 12 bits, where no dividend reaches 2^53 and no quotient is close enough to the next integer
 * to round up to it.
 */
export function fraction48(part: number, whole: number): number {
  let rest = part;
  let steps = 0;
  for (let digit = 0; digit < 4; digit++) {
    const dividend = rest * 4096;
    const quotient = Math.floor(dividend / whole);
    rest = dividend - quotient * whole;
    steps = steps * 4096 + quotient;
  }
  return steps;
}

/** `(1 + a) * (1 + b) - 1` on 52-bit fractions, floored; the caller's arguments keep it below 1. */
function multiply(a: number, b: number): number {
  return a + b + multiplyShift52(a, b);
}

/** Exact square roots and products of 128 fractional bits: the last of the 52 bits is the nearest one. */
function buildTables(): { coarse: Float64Array; middle: Float64Array; fine: Float64Array } {
  // root[k] = 2^(1 / 2^k)
  const one = 1n << WORK_BITS;
  const roots: bigint[] = [2n * one];
  for (let k = 1; k <= 24; k++) roots.push(integerSqrt((roots[k - 1] as bigint) << WORK_BITS));
  const table = (lastBit: number): Float64Array => {
    const powers: bigint[] = [one];
    for (let i = 1; i < 256; i++) {
      const lowest = 31 - Math.clz32(i & -i);
      const root = roots[lastBit - lowest] as bigint;
      powers.push(((powers[i & (i - 1)] as bigint) * root) >> WORK_BITS);
    }
    const shift = WORK_BITS - 52n;
    return Float64Array.from(powers, (power) => Number((power + (1n << (shift - 1n))) >> shift) - BASE);
  };
  return { coarse: table(8), middle: table(16), fine: table(24) };
}

/** Newton's method from above. */
function integerSqrt(value: bigint): bigint {
  let guess = 1n << (BigInt(value.toString(2).length + 1) / 2n);
  for (;;) {
    const next = (guess + value / guess) / 2n;
    if (next >= guess) return guess;
    guess = next;
  }
}
