import fc from "fast-check";
import { expect, test } from "vitest";
import { IdempotencyStore } from "../src/index.ts";

function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(16);
  new DataView(key.buffer).setUint32(12, number, true);
  // Few first words, so that runs of slots are long and wrap around.
  key[0] = number % 3 === 0 ? 0xff : number % 2;
  return key;
}

/** A `Map` whose order is the order of use. */
class NaiveLru {
  readonly #map: Map<number, number> = new Map();
  readonly #max: number;
  constructor(max: number) {
    this.#max = max;
  }
  get(key: number): number | undefined {
    const value = this.#map.get(key);
    if (value === undefined) return undefined;
    this.#map.delete(key);
    this.#map.set(key, value);
    return value;
  }
  set(key: number, value: number): void {
    if (this.get(key) === undefined && this.#map.size === this.#max)
      this.#map.delete([...this.#map.keys()][0]!);
    this.#map.set(key, value);
  }
}

test("SES-4 the store is a bounded LRU: it agrees with a Map in the order of use", () => {
  const step = fc.record({ key: fc.nat(14), set: fc.boolean(), value: fc.nat(0xffff_ffff) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.array(step, { maxLength: 120 }), (entriesMax, steps) => {
      const store = new IdempotencyStore({ entriesMax });
      const naive = new NaiveLru(entriesMax);
      for (const { key, set, value } of steps) {
        if (set) {
          store.set(keyOf(key), value);
          naive.set(key, value);
        } else {
          expect(store.get(keyOf(key))).toBe(naive.get(key));
        }
        expect(store.size).toBeLessThanOrEqual(entriesMax);
      }
      for (let key = 0; key < 15; key++) expect(store.get(keyOf(key))).toBe(naive.get(key));
    }),
    { numRuns: 500 },
  );
});

test("SES-4 100,000 entries by default take at most 45 bytes each, and an empty store hardly any", () => {
  const store = new IdempotencyStore();
  expect(store.entriesMax).toBe(100_000);
  expect(store.byteLength).toBeLessThan(64 * 1024);
  const keys = spreadKeys(100_000);
  for (const [value, key] of keys.entries()) store.set(key, value);
  expect(store.byteLength / store.entriesMax).toBeLessThanOrEqual(45);
  // It has grown on the way: every key is still found, and the oldest makes room.
  expect(keys.every((key, value) => store.get(key) === value)).toBe(true);
  store.set(new Uint8Array(16).fill(0xab), 7);
  expect(store.get(keys[0]!)).toBeUndefined();
  expect(store.size).toBe(100_000);
});

test("SES-4 every size takes at most 45 bytes an entry", () => {
  for (const entriesMax of [1000, 32_768, 32_769, 100_000]) {
    const store = new IdempotencyStore({ entriesMax });
    for (const key of spreadKeys(entriesMax)) store.set(key, 1);
    expect(store.byteLength / entriesMax).toBeLessThanOrEqual(45);
  }
});

/** That many keys that are spread as hashes are. */
function spreadKeys(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const key = new Uint8Array(16);
    const view = new DataView(key.buffer);
    view.setUint32(0, Math.imul(index + 1, 0x9e37_79b1), true);
    view.setUint32(4, Math.imul(index + 1, 0x85eb_ca6b), true);
    view.setUint32(8, index, true);
    return key;
  });
}

test("a cleared store is empty, and a size below one is a RangeError", () => {
  const store = new IdempotencyStore({ entriesMax: 2 });
  store.set(keyOf(1), 5);
  store.clear();
  expect(store.get(keyOf(1))).toBeUndefined();
  expect(store.size).toBe(0);
  expect(() => new IdempotencyStore({ entriesMax: 0 })).toThrow(RangeError);
});
