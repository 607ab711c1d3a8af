import { expect, test } from "vitest";
import { MUTANTS } from "../../tools/mutants/src/mutants.ts";
import { keptResults } from "../../tools/mutants/src/results.ts";
import { renderTesting, testingDocument } from "../lib/testing.mjs";

const results = keptResults();

test("docs/testing.md is generated from scenarios, planted failures and results, and up to date", () => {
  const before = testingDocument();
  expect(before).toBe(renderTesting({ mutants: MUTANTS, results, before }));
});

test("every planted failure was killed when the results were last kept", () => {
  const killed = new Set(results.map(({ mutant }) => mutant));
  expect(MUTANTS.flatMap(({ id }) => (killed.has(id) ? [] : [id]))).toEqual([]);
});

test("renderTesting() takes over what is by hand", () => {
  const before = testingDocument().replace("<!-- by hand -->\n", "<!-- by hand -->\n\nA line of ours.\n");
  const text = renderTesting({ mutants: MUTANTS, results, before });
  expect(text).toContain("A line of ours.\n");
  expect(renderTesting({ mutants: MUTANTS, results, before: text })).toBe(text);
});
