import { readFileSync } from "node:fs";
import { compareBytes } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeKey, encodeKey, KEY_BYTES_MAX, type KeyPart, KvError, prefixRange } from "../src/index.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

type GoldenPart = string | { integer: string } | { bytes: string };
const golden = JSON.parse(readFileSync(new URL("golden/tuple-key-v1.json", import.meta.url), "utf8")) as {
  parts: GoldenPart[];
  key: string;
}[];

function partOf(part: GoldenPart): KeyPart {
  if (typeof part === "string") return part;
  return "bytes" in part ? new Uint8Array(Buffer.from(part.bytes, "hex")) : BigInt(part.integer);
}

/** Bytes and characters that stand next to those of the format, often. */
const byte = fc.oneof(
  fc.constantFrom(0, 1, 2, 0x10, 0x20, 0x30, 0xfe, 0xff),
  fc.integer({ min: 0, max: 255 }),
);
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom("\0", "\x01", "\x02", "a", "~", "é", "～", "😀"),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
  ),
  maxLength: 6,
});
const part: fc.Arbitrary<KeyPart> = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  text,
  fc.array(byte, { maxLength: 6 }).map((bytes) => Uint8Array.from(bytes)),
);
const tuple = fc.array(part, { minLength: 1, maxLength: 4 });

/** The order in words: integers before text before bytes, then by value; a tuple before those it begins. */
function naiveCompare(a: readonly KeyPart[], b: readonly KeyPart[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = naiveComparePart(a[index]!, b[index]!);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function naiveComparePart(a: KeyPart, b: KeyPart): number {
  const rank = (one: KeyPart) => (typeof one === "string" ? 1 : one instanceof Uint8Array ? 2 : 0);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (typeof a === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b as string));
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array);
  return BigInt(a) < BigInt(b as bigint) ? -1 : Number(BigInt(a) > BigInt(b as bigint));
}

/** As `decodeKey` gives it: a bigint only above 2^53-1. */
const plain = (one: KeyPart): KeyPart =>
  typeof one === "bigint" && one <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(one) : one;

test.each(golden)("encodeKey() writes the golden key $key", ({ parts, key }) => {
  expect(hex(encodeKey(parts.map(partOf)))).toBe(key);
  expect(decodeKey(new Uint8Array(Buffer.from(key, "hex")))).toEqual(parts.map((one) => plain(partOf(one))));
  const page = readFileSync(new URL("../../../docs/formats.md", import.meta.url), "utf8");
  expect(page).toContain(`\`${key}\``);
});

test("encodeKey() and decodeKey() are inverse", () => {
  fc.assert(
    fc.property(tuple, (parts) => {
      expect(decodeKey(encodeKey(parts))).toEqual(parts.map(plain));
    }),
  );
});

test("keys order as their tuples do", () => {
  fc.assert(
    fc.property(fc.array(tuple, { maxLength: 12 }), (tuples) => {
      const byTuple = tuples.toSorted(naiveCompare).map((parts) => hex(encodeKey(parts)));
      const byKey = tuples.map(encodeKey).toSorted(compareBytes).map(hex);
      expect(byKey).toEqual(byTuple);
    }),
  );
});

test("a key is a prefix of another if and only if its tuple begins the other", () => {
  fc.assert(
    fc.property(tuple, tuple, fc.boolean(), (a, b, joined) => {
      const longer = joined ? [...a, ...b] : b;
      const begins =
        a.length <= longer.length && a.every((one, index) => naiveComparePart(one, longer[index]!) === 0);
      const { prefix } = prefixRange(a);
      expect(compareBytes(encodeKey(longer).subarray(0, prefix.length), prefix) === 0).toBe(begins);
    }),
  );
  expect(prefixRange([])).toEqual({ prefix: new Uint8Array(0) });
});

test("any bytes are the one key of a tuple, or KV_CORRUPT", () => {
  const mutant = fc.tuple(tuple, fc.nat(), byte).map(([parts, at, value]) => {
    const key = encodeKey(parts);
    key[at % key.length] = value;
    return key;
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(byte, { maxLength: 20 }).map((bytes) => Uint8Array.from(bytes)),
        mutant,
      ),
      (key) => {
        let parts: KeyPart[];
        try {
          parts = decodeKey(key);
        } catch (error) {
          expect(error).toBeInstanceOf(KvError);
          expect(error).toMatchObject({ code: "KV_CORRUPT" });
          return;
        }
        expect(hex(encodeKey(parts))).toBe(hex(key));
      },
    ),
    { numRuns: 500 },
  );
});

test("encodeKey() refuses what has no place in a key", () => {
  for (const parts of [[], [-1], [1.5], [Number.NaN], [2 ** 53], [-1n], [1n << 64n]]) {
    expect(() => encodeKey(parts)).toThrow(RangeError);
  }
  expect(() => encodeKey(["\ud800"])).toThrow(TypeError);
  expect(() => encodeKey([true as never])).toThrow(TypeError);
});

test("encodeKey() takes a key of the longest length and refuses one beyond", () => {
  expect(encodeKey(["x".repeat(KEY_BYTES_MAX - 2)])).toHaveLength(KEY_BYTES_MAX);
  expect(() => encodeKey(["x".repeat(KEY_BYTES_MAX - 1)])).toThrow(
    expect.objectContaining({ code: "KV_TOO_LARGE", limit: KEY_BYTES_MAX, actual: KEY_BYTES_MAX + 1 }),
  );
});

test("a number and a bigint of one value are one part, at every count of bytes", () => {
  for (let bits = 0; bits <= 53; bits++) {
    for (const value of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
      if (value > Number.MAX_SAFE_INTEGER) continue;
      expect(encodeKey([value])).toEqual(encodeKey([BigInt(value)]));
      expect(decodeKey(encodeKey([value]))).toEqual([value]);
    }
  }
});

test("text is encoded alike, whichever of its characters are one byte", () => {
  for (const text of ["", "a", "\0", "\u0001", "\u007f", "\u0080", "aé", "a\0b", "é\u0001"]) {
    expect(decodeKey(encodeKey([text]))).toEqual([text]);
  }
  expect(encodeKey(["a\0\u0001"])).toEqual(Uint8Array.of(0x20, 0x61, 1, 1, 1, 2, 0));
});
