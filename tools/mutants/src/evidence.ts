/** What a failing test says about the seeds it tried. */
export interface Evidence {
  /** The seed that reproduces the failure. */
  readonly seed?: string;
  /** How many seeds, or cases of a property, it took. */
  readonly tried?: number;
}

/**
 * Reads the seed and the number of tries out of the message of a failed test.
 *
 * Three kinds of tests say them: a property of fast-check (`Property failed after 7 tests`, `{ seed: -3, path: … }`), a
 * loop over seeds (`seed 4 of 60`, counted from 0), and a simulated run (`seed 12`, with `after 3 seeds`).
 */
export function evidenceIn(message: string): Evidence {
  const property = /Property failed after (\d+) tests?[\s\S]*?seed: (-?\d+)/.exec(message);
  if (property !== null) return { seed: property[2]!, tried: Number(property[1]) };
  const loop = /\bseed (\d+) of \d+/.exec(message);
  if (loop !== null) return { seed: loop[1]!, tried: Number(loop[1]) + 1 };
  const seed = /\bseed[:= ]+(-?\w+)/.exec(message)?.[1];
  const after = /\bafter (\d+) seeds?\b/.exec(message)?.[1];
  return { ...(seed !== undefined && { seed }), ...(after !== undefined && { tried: Number(after) }) };
}

/** The middle of some numbers, the lower of two; `undefined` of none. */
export function median(numbers: readonly number[]): number | undefined {
  const sorted = numbers.toSorted((left, right) => left - right);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}
