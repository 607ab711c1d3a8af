/** How long to wait before trying again. */
export interface BackoffOptions {
  /** Milliseconds before the second try. @defaultValue 250 */
  readonly firstMs?: number;
  /** The longest wait. @defaultValue 10,000 */
  readonly msMax?: number;
}

/**
 * The wait before a try: it doubles, up to a bound, and half of it is drawn, so that clients which were cut off together
 * do not come back together.
 *
 * @param attempt - 0 for the first one that waits.
 * @param random - From 0 to below 1.
 */
export function backoffMs(attempt: number, random: number, options: BackoffOptions = {}): number {
  const { firstMs = 250, msMax = 10_000 } = options;
  // Beyond that every wait is the longest, and the power would overflow.
  const whole = Math.min(msMax, firstMs * 2 ** Math.min(attempt, 30));
  return whole / 2 + (whole / 2) * random;
}
