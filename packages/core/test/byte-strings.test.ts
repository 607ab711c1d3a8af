import * as fc from "fast-check";
import { expect, test } from "vitest";
import { compareBytes, concatBytes, equalBytes } from "../src/index.ts";

const bytes = fc.uint8Array({ maxLength: 6, max: 2 });

test("equalBytes() says what compareBytes() says, and that none is none", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(equalBytes(a, b)).toBe(compareBytes(a, b) === 0);
    }),
  );
  expect(equalBytes(undefined, undefined)).toBe(true);
  expect(equalBytes(new Uint8Array(0), undefined)).toBe(false);
  expect(equalBytes(undefined, new Uint8Array(0))).toBe(false);
});

test("concatBytes() puts parts one behind the other, and shares nothing with them", () => {
  fc.assert(
    fc.property(fc.array(bytes), (parts) => {
      expect([...concatBytes(parts)]).toEqual(parts.flatMap((part) => [...part]));
    }),
  );
  const part = Uint8Array.of(1);
  const whole = concatBytes([part]);
  part[0] = 2;
  expect(whole).toEqual(Uint8Array.of(1));
});
