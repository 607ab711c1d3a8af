import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { claimDirectory, MANIFEST_FILE } from "../src/manifest.ts";

describe("APP-1 --dir", () => {
  const mine = { recording: "ab", seed: 1 };
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "two-regions-test-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test("is made if it is missing, and goes on with the same recording and seed", () => {
    const path = join(dir, "a", "b");
    expect(claimDirectory(path, mine, 7)).toEqual({ isResumed: false, startedMs: 7 });
    expect(claimDirectory(path, mine, 8)).toEqual({ isResumed: true, startedMs: 7 });
  });

  test("begins anew where a run was killed before it had said whose it is", () => {
    writeFileSync(join(dir, `${MANIFEST_FILE}.partial`), "{");
    expect(claimDirectory(dir, mine, 7)).toEqual({ isResumed: false, startedMs: 7 });
  });

  test("is refused with another recording or seed, and nothing is changed", () => {
    claimDirectory(dir, mine, 7);
    expect(() => claimDirectory(dir, { ...mine, seed: 2 }, 8)).toThrow("it was made with --seed 1");
    expect(() => claimDirectory(dir, { ...mine, recording: "cd" }, 8)).toThrow("it holds another recording");
    expect(claimDirectory(dir, mine, 8)).toEqual({ isResumed: true, startedMs: 7 });
  });

  test("is refused if it holds other files", () => {
    mkdirSync(join(dir, "us-east"));
    expect(() => claimDirectory(dir, mine, 7)).toThrow("it holds other files");
    expect(readdirSync(dir)).toEqual(["us-east"]);
  });

  test.each(["", "null", "{}", "[", '{"format":9,"recording":"ab","seed":1,"startedMs":1}'])(
    "is refused if its description is %j",
    (text) => {
      writeFileSync(join(dir, MANIFEST_FILE), text);
      expect(() => claimDirectory(dir, mine, 7)).toThrow("is not of this demo");
    },
  );
});
