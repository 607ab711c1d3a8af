import { CoreError } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeStreamEntry,
  encodeStreamEntry,
  readStreamEntry,
  SEGMENT_PIECES,
  SEGMENTS_MAX,
  STREAM_LENGTH_MAX,
  type StreamEntry,
} from "../src/stream-log-entry.ts";

const text = (lengthMax: number) => fc.string({ unit: "binary", minLength: 1, maxLength: lengthMax });
const pieces = fc.nat(SEGMENT_PIECES * SEGMENTS_MAX);
const entry: fc.Arbitrary<StreamEntry> = fc.oneof(
  fc.record({
    kind: fc.constant("open" as const),
    stream: text(20),
    writer: fc.constant("0123456789abcdef"),
    ttlMs: fc.nat(3_600_000),
  }),
  fc.record({
    kind: fc.constant("piece" as const),
    number: pieces,
    start: fc.nat(STREAM_LENGTH_MAX / 2),
    text: text(50),
  }),
  fc.record({ kind: fc.constant("renewed" as const) }),
  fc.record({
    kind: fc.constant("end" as const),
    stream: text(20),
    writer: fc.constant("0123456789abcdef"),
    outcome: fc.constantFrom("done", "error", "cancelled"),
    pieces,
    length: fc.nat(STREAM_LENGTH_MAX),
    message: fc.string({ unit: "binary", maxLength: 50 }),
  }),
  fc.record({ kind: fc.constant("cancel" as const), stream: text(20) }),
);

test("decodeStreamEntry() reads what encodeStreamEntry() wrote", () => {
  fc.assert(
    fc.property(entry, (one) => {
      expect(decodeStreamEntry(encodeStreamEntry(one))).toEqual(one);
    }),
  );
});

test("decodeStreamEntry() reads any bytes, or throws DECODE_FAILED", () => {
  const damaged = fc.tuple(entry, fc.nat(), fc.nat(255), fc.nat(3)).map(([one, at, byte, cut]) => {
    const bytes = encodeStreamEntry(one);
    bytes[at % bytes.length] = byte;
    return bytes.subarray(0, bytes.length - cut);
  });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      try {
        expect(readStreamEntry(encodeStreamEntry(decodeStreamEntry(bytes)))).toEqual(readStreamEntry(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(CoreError);
        expect(error).toMatchObject({ code: "DECODE_FAILED" });
        expect(readStreamEntry(bytes)).toBeUndefined();
      }
    }),
    { numRuns: 500 },
  );
});

test.each<[string, StreamEntry]>([
  ["010101730161983b", { kind: "open", stream: "s", writer: "a", ttlMs: 7_576 }],
  ["0102070a05f09f8c8a21", { kind: "piece", number: 7, start: 10, text: "\u{1F30A}!" }],
  ["0103", { kind: "renewed" }],
  [
    "010401730161010203026e6f",
    { kind: "end", stream: "s", writer: "a", outcome: "error", pieces: 2, length: 3, message: "no" },
  ],
  ["01050173", { kind: "cancel", stream: "s" }],
])("encodeStreamEntry() writes %s", (hex, one) => {
  expect(Buffer.from(encodeStreamEntry(one)).toString("hex")).toBe(hex);
  expect(decodeStreamEntry(Buffer.from(hex, "hex"))).toEqual(one);
});
