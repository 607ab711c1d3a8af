// P17: growth. The work of P8, P10 and P15 at once, ten and a hundred times the size: what one unit costs must stay what it
// was. Each curve is plotted on standard error, cost of a unit against the smallest size.
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { LwwMap } from "../../packages/core/dist/index.js";
import { median, peer, percentile, seeded, spread } from "../harness.mjs";
import { withPair } from "../pair.mjs";

export const ROWS = ["P17"];

const REPEATS = 5;
const SCALES = [1, 10, 100];
/** A unit may cost so much more at a hundred times the work: caches get colder, the work does not get more. */
const GOAL = 2;

export async function run() {
  const curves = [
    [
      "P8: apply LWW operations on 10,000 keys, processor time an operation",
      "us/op",
      (scale) => applied(scale, 10_000),
    ],
    ["P8: the same on keys that grow with the work", "us/op", (scale) => applied(scale, 1_000 * scale)],
    ["P10: visible lag at 1,000 ops/s behind a history, p50", "ms", lag],
    ["P15: reconcile after a partition, time an operation", "us/op", reconciled],
  ];
  const chart = await peer("asciichart");
  const lines = [];
  for (const [work, unit, measure] of curves) {
    const rounds = SCALES.map(() => []);
    await measure(SCALES[0]);
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      for (const [at, scale] of SCALES.entries()) rounds[at].push(await measure(scale));
    }
    const [first] = rounds;
    for (const [at, scale] of SCALES.entries()) {
      if (at === 0) continue;
      const ratios = rounds[at].map((figure, round) => figure / first[round]);
      lines.push({
        row: "P17",
        work: `${work}, ${scale} times the work`,
        unit,
        subject: "tidemark",
        measured: spread(rounds[at]),
        baseline: "the same at once",
        against: spread(first),
        ratio: spread(ratios),
        goal: GOAL,
        goalIs: "at most",
        met: median(ratios) <= GOAL,
      });
    }
    if (chart) plot(chart, work, unit, rounds.map(median));
  }
  return lines;
}

function plot(chart, work, unit, figures) {
  const wide = figures.flatMap((figure, at) => Array.from({ length: at === 0 ? 1 : 20 }, () => figure));
  const options = { height: 6, min: 0 };
  console.error(`\n${work} (${unit}) at ${SCALES.join("x, ")}x\n${chart.plot(wide, options)}`);
}

/** Microseconds of processor time an operation: 10,000 operations, times the scale. */
async function applied(scale, keys) {
  const random = seeded(17);
  const source = new LwwMap();
  const updates = [];
  for (let at = 0; at < 10 * scale; at++) {
    const ops = Array.from({ length: 1_000 }, (_, index) => ({
      key: `key-${String(Math.floor(random() * keys)).padStart(9, "0")}`,
      value: new TextEncoder().encode(String(Math.floor(random() * 1e6))),
      stamp: { wallMs: 1_790_000_000_000 + at * 1_000 + index, counter: 0, clockId: 1 },
    }));
    updates.push(source.encodeUpdate(ops));
  }
  const map = new LwwMap();
  const before = process.cpuUsage();
  for (const update of updates) map.apply(update);
  const { user, system } = process.cpuUsage(before);
  assert(map.size > 0);
  return (user + system) / (10_000 * scale);
}

/** The median lag in milliseconds of 500 operations at 1,000 a second, in a region that holds 1,000 more, times the scale. */
async function lag(scale) {
  return withPair(async ({ east, west }) => {
    const sessions = await fill(east, 1_000 * scale);
    await west.synced();
    const seen = new Map();
    const lags = [];
    west.onChange(({ position }) =>
      seen.set(`${position.lane} ${position.seqno} ${position.session}`, performance.now()),
    );
    const start = performance.now();
    const writes = [];
    for (let sent = 0; sent < 500;) {
      for (; sent < Math.min(500, performance.now() - start); sent++) {
        const session = sessions[sent % sessions.length];
        writes.push(
          session.signal("entity", "view", 1).then(({ position }) => [position, performance.now()]),
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const written = await Promise.all(writes);
    await west.synced();
    for (const [{ lane, seqno, session }, at] of written)
      lags.push(Math.max(0.01, seen.get(`${lane} ${seqno} ${session}`) - at));
    return percentile(lags, 0.5);
  });
}

/** Microseconds an operation until 1,000 operations written while cut, times the scale, are in the other region. */
async function reconciled(scale) {
  return withPair(async ({ east, west, network }) => {
    const ops = 1_000 * scale;
    network.cut("us-east", "eu-west");
    const sessions = await fill(east, ops);
    let left = ops + sessions.length;
    const arrived = new Promise((resolve) => west.onChange(() => --left === 0 && resolve()));
    const start = performance.now();
    network.heal();
    await arrived;
    const elapsed = performance.now() - start;
    assert.equal(west.certificate().digest, east.certificate().digest);
    return (elapsed * 1_000) / ops;
  });
}

async function fill(region, ops) {
  const sessions = await Promise.all(
    Array.from({ length: Math.min(100, ops / 10) }, (_, at) =>
      region.sessions.start({ user: `user-${at}`, agent: "bench" }),
    ),
  );
  let next = 0;
  await Promise.all(
    Array.from({ length: 256 }, async () => {
      while (next < ops) {
        const at = next++;
        await sessions[at % sessions.length].signal(`entity-${at % 500}`, "view", 1);
      }
    }),
  );
  return sessions;
}
