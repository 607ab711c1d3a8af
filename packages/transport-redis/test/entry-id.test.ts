import { afterEntryId, compareEntryIds, formatEntryId, parseEntryId } from "@tidemark/redis-connection";
import fc from "fast-check";
import { expect, test } from "vitest";
import { entryIdOf } from "../src/entry-id.ts";

const number = fc.oneof(fc.maxSafeNat(), fc.nat(20));
const id = fc.record({ major: number, minor: number });

test("TRN-7 parseEntryId() reads what formatEntryId() writes", () => {
  fc.assert(
    fc.property(id, (id) => {
      expect(parseEntryId(formatEntryId(id))).toEqual(id);
    }),
  );
});

test("TRN-7 ids grow with the epoch, then with the LSN", () => {
  const sequence = fc.record({ epoch: fc.integer({ min: 1, max: 2 ** 32 - 1 }), last: number });
  fc.assert(
    fc.property(sequence, sequence, (left, right) => {
      const expected = Math.sign(left.epoch - right.epoch || left.last - right.last);
      expect(Math.sign(compareEntryIds(entryIdOf(left), entryIdOf(right)))).toBe(expected);
    }),
  );
});

test("TRN-7 afterEntryId() is the next id", () => {
  fc.assert(
    fc.property(id, id, (left, right) => {
      fc.pre(left.major < Number.MAX_SAFE_INTEGER);
      expect(compareEntryIds(right, left) > 0).toBe(compareEntryIds(right, afterEntryId(left)) >= 0);
    }),
  );
});

test.each(["", "1", "1-", "-1", "01-1", "1-01", "1-1 ", "1-9007199254740992", "a-b", "1-1-1"])(
  "TRN-7 %j is no id",
  (text) => {
    expect(parseEntryId(text)).toBeUndefined();
  },
);

test.each([
  { epoch: 0, last: 0 },
  { epoch: 1, last: -1 },
  { epoch: 1.5, last: 1 },
  { epoch: 1, last: 2 ** 53 },
])("TRN-7 a sequence that is none is a RangeError: %j", (sequence) => {
  expect(() => entryIdOf(sequence)).toThrow(RangeError);
});
