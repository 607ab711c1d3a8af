import fc from "fast-check";
import { expect, test } from "vitest";
import { bucketKey, encodeToken } from "../src/subject-token.ts";

test("encodeToken() is base64url without padding", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(encodeToken(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
    }),
  );
});

test("bucketKey() is two tokens that any bytes give and no wildcard is in", () => {
  expect(bucketKey("session/7", Uint8Array.of(0, 255))).toBe("c2Vzc2lvbi83.AP8");
  expect(bucketKey("a.>*", Uint8Array.of(46))).toBe("YS4-Kg.Lg");
});
