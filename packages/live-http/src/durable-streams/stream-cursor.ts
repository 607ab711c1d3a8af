const EPOCH_MS = Date.UTC(2024, 9, 9);
const INTERVAL_MS = 20_000;
const JITTER_SECONDS_MAX = 3_600;
const CURSOR = /^\d{1,15}$/;

/**
 * The cursor of a live response: the number of the interval of 20 seconds since 9 October 2024. Readers echo it, so
 * that caches collapse those who wait in one interval, and answer nobody for ever.
 *
 * A reader that comes with the cursor of this interval or a later one gets one that is greater by 1 to 3,600 seconds,
 * so that cursors never go back.
 *
 * @param random - From 0 inclusive to 1 exclusive.
 */
export function nextCursor(given: string | undefined, nowMs: number, random: number): string {
  const current = Math.max(0, Math.floor((nowMs - EPOCH_MS) / INTERVAL_MS));
  if (given === undefined || !CURSOR.test(given) || Number(given) < current) return `${current}`;
  const jitterSeconds = 1 + Math.floor(random * JITTER_SECONDS_MAX);
  return `${Number(given) + Math.max(1, Math.ceil((jitterSeconds * 1_000) / INTERVAL_MS))}`;
}
