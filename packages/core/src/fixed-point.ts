import { CoreError } from "./errors.ts";

/**
 * Fixed-point numbers with 40 fractional bits as a pair of safe integers: `hi * 2^52 + lo` units of 2^-40,
 * `0 <= lo < 2^52`, `-2^52 <= hi < 2^52`. The pair wraps modulo 2^105 units, so that addition stays
 * associative and commutative whatever the operands.
 */
export interface FixedPoint {
  hi: number;
  lo: number;
}

/** 2^52: the base of the pair. */
export const BASE = 0x10_0000_0000_0000;
/** The magnitude a weight must stay below: 2^40. */
export const WEIGHT_LIMIT: number = 2 ** 40;

const HALF_BASE = BASE / 2;
const LIMB = 0x400_0000; // 2^26
/** Units of a whole. */
export const UNITS: number = 2 ** 40;

/**
 * `floor(a * b / 2^52)` for integers `0 <= a, b < 2^52`, exactly and without BigInt: 26-bit limbs, and no
 * partial sum reaches 2^53.
 */
export function multiplyShift52(a: number, b: number): number {
  const a1 = Math.floor(a / LIMB);
  const a0 = a - a1 * LIMB;
  const b1 = Math.floor(b / LIMB);
  const b0 = b - b1 * LIMB;
  const middle = a0 * b1 + a1 * b0 + Math.floor((a0 * b0) / LIMB);
  return a1 * b1 + Math.floor(middle / LIMB);
}

/**
 * Sets `into` to the magnitude of `weight` in units of 2^-40, rounded to the nearest, half away from zero.
 * The sign is the caller's, so that it rounds once more in the same direction.
 *
 * @throws {@link CoreError} `INVALID_WEIGHT` unless `|weight| < 2^40`.
 */
export function weightMagnitude(weight: number, into: FixedPoint): void {
  const magnitude = Math.abs(weight);
  // Written so that NaN fails it too.
  if (!(magnitude < WEIGHT_LIMIT)) {
    throw new CoreError(
      "INVALID_WEIGHT",
      `Cannot accept the weight ${weight}: its magnitude must be below 2^40`,
    );
  }
  const scaled = magnitude * UNITS; // Exact: a power of two.
  const floor = Math.floor(scaled);
  // Not `floor(scaled + 0.5)`: that sum rounds up just below one half.
  const units = scaled - floor >= 0.5 ? floor + 1 : floor;
  const hi = Math.floor(units / BASE);
  into.hi = hi;
  into.lo = units - hi * BASE;
}

/**
 * Sets `into` to `magnitude * (2^52 + fraction) / 2^53`, rounded to the nearest, half up: the magnitude times
 * a factor in [1/2, 1). `magnitude` is below 2^80 units.
 */
export function scaleMagnitude(magnitude: FixedPoint, fraction: number, into: FixedPoint): void {
  const { hi, lo } = magnitude;
  // The half that decides the rounding is the 1; what multiplyShift52 cuts off lies below it.
  let sumHi = hi;
  let sumLo = lo + 1 + multiplyShift52(lo, fraction);
  if (sumLo >= BASE) {
    sumLo -= BASE;
    sumHi += 1;
  }
  if (hi !== 0) {
    // hi < 2^28, so that hi * fraction needs limbs of its own: 2 + 26 bits by 26 + 26.
    const hi1 = Math.floor(hi / LIMB);
    const hi0 = hi - hi1 * LIMB;
    const fraction1 = Math.floor(fraction / LIMB);
    const fraction0 = fraction - fraction1 * LIMB;
    const low = hi0 * fraction0;
    const lowCarry = Math.floor(low / LIMB);
    const middle = hi1 * fraction0 + hi0 * fraction1 + lowCarry;
    const middleCarry = Math.floor(middle / LIMB);
    sumLo += (middle - middleCarry * LIMB) * LIMB + (low - lowCarry * LIMB);
    sumHi += hi1 * fraction1 + middleCarry;
    if (sumLo >= BASE) {
      sumLo -= BASE;
      sumHi += 1;
    }
  }
  const half = Math.floor(sumHi / 2);
  into.hi = half;
  into.lo = Math.floor(sumLo / 2) + (sumHi - half * 2) * HALF_BASE;
}

/** Negates a magnitude in place. */
export function negate(value: FixedPoint): void {
  if (value.lo === 0) {
    value.hi = 0 - value.hi; // Not `-value.hi`: there is no -0 in a canonical pair.
  } else {
    value.hi = -value.hi - 1;
    value.lo = BASE - value.lo;
  }
}

/** Brings `hi` back into [-2^52, 2^52) after one addition: arithmetic modulo 2^105 units. */
export function wrapHi(hi: number): number {
  if (hi >= BASE) return hi - 2 * BASE;
  return hi < -BASE ? hi + 2 * BASE : hi;
}

/** The pair as a double: one rounding, to the nearest. */
export function toDouble(hi: number, lo: number): number {
  // A negative pair is turned first: -1 * 2^52 + lo would round twice.
  if (hi >= 0) return (hi * BASE + lo) / UNITS;
  return -((lo === 0 ? -hi * BASE : (-hi - 1) * BASE + (BASE - lo)) / UNITS);
}
