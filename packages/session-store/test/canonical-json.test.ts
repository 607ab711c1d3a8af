import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, JSON_DEPTH_MAX, type JsonValue } from "../src/index.ts";

interface Vector {
  readonly about: string;
  readonly json: string;
  readonly canonical: string;
}

const vectors = JSON.parse(
  readFileSync(new URL("golden/canonical-json.json", import.meta.url), "utf8"),
) as Vector[];

test.each(vectors)("C-42 canonicalJson() of the published vector: $about", ({ json, canonical }) => {
  expect(canonicalJson(JSON.parse(json) as JsonValue)).toBe(canonical);
});

const wellFormed = fc.jsonValue({ stringUnit: "grapheme", maxDepth: 4 });

test("C-42 canonicalJson() reads back as the same value, and a second time gives the same text", () => {
  fc.assert(
    fc.property(wellFormed, (value) => {
      const text = canonicalJson(value as JsonValue);
      const back = JSON.parse(text) as JsonValue;
      expect(back).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(back)).toBe(text);
    }),
  );
});

test("C-42 the order in which keys were written changes nothing", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: "grapheme" }), fc.integer(), { noNullPrototype: true }),
      (value) => {
        const turned = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(turned)).toBe(canonicalJson(value));
      },
    ),
  );
});

/** RFC 8785 in few words. */
function plainly(value: JsonValue): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => plainly(item)).join(",")}]`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${plainly(field)}`).join(",")}}`;
}

test("C-42 keys are in order wherever the engine would put them", () => {
  const keys = ["10", "9", "b", "a", "", "__proto__", "\\ud800", "é", "toString", "-1", "01"];
  const key = fc.oneof(fc.constantFrom(...keys), fc.string({ unit: "grapheme", maxLength: 3 }));
  const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<JsonValue>(null, true, -0, 1e21, "\\ud", "\u2028", 0.1),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie("value")), { maxLength: 5 }).map((fields) => Object.fromEntries(fields)),
    ),
  }));
  fc.assert(
    fc.property(value, (one) => {
      const before = JSON.stringify(one);
      expect(canonicalJson(one)).toBe(plainly(one));
      expect(JSON.stringify(one)).toBe(before);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["NaN", Number.NaN],
  ["infinity", Number.NEGATIVE_INFINITY],
  ["undefined", undefined],
  ["undefined in a field", { a: undefined }],
  ["a hole", [1, , 2]], // eslint-disable-line no-sparse-arrays
  ["a bigint", 1n],
  ["a function", () => 1],
  ["a symbol", Symbol("s")],
  ["a date", new Date(0)],
  ["bytes", Uint8Array.of(1)],
  ["a map", new Map()],
  ["a lone surrogate", "\ud800"],
  ["a lone surrogate in a key", { "\udc00": 1 }],
])("C-42 canonicalJson() refuses %s", (_, value) => {
  expect(() => canonicalJson([value] as unknown as JsonValue)).toThrow(TypeError);
});

test("C-42 canonicalJson() refuses what is nested too deep, a cycle too", () => {
  const nested = (levels: number): JsonValue => (levels === 0 ? 1 : [nested(levels - 1)]);
  expect(canonicalJson(nested(JSON_DEPTH_MAX))).toHaveLength(2 * JSON_DEPTH_MAX + 1);
  expect(() => canonicalJson(nested(JSON_DEPTH_MAX + 1))).toThrow(RangeError);
  const cycle: { self?: JsonValue } = {};
  cycle.self = cycle as JsonValue;
  expect(() => canonicalJson(cycle as JsonValue)).toThrow(RangeError);
});
