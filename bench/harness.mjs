// Runs a subject, its limit and its peers in turn, round after round, and compares them inside each round:
// machines are shared and noisy, so only such ratios travel.
import { performance } from "node:perf_hooks";

export const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 7);

/** A small seeded generator (mulberry32): inputs are the same in every run. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export function bytesOf(random, length) {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = random() * 256;
  return bytes;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function percentile(values, fraction) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
}

export const spread = (values) => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
});

/**
 * Operations a second of processor time of a synchronous body, over at least `ms` milliseconds: other jobs on the
 * machine take turns, not cycles. Threads of the collector and of the compiler count.
 */
export function rate(body, opsPerCall, ms = 150) {
  const start = performance.now();
  const before = process.cpuUsage();
  let calls = 0;
  do {
    body();
    calls += 1;
  } while (performance.now() - start < ms);
  const { user, system } = process.cpuUsage(before);
  return (calls * opsPerCall * 1e6) / (user + system);
}

/**
 * Interleaves the variants and reports every one against `subject`, one JSON line a pair.
 *
 * @param options.row - The row of the table of goals, such as "P1".
 * @param options.unit - What a variant returns; `lowerIsBetter` for times and sizes.
 * @param options.variants - Name to function; each returns one figure a round. The first is the subject.
 * @param options.goals - Name of a baseline to its goal as a ratio.
 */
export async function compare({ row, work, unit, lowerIsBetter = false, variants, goals, rounds = ROUNDS }) {
  const names = Object.keys(variants);
  const figures = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) await variants[name](); // Warm up: compiled code, created files.
  for (let round = 0; round < rounds; round++) {
    // Every round starts elsewhere, so that no variant always runs behind the same one.
    for (let step = 0; step < names.length; step++) {
      const name = names[(round + step) % names.length];
      figures[name].push(await variants[name]());
    }
  }
  const [subject, ...baselines] = names;
  const lines = [];
  for (const baseline of baselines) {
    const ratios = figures[subject].map((figure, round) => figure / figures[baseline][round]);
    const ratio = spread(ratios);
    const goal = goals?.[baseline];
    const met = goal === undefined ? null : lowerIsBetter ? ratio.median <= goal : ratio.median >= goal;
    lines.push({
      row,
      work,
      unit,
      subject,
      measured: spread(figures[subject]),
      baseline,
      against: spread(figures[baseline]),
      ratio,
      goal: goal ?? null,
      goalIs: goal === undefined ? null : lowerIsBetter ? "at most" : "at least",
      met,
    });
  }
  return lines;
}

/** One figure against a fixed bound, such as bytes an entry. */
export function bound({ row, work, unit, name, value, goal, atMost = true }) {
  return {
    row,
    work,
    unit,
    subject: name,
    measured: { median: value, min: value, max: value },
    baseline: null,
    against: null,
    ratio: null,
    goal,
    goalIs: atMost ? "at most" : "at least",
    met: atMost ? value <= goal : value >= goal,
  };
}

/** A peer, or `undefined` with one line on standard error where it is not installed. */
export async function peer(name) {
  try {
    return await import(name);
  } catch (error) {
    console.error(`${name} is not available here (${error.code ?? error.message}): its rows are left out`);
    return undefined;
  }
}

export function figure(value) {
  if (value === null || value === undefined) return "-";
  if (Math.abs(value) >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (Math.abs(value) >= 1e4) return `${(value / 1e3).toFixed(1)} k`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
