// Checks that docs/testing.md is up to date; `--write` brings it up to date.
import { writeFileSync } from "node:fs";
import { tsImport } from "tsx/esm/api";
import { renderTesting, TESTING_DOCUMENT, testingDocument } from "./lib/testing.mjs";

const { MUTANTS } = await tsImport("../tools/mutants/src/mutants.ts", import.meta.url);
const { keptResults } = await tsImport("../tools/mutants/src/results.ts", import.meta.url);

const before = testingDocument();
const text = renderTesting({ mutants: MUTANTS, results: keptResults(), before });
if (process.argv.includes("--write")) {
  writeFileSync(TESTING_DOCUMENT, text);
} else if (before !== text) {
  console.log("docs/testing.md is out of date: run `node scripts/testing.mjs --write`");
  process.exitCode = 1;
}
