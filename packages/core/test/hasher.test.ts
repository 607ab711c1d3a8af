import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { HASH_CONTEXTS, nobleHasher } from "../src/index.ts";

interface Vectors {
  key: string;
  context: string;
  cases: { bytes: number; keyed: string; derived: string }[];
}

/** From the official test_vectors.json of BLAKE3: the input is the bytes 0 to 250, over and over. */
const vectors = JSON.parse(
  readFileSync(new URL("golden/blake3-vectors.json", import.meta.url), "utf8"),
) as Vectors;
const ascii = new TextEncoder();
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

for (const { bytes, keyed, derived } of vectors.cases) {
  test(`CORE-14 nobleHasher holds the official vectors of ${bytes} bytes`, () => {
    const input = Uint8Array.from({ length: bytes }, (_, index) => index % 251);
    expect(hex(nobleHasher.keyedDigest(ascii.encode(vectors.key), input))).toBe(keyed);
    expect(hex(nobleHasher.digest(vectors.context, input))).toBe(derived);
  });
}

test("CORE-14 a shorter digest is a prefix of a longer one", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 64 }), (bytes, length) => {
      const long = nobleHasher.digest(HASH_CONTEXTS.state, bytes, 64);
      expect(nobleHasher.digest(HASH_CONTEXTS.state, bytes, length)).toEqual(long.slice(0, length));
    }),
    { numRuns: 30 },
  );
});

test("CORE-14 every context is its own: all differ, and none is a digest of another", () => {
  const contexts = Object.values(HASH_CONTEXTS);
  expect(new Set(contexts).size).toBe(contexts.length);
  const digests = contexts.map((context) => hex(nobleHasher.digest(context, Uint8Array.of(1, 2, 3))));
  expect(new Set(digests).size).toBe(contexts.length);
  for (const context of contexts) expect(context).toMatch(/^tidemark 2026 [a-z-]+ v\d+$/);
});

test("CORE-14 keyedDigest() refuses a key that is not 32 bytes", () => {
  expect(() => nobleHasher.keyedDigest(new Uint8Array(31), new Uint8Array(1))).toThrow(RangeError);
});
