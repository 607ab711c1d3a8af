import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeBase64url, encodeBase64url } from "../src/base64url.ts";

test("SES-12 base64url is what every other library writes, and reads back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const text = encodeBase64url(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64url"));
      expect(decodeBase64url(`tmc1.${text}`, 5)).toEqual(bytes);
    }),
  );
});

test("SES-12 no two texts stand for the same bytes, and nothing else is read", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."AZaz09-_+/= .\u00e9\u{1f600}"), maxLength: 9 }),
      (text) => {
        const bytes = decodeBase64url(text);
        if (bytes !== undefined) expect(encodeBase64url(bytes)).toBe(text);
      },
    ),
  );
  for (const text of ["A", "AA==", "AB", "AAB", "A A", "AA\n", "AA+A", "AA/A"]) {
    expect(decodeBase64url(text)).toBeUndefined();
  }
});
