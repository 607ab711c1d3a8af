// What the rows of the brokers have in common: frames, a window of publishes, and the lag of two regions.
import { performance } from "node:perf_hooks";
import { bound, bytesOf, median, percentile, ROUNDS, seeded, spread } from "./harness.mjs";
import { lagsOf } from "./lag.mjs";
import { withPairOver } from "./pair.mjs";

export const BROKER_ROUNDS = Math.min(ROUNDS, 5);

/** A stream is emptied behind each, so that no bound of it is met. */
const BURSTS = 2;

/** What one burst ships, in a window that all variants share. */
export const SIZES = [
  { name: "256 KiB", bytes: 256 * 1024, count: 128, window: 64 },
  { name: "16 KiB", bytes: 16 * 1024, count: 768, window: 128 },
];

/** Sixteen different ones, the same in every run. */
export function framesOf(bytes) {
  const random = seeded(12);
  return Array.from({ length: 16 }, () => Buffer.from(bytesOf(random, bytes)));
}

/** `count` calls, begun in their order, `window` of them in flight. */
export async function windowed(count, window, call) {
  let next = 0;
  const caller = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: Math.min(window, count) }, caller));
}

/** Units a second of `ship`, which handles `units` of them, over `BURSTS` bursts; what `check` does is not timed. */
export async function burstsPerSecond(units, ship, check) {
  let ms = 0;
  for (let burst = 0; burst < BURSTS; burst++) {
    const start = performance.now();
    await ship();
    ms += performance.now() - start;
    await check();
  }
  return (units * BURSTS * 1000) / ms;
}

/** Two regions over transports that `join` opens, at 1,000 operations a second: p50 without a goal, p99 with it. */
export async function lagLines({ row, work, goal, join }) {
  const rounds = await withPairOver(join, async ({ east, west }) => {
    const session = await east.sessions.start({ user: "u", agent: "bench" });
    const all = [];
    // The first warms up.
    for (let round = 0; round <= BROKER_ROUNDS; round++) all.push(await lagsOf(session, west, 1000, 1));
    return all.slice(1);
  });
  const at = (fraction) => rounds.map((lags) => percentile(lags, fraction));
  const line = (name, figures) => ({
    ...bound({ row, work: `${work}, ${name}`, unit: "ms", name: "tidemark", value: median(figures), goal }),
    measured: spread(figures),
  });
  return [{ ...line("p50", at(0.5)), goal: null, goalIs: null, met: null }, line("p99", at(0.99))];
}
