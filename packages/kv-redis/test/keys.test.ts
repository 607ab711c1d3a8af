import { expect, test } from "vitest";
import { Keys } from "../src/keys.ts";

test("a key has its partition as its one hash tag", () => {
  expect(new Keys("app").partition("}{")).toEqual({
    values: "app:{%7d%7b}:values",
    names: "app:{%7d%7b}:names",
  });
});
