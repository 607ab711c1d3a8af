import { readFileSync } from "node:fs";
import { HASH_CONTEXTS, nobleHasher } from "@tidemark/core";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createBlake3Hasher, loadBlake3 } from "../src/index.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const hasher = createBlake3Hasher();
const CONTEXT = HASH_CONTEXTS.idempotencyKey;
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1);
/** Deterministic bytes that repeat with no power of two. */
const input = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) % 251);

interface Vectors {
  readonly key: string;
  readonly context_string: string;
  readonly cases: readonly { input_len: number; keyed_hash: string; derive_key: string }[];
}

test("CORE-14 both engines give the official test vectors", () => {
  const text = readFileSync(new URL("golden/blake3-official-vectors.json", import.meta.url), "utf8");
  const vectors = JSON.parse(text) as Vectors;
  const key = new TextEncoder().encode(vectors.key);
  expect(vectors.cases.length).toBe(35);
  for (const engine of [hasher, nobleHasher]) {
    for (const { input_len: length, keyed_hash: keyed, derive_key: derived } of vectors.cases) {
      const bytes = Uint8Array.from({ length }, (_, i) => i % 251);
      for (const out of [1, 16, 32, 33, 64, 65, 131]) {
        expect(hex(engine.keyedDigest(key, bytes, out))).toBe(keyed.slice(0, out * 2));
        expect(hex(engine.digest(vectors.context_string, bytes, out))).toBe(derived.slice(0, out * 2));
      }
    }
  }
});

test("CORE-14 both engines agree at every length from 0 to 1100, in both modes", () => {
  for (let length = 0; length <= 1100; length++) {
    const bytes = input(length);
    expect(hex(hasher.digest(CONTEXT, bytes))).toBe(hex(nobleHasher.digest(CONTEXT, bytes)));
    expect(hex(hasher.keyedDigest(KEY, bytes, 16))).toBe(hex(nobleHasher.keyedDigest(KEY, bytes, 16)));
  }
});

test("CORE-14 both engines agree on large inputs, at views with any offset", () => {
  for (const length of [2047, 2048, 2049, 4096, 5121, 8192, 16_385, 65_536, 65_599, 300_001]) {
    const whole = input(length + 3);
    for (const start of [0, 1, 3]) {
      const bytes = whole.subarray(start, start + length);
      expect(hex(hasher.digest(CONTEXT, bytes))).toBe(hex(nobleHasher.digest(CONTEXT, bytes)));
      expect(hex(hasher.keyedDigest(KEY, bytes))).toBe(hex(nobleHasher.keyedDigest(KEY, bytes)));
    }
  }
});

test("CORE-14 both engines agree on random contexts, keys, inputs and lengths", () => {
  const bytes = fc.uint8Array({ maxLength: 3000, size: "max" });
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(fc.string(), key, bytes, fc.integer({ min: 1, max: 100 }), (context, key, bytes, length) => {
      expect(hex(hasher.digest(context, bytes, length))).toBe(
        hex(nobleHasher.digest(context, bytes, length)),
      );
      expect(hex(hasher.keyedDigest(key, bytes, length))).toBe(
        hex(nobleHasher.keyedDigest(key, bytes, length)),
      );
    }),
    { numRuns: 200 },
  );
});

test("CORE-14 a result is a fresh array, and a key that is overwritten or not aligned is read anew", () => {
  const first = hasher.digest(CONTEXT, input(10));
  const before = hex(first);
  hasher.digest(CONTEXT, input(11));
  expect(hex(first)).toBe(before);

  const buffer = new Uint8Array(40);
  const key = buffer.subarray(3, 35);
  for (const fill of [1, 2, 3]) {
    key.fill(fill);
    expect(hex(hasher.keyedDigest(key, input(99)))).toBe(hex(nobleHasher.keyedDigest(key, input(99))));
  }
  for (const length of [0, 31, 33]) {
    expect(() => hasher.keyedDigest(new Uint8Array(length), input(1))).toThrow(RangeError);
  }
});

test("CORE-14 more contexts than are kept stay right", async () => {
  await loadBlake3();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 70; i++) {
      const context = `context ${i}`;
      expect(hex(hasher.digest(context, input(64)))).toBe(hex(nobleHasher.digest(context, input(64))));
    }
  }
});
