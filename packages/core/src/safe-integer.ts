/**
 * Returns `value` if it is an integer from `min` to 2^53-1.
 *
 * @throws `RangeError` otherwise: a number that cannot be counted on is a bug of the caller.
 */
export function guardSafe(value: number, what: string, min: number = 0): number {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RangeError(`${what} must be an integer from ${min} to 2^53-1: ${value}`);
  }
  return value;
}

/** Returns `value` if it is an integer from 0 to `max`. @throws `RangeError` otherwise. */
export function guardUpTo(value: number, what: string, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${what} must be an integer from 0 to ${max}: ${value}`);
  }
  return value;
}
