import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { codesInTables, codesOf, ERRORS_DOCUMENT, errorCatalogue, renderErrors } from "../lib/errors.mjs";

const catalogue = errorCatalogue();

test("CORE-10a docs/errors.md is generated from the unions and up to date", () => {
  expect(readFileSync(ERRORS_DOCUMENT, "utf8")).toBe(renderErrors());
});

describe.each(catalogue.map((one) => [one.short, one] as const))("CORE-10a %s", (_, one) => {
  test("every code says in the source what it means", () => {
    expect(one.codes.filter(({ meaning }) => meaning === "")).toEqual([]);
  });

  test("the README lists exactly the codes of the union", () => {
    const known = new Set(catalogue.flatMap(({ codes }) => codes.map(({ code }) => code)));
    const listed = codesInTables(one.readme);
    expect(one.codes.map(({ code }) => code).filter((code) => !listed.includes(code))).toEqual([]);
    expect(listed.filter((code) => !known.has(code))).toEqual([]);
  });
});

test("codesOf() reads a union with and without comments", () => {
  const source = `
/** Codes. */
export type ToyErrorCode =
  /** It was
   * too big: see {@link Limit}; nothing was written. */
  | "TOO_BIG"
  | "PLAIN";
export type Other = "NOT_A_CODE";`;
  expect(codesOf(source)).toEqual([
    { code: "TOO_BIG", meaning: "It was too big: see `Limit`; nothing was written." },
    { code: "PLAIN", meaning: "" },
  ]);
});
