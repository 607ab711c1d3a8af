// Checks that docs/errors.md is up to date; `--write` brings it up to date.
import { readFileSync, writeFileSync } from "node:fs";
import { ERRORS_DOCUMENT, renderErrors } from "./lib/errors.mjs";

const text = renderErrors();
if (process.argv.includes("--write")) {
  writeFileSync(ERRORS_DOCUMENT, text);
} else if (readFileSync(ERRORS_DOCUMENT, "utf8") !== text) {
  console.log("docs/errors.md is out of date: run `node scripts/errors.mjs --write`");
  process.exitCode = 1;
}
