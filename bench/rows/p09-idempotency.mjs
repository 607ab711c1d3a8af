// P9: the idempotency store against lru-cache with hexadecimal keys, 100,000 live entries.
import assert from "node:assert/strict";
import { compare, bound, peer, rate, seeded, bytesOf } from "../harness.mjs";
import { IdempotencyStore } from "../../packages/session/dist/index.js";

export const ROWS = ["P9"];

const ENTRIES = 100_000;
const KEYS = 400_000;

export async function run() {
  const lru = await peer("lru-cache");
  const random = seeded(9);
  // As they come: one behind the other in a buffer. Each key is named by where it begins.
  const wire = bytesOf(random, KEYS * 16);
  const buffer = Buffer.from(wire.buffer);
  const lines = [];

  const store = new IdempotencyStore({ entriesMax: ENTRIES });
  const cache = lru && new lru.LRUCache({ max: ENTRIES });
  const hex = (at) => buffer.hexSlice(at, at + 16);
  let next = 0;
  let hits = 0;
  const put = (insert) => () => {
    for (let step = 0; step < 10_000; step++) insert((next++ % KEYS) * 16);
  };
  // In an order of their own, all over the entries: a few hot ones would only measure the caches of the processor.
  const order = Uint32Array.from({ length: ENTRIES }, () => Math.floor(random() * ENTRIES));
  let looked = 0;
  const look = (find, from) => () => {
    for (let step = 0; step < 10_000; step++) if (find((from + order[looked++ % ENTRIES]) * 16)) hits += 1;
  };
  const fill = (insert) => {
    for (let index = 0; index < ENTRIES; index++) insert(index * 16);
  };
  const inStore = (at) => store.get(wire, at) !== undefined;
  const inCache = (at) => cache.get(hex(at)) !== undefined;
  const toStore = (at) => {
    if (store.get(wire, at) === undefined) store.set(wire, 1, at);
  };
  const toCache = (at) => {
    const text = hex(at);
    if (cache.get(text) === undefined) cache.set(text, 1);
  };

  const rows = [
    ["check and insert", () => rate(put(toStore), 10_000), () => rate(put(toCache), 10_000), 5],
    [
      "hit",
      () => (fill(toStore), rate(look(inStore, 0), 10_000)),
      () => (fill(toCache), rate(look(inCache, 0), 10_000)),
      5,
    ],
    [
      "miss",
      () => (fill(toStore), rate(look(inStore, 200_000), 10_000)),
      () => (fill(toCache), rate(look(inCache, 200_000), 10_000)),
      5,
    ],
  ];
  for (const [what, ours, theirs, goal] of rows) {
    lines.push(
      ...(await compare({
        row: "P9",
        work: `idempotency store, ${what}, 100,000 entries`,
        unit: "keys/s",
        variants: { tidemark: ours, ...(lru && { "lru-cache 11, hex keys": theirs }) },
        goals: { "lru-cache 11, hex keys": goal },
      })),
    );
  }
  lines.push(
    bound({
      row: "P9",
      work: "idempotency store, memory",
      unit: "B/entry",
      name: "tidemark",
      value: store.byteLength / ENTRIES,
      goal: 45,
    }),
  );
  if (hits === 0) throw new Error("nothing was found");
  fill(toStore);
  for (let index = 0; index < KEYS; index++) assert.equal(inStore(index * 16), index < ENTRIES);
  return lines;
}
