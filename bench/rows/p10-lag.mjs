// P10: from acknowledged in one region to readable in another, in one process, against a bare async queue
// and one fsync.
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { bound, compare, median, percentile, ROUNDS, spread } from "../harness.mjs";
import { lagsOf, paced, until } from "../lag.mjs";
import { withPair } from "../pair.mjs";

export const ROWS = ["P10"];

const SECONDS = 1.5;

export async function run() {
  return withPair(async ({ east, west, dir }) => {
    const session = await east.sessions.start({ user: "u", agent: "bench" });
    const most = await maximum(session);
    const lines = [];
    for (const [work, perSecond] of [
      ["1,000 ops/s", 1000],
      ["80 % of the maximum", most * 0.8],
    ]) {
      const p99 = [];
      const bareP99 = [];
      const result = await compare({
        row: "P10",
        work: `visible lag in process, ${work} (${Math.round(perSecond)}/s), p50`,
        unit: "ms",
        lowerIsBetter: true,
        rounds: Math.min(ROUNDS, 5),
        variants: {
          tidemark: async () => {
            const lags = await lagsOf(session, west, perSecond, SECONDS);
            p99.push(percentile(lags, 0.99));
            return percentile(lags, 0.5);
          },
          "async queue + one fsync": async () => {
            const lags = await queueAndSync(join(dir, "raw"), perSecond);
            bareP99.push(percentile(lags, 0.99));
            return percentile(lags, 0.5);
          },
        },
      });
      lines.push(...result);
      // Each variant ran once more to warm up: that run is not part of the figures.
      p99.shift();
      bareP99.shift();
      const bare = median(bareP99).toFixed(1);
      lines.push({
        ...bound({
          row: "P10",
          work: `visible lag in process, ${work}, p99 (the bare queue: ${bare} ms)`,
          unit: "ms",
          name: "tidemark",
          value: median(p99),
          goal: 10,
        }),
        measured: spread(p99),
      });
    }
    return lines;
  });
}

/** Operations a second with 256 callers in flight. */
async function maximum(session) {
  const start = performance.now();
  let done = 0;
  await Promise.all(
    Array.from({ length: 256 }, async (_, caller) => {
      while (performance.now() - start < 1000) {
        await session.signal(`entity-${caller}`, "view", 1);
        done += 1;
      }
    }),
  );
  return (done * 1000) / (performance.now() - start);
}

async function queueAndSync(path, perSecond) {
  const file = openSync(path, "a");
  const block = Buffer.alloc(100, 7);
  const lags = [];
  let waiting = [];
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    const group = waiting;
    waiting = [];
    writeSync(file, Buffer.concat(group.map(() => block)));
    fdatasyncSync(file);
    const now = performance.now();
    for (const at of group) lags.push(now - at);
  };
  const total = await paced(perSecond, SECONDS, () => {
    waiting.push(performance.now());
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  });
  await until(() => lags.length >= total);
  closeSync(file);
  return lags;
}
