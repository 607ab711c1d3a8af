import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeHashTag } from "../src/index.ts";

test("encodeHashTag() gives every text a hash tag of its own, without braces", () => {
  const text = fc.string({ unit: "binary", minLength: 1 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(encodeHashTag(a)).toMatch(/^[A-Za-z0-9\-_./:%]+$/);
      expect(decodeURIComponent(encodeHashTag(a))).toBe(a);
      expect(encodeHashTag(a) === encodeHashTag(b)).toBe(a === b);
    }),
  );
});

test("encodeHashTag() leaves names as people write them", () => {
  expect(encodeHashTag("session/a-1")).toBe("session/a-1");
  expect(encodeHashTag("a{b}%ü")).toBe("a%7bb%7d%25%c3%bc");
});
