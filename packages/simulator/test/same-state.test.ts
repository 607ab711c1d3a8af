import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { sameState } from "../src/same-state.ts";

const options = { withBigInt: true, withDate: true, withTypedArray: true, maxDepth: 3 };
const states = fc.oneof(
  fc.anything(options),
  fc.array(fc.tuple(fc.string(), fc.anything(options))).map((entries) => new Map(entries)),
);

test("sameState() says what Node says of equal states, and of states that differ", () => {
  fc.assert(
    fc.property(fc.clone(states, 2), states, ([one, same], other) => {
      expect(sameState(one, same)).toBe(true);
      expect(sameState(one, other)).toBe(isDeepStrictEqual(one, other));
    }),
    { numRuns: 300 },
  );
});

test("sameState() looks at the order of lists and maps, not at that of fields", () => {
  expect(sameState({ a: 1, b: [2] }, { b: [2], a: 1 })).toBe(true);
  expect(sameState([1, 2], [2, 1])).toBe(false);
  expect(sameState(new Map([["a", new Set([1])]]), new Map([["a", new Set([1])]]))).toBe(true);
  expect(sameState(new Map([["a", 1]]), new Map([["a", 2]]))).toBe(false);
  expect(sameState(Uint8Array.of(1), Uint8Array.of(1))).toBe(true);
  expect(sameState(Uint8Array.of(1), [1])).toBe(false);
  expect(sameState(new Date(1), new Date(2))).toBe(false);
  expect(sameState({ a: undefined }, {})).toBe(false);
  expect(sameState(null, {})).toBe(false);
});
