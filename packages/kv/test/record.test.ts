import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRecord, encodeRecord, KvError, RECORD_KIND_BYTES_MAX } from "../src/index.ts";

const place = { partition: "session/1", key: Uint8Array.of(1, 2) };
const head = { kind: "head", versions: [1, 2] };
const bytes = fc.uint8Array({ maxLength: 40 });
const record = (version = 1, body = Uint8Array.of(7, 8, 9)) =>
  encodeRecord({ kind: "head", version }, body, place, nobleHasher);

function errorOf(call: () => unknown): KvError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(KvError);
    return error as KvError;
  }
  return expect.unreachable("nothing was thrown");
}

test("RUN-10 encodeRecord() and decodeRecord() are inverse, wherever the bytes lie", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
      fc.integer({ min: 0, max: 0xffff }),
      bytes,
      fc.nat(5),
      (kind, version, body, offset) => {
        const encoded = encodeRecord({ kind, version }, body, place, nobleHasher);
        const moved = new Uint8Array(offset + encoded.length + 3);
        moved.set(encoded, offset);
        const view = moved.subarray(offset, offset + encoded.length);
        expect(decodeRecord(view, { kind, versions: [version] }, place, nobleHasher)).toEqual({
          version,
          body,
        });
      },
    ),
    { numRuns: 50 },
  );
});

test("RUN-10 every flipped bit is noticed as damage, also one of the version", () => {
  const whole = record();
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const damaged = whole.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    expect(errorOf(() => decodeRecord(damaged, head, place, nobleHasher)).code, `bit ${bit}`).toBe(
      "KV_CORRUPT",
    );
  }
});

test("RUN-10 a record that is cut or goes on is damaged", () => {
  const whole = record();
  for (let length = 0; length < whole.length; length++) {
    const cut = whole.subarray(0, length);
    expect(errorOf(() => decodeRecord(cut, head, place, nobleHasher)).code).toBe("KV_CORRUPT");
  }
  const longer = Uint8Array.of(...whole, 0);
  expect(errorOf(() => decodeRecord(longer, head, place, nobleHasher)).code).toBe("KV_CORRUPT");
});

test("RUN-10 a record that lies at another key or in another partition is refused", () => {
  for (const other of [
    { ...place, key: Uint8Array.of(1, 2, 0) },
    { ...place, key: Uint8Array.of(1) },
    { ...place, partition: "session/2" },
    // The same bytes in a row, cut elsewhere.
    { partition: "session/1\x01", key: Uint8Array.of(2) },
  ]) {
    expect(errorOf(() => decodeRecord(record(), head, other, nobleHasher)).code).toBe("KV_CORRUPT");
  }
});

test("RUN-10 C-7 C-10 a version that is older or newer is refused with kind, actual and expected", () => {
  expect(decodeRecord(record(2), head, place, nobleHasher).version).toBe(2);
  for (const actual of [0, 3, 0xffff]) {
    const error = errorOf(() => decodeRecord(record(actual), head, place, nobleHasher));
    expect(error).toMatchObject({
      code: "KV_RECORD_VERSION",
      kind: "head",
      actual,
      expected: 2,
      retryable: false,
    });
  }
});

test("RUN-10 a record of another kind is refused", () => {
  const error = errorOf(() => decodeRecord(record(), { kind: "node", versions: [1] }, place, nobleHasher));
  expect(error).toMatchObject({ code: "KV_CORRUPT", kind: "node" });
});

test("RUN-10 any bytes are a record or a KvError", () => {
  const nearly = fc
    .tuple(fc.constantFrom(1, 1, 2), bytes)
    .map(([format, rest]) => Uint8Array.of(format, 1, 0, 4, ...rest));
  fc.assert(
    fc.property(fc.oneof(bytes, nearly), (any) => {
      errorOf(() => decodeRecord(any, head, place, nobleHasher));
    }),
  );
});

test("RUN-10 encodeRecord() refuses what a header cannot hold", () => {
  const encode = (kind: string, version: number) => () =>
    encodeRecord({ kind, version }, new Uint8Array(0), place, nobleHasher);
  expect(encode("x".repeat(RECORD_KIND_BYTES_MAX), 0xffff)()).toHaveLength(4 + RECORD_KIND_BYTES_MAX + 8);
  for (const refused of [
    encode("", 1),
    encode("x".repeat(65), 1),
    encode("head", -1),
    encode("head", 65_536),
  ]) {
    expect(refused).toThrow(RangeError);
  }
});
