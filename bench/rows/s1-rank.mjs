// S1: ranking 200 candidates of 10,000 by a decayed score, against floats decayed in place and sorted.
import assert from "node:assert/strict";
import { compare, rate, seeded } from "../harness.mjs";
import { nobleHasher } from "../../packages/core/dist/index.js";
import { defineSignals, SignalLedger } from "../../packages/signals/dist/index.js";

export const ROWS = ["S1"];

const ENTITIES = 10_000;
const CONTRIBUTIONS = 200_000;
const CANDIDATES = 200;
const DAY = 86_400_000;
const HALF_LIFE_MS = 7 * DAY;
const NOW = 1_790_000_000_000;

export async function run() {
  const schema = defineSignals([{ name: "save", halfLifeMs: HALF_LIFE_MS, windows: ["24h"] }]);
  const ledger = new SignalLedger({ hasher: nobleHasher, schema });
  const floats = new Map();
  const random = seeded(18);
  const names = Array.from({ length: ENTITIES }, (_, at) => `item-${at}`);
  for (let at = 0; at < CONTRIBUTIONS; at++) {
    const entity = names[Math.floor(random() * ENTITIES)];
    const weight = 1 + Math.floor(random() * 4);
    const eventTimeMs = NOW - Math.floor(random() * 30 * DAY);
    ledger.add(entity, "save", weight, eventTimeMs);
    // Sum and landmark: what a counter that decays in place holds.
    floats.set(entity, (floats.get(entity) ?? 0) + weight * 2 ** ((eventTimeMs - NOW) / HALF_LIFE_MS));
  }
  const pages = Array.from({ length: 64 }, () =>
    Array.from({ length: CANDIDATES }, () => names[Math.floor(random() * ENTITIES)]),
  );
  let [page, nowMs, kept] = [0, NOW, 0];
  const ours = () => (kept += ledger.rank(pages[page++ % pages.length], "save", nowMs++).length);
  const plain = (candidates, now) => {
    const decay = 2 ** ((NOW - now) / HALF_LIFE_MS);
    const scored = candidates.map((entity) => ({ entity, score: (floats.get(entity) ?? 0) * decay }));
    return scored.sort((a, b) => b.score - a.score);
  };
  const loop = () => (kept += plain(pages[page++ % pages.length], nowMs++).length);
  for (const each of pages) {
    const scores = (ranked) => ranked.map(({ score }) => score.toFixed(6));
    assert.deepEqual(scores(ledger.rank(each, "save", NOW)), scores(plain(each, NOW)));
  }
  const lines = await compare({
    row: "S1",
    work: `rank ${CANDIDATES} of ${ENTITIES} entities, 5 half-lives each`,
    unit: "candidates/s",
    variants: {
      tidemark: () => rate(ours, CANDIDATES),
      "floats decayed in place": () => rate(loop, CANDIDATES),
    },
  });
  assert.ok(kept > 0);
  return lines;
}
