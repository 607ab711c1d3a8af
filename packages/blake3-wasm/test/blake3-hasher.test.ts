import { readFileSync } from "node:fs";
import { HASH_CONTEXTS, nobleHasher } from "@tidemark/core";
import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { createBlake3Hasher, loadBlake3 } from "../src/index.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const wasm = createBlake3Hasher();
const portable = await withoutWebAssembly();
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

/** What a host without WebAssembly gets. */
async function withoutWebAssembly(): Promise<ReturnType<typeof createBlake3Hasher>> {
  vi.stubGlobal("WebAssembly", undefined);
  try {
    vi.resetModules();
    const fresh = await import("../src/index.ts");
    await fresh.loadBlake3();
    return fresh.createBlake3Hasher();
  } finally {
    vi.unstubAllGlobals();
  }
}

test("CORE-14 all engines give the official test vectors", () => {
  const text = readFileSync(new URL("golden/blake3-official-vectors.json", import.meta.url), "utf8");
  const vectors = JSON.parse(text) as Vectors;
  const key = new TextEncoder().encode(vectors.key);
  expect(vectors.cases.length).toBe(35);
  for (const engine of [wasm, portable, nobleHasher]) {
    for (const { input_len: length, keyed_hash: keyed, derive_key: derived } of vectors.cases) {
      const bytes = Uint8Array.from({ length }, (_, i) => i % 251);
      for (const out of [1, 16, 32, 33, 64, 65, 131]) {
        expect(hex(engine.keyedDigest(key, bytes, out))).toBe(keyed.slice(0, out * 2));
        expect(hex(engine.digest(vectors.context_string, bytes, out))).toBe(derived.slice(0, out * 2));
      }
    }
  }
});

describe.each([
  ["wasm", wasm],
  ["portable", portable],
] as const)("%s", (name, hasher) => {
  test("CORE-14 it is what it says", () => expect(hasher.engine).toBe(name));

  test("CORE-14 it agrees with the reference at every length from 0 to 1100, in both modes", () => {
    for (let length = 0; length <= 1100; length++) {
      const bytes = input(length);
      expect(hex(hasher.digest(CONTEXT, bytes))).toBe(hex(nobleHasher.digest(CONTEXT, bytes)));
      expect(hex(hasher.keyedDigest(KEY, bytes, 16))).toBe(hex(nobleHasher.keyedDigest(KEY, bytes, 16)));
    }
  });

  test("CORE-14 it agrees with the reference on large inputs, at views with any offset", () => {
    for (const length of [2047, 2048, 2049, 4096, 5121, 8192, 16_385, 65_536, 65_599, 300_001]) {
      const whole = input(length + 3);
      for (const start of [0, 1, 3]) {
        const bytes = whole.subarray(start, start + length);
        expect(hex(hasher.digest(CONTEXT, bytes))).toBe(hex(nobleHasher.digest(CONTEXT, bytes)));
        expect(hex(hasher.keyedDigest(KEY, bytes))).toBe(hex(nobleHasher.keyedDigest(KEY, bytes)));
      }
    }
  });

  test("CORE-14 it agrees with the reference on random contexts, keys, inputs and lengths", () => {
    const bytes = fc.uint8Array({ maxLength: 3000, size: "max" });
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(
        fc.string(),
        key,
        bytes,
        fc.integer({ min: 1, max: 100 }),
        (context, key, bytes, length) => {
          expect(hex(hasher.digest(context, bytes, length))).toBe(
            hex(nobleHasher.digest(context, bytes, length)),
          );
          expect(hex(hasher.keyedDigest(key, bytes, length))).toBe(
            hex(nobleHasher.keyedDigest(key, bytes, length)),
          );
        },
      ),
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

  test("CORE-14 digestMany() is digest() of each record, whatever their lengths", () => {
    const size = fc.oneof(
      fc.nat(200),
      fc.nat(1100),
      fc.constantFrom(0, 63, 64, 65, 1023, 1024, 1025, 70_000),
    );
    fc.assert(
      fc.property(
        fc.array(size, { maxLength: 30 }),
        fc.nat(9),
        fc.constantFrom(1, 7, 16, 32, 40),
        (sizes, skip, length) => {
          const offsets = [skip];
          for (const bytes of sizes) offsets.push((offsets.at(-1) as number) + bytes);
          const bytes = input((offsets.at(-1) as number) + 5);
          const many = hasher.digestMany(CONTEXT, bytes, offsets, sizes.length, length);
          expect(many.length).toBe(sizes.length * length);
          sizes.forEach((_, i) => {
            const one = hasher.digest(CONTEXT, bytes.subarray(offsets[i], offsets[i + 1]), length);
            expect(hex(many.subarray(i * length, (i + 1) * length))).toBe(hex(one));
          });
        },
      ),
      { numRuns: 100 },
    );
    const [bytes, offsets] = [input(100 * 3000), Uint32Array.from({ length: 3001 }, (_, i) => i * 100)];
    const many = hasher.digestMany(CONTEXT, bytes, offsets, 3000, 16);
    for (const i of [0, 654, 655, 2047, 2048, 2999]) {
      const one = nobleHasher.digest(CONTEXT, bytes.subarray(i * 100, i * 100 + 100), 16);
      expect(hex(many.subarray(i * 16, i * 16 + 16))).toBe(hex(one));
    }
  });

  test("CORE-14 digestMany() refuses offsets that are not ascending within the bytes", () => {
    const bytes = input(10);
    for (const offsets of [[0, 11], [5, 4], [-1, 3], [0], [0, Number.NaN]]) {
      expect(() => hasher.digestMany(CONTEXT, bytes, offsets, 1)).toThrow(RangeError);
    }
    expect(hasher.digestMany(CONTEXT, bytes, [0], 0)).toEqual(new Uint8Array(0));
  });
});
