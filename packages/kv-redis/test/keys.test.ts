import fc from "fast-check";
import { expect, test } from "vitest";
import { encodePartition, Keys } from "../src/keys.ts";

test("encodePartition() gives every text a hash tag of its own, without braces", () => {
  const text = fc.string({ unit: "binary", minLength: 1 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(encodePartition(a)).toMatch(/^[A-Za-z0-9\-_./:%]+$/);
      expect(decodeURIComponent(encodePartition(a))).toBe(a);
      expect(encodePartition(a) === encodePartition(b)).toBe(a === b);
    }),
  );
});

test("encodePartition() leaves names as people write them, and a key has its tag first", () => {
  expect(encodePartition("session/a-1")).toBe("session/a-1");
  expect(encodePartition("a{b}%ü")).toBe("a%7bb%7d%25%c3%bc");
  expect(new Keys("app").partition("}{")).toEqual({
    values: "app:{%7d%7b}:values",
    names: "app:{%7d%7b}:names",
  });
});
