// Prints every import that is not in the table of docs/packages.md; exit code 1 if there is one.
import { findViolations } from "./lib/picture.mjs";

const found = findViolations();
for (const line of found) console.log(line);
process.exitCode = found.length === 0 ? 0 : 1;
