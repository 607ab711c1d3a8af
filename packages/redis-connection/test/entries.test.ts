import { expect, test } from "vitest";
import { decodeRead } from "../src/index.ts";

test("TRN-7 decodeRead() leaves out what is no stream among the pairs of a reply", () => {
  const read = decodeRead([["key", [["1-2", []]]], 7, null]);
  expect([...read]).toEqual([["key", [{ id: { major: 1, minor: 2 }, fields: new Map() }]]]);
});
