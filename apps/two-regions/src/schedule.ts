import type { Survey } from "./survey.ts";

/** Groups at work at the same time. */
export const GROUPS_AT_WORK = 64;

/**
 * About how much of the recording has been played when a line's turn comes: by line, 0 to 1.
 *
 * Groups begin in order, {@link GROUPS_AT_WORK} at a time, and each plays an operation a step. What really
 * happens depends on disks and clocks; this depends on the recording alone.
 */
export function progressOf(survey: Survey): Float64Array {
  const { heads, next, operations } = survey;
  const steps = new Int32Array(next.length);
  // When each of the workers is free again; the earliest one takes the next group.
  const free = new Int32Array(Math.min(GROUPS_AT_WORK, heads.length));
  let last = 0;
  for (const head of heads) {
    const worker = free.indexOf(Math.min(...free));
    let step = free[worker]!;
    for (let line = head; line !== 0; line = next[line]!) steps[line] = step++;
    free[worker] = step;
    last = Math.max(last, step);
  }
  const playedBefore = new Int32Array(last + 1);
  for (const head of heads)
    for (let line = head; line !== 0; line = next[line]!) playedBefore[steps[line]! + 1]!++;
  for (let step = 1; step <= last; step++) playedBefore[step]! += playedBefore[step - 1]!;
  return Float64Array.from(steps, (step) => playedBefore[step]! / operations);
}
