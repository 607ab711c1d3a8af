// The excerpt of the demo in the root README against what the demo prints.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fencesOf } from "./fences.mjs";
import { root } from "./root.mjs";
import { mustRun } from "./run.mjs";

const APP = join(root, "apps", "two-regions");

/** Runs the built demo and resolves to the lines of the excerpt that it does not print, numbers aside. */
export async function absentFromDemo() {
  const [excerpt] = fencesOf(readFileSync(join(root, "README.md"), "utf8")).filter(
    ({ language }) => language === "text",
  );
  const recording = join(APP, "recordings", "titles.ndjson");
  const printed = new Set(
    (await mustRun(process.execPath, [join(APP, "demo.mjs"), recording])).split("\n").map(shape),
  );
  return excerpt.code.split("\n").filter((line) => !printed.has(shape(line)));
}

/** A line without what differs from run to run: digests, counts, times, widths. */
function shape(line) {
  return line
    .replace(/\b[0-9a-f]{16}\b/g, "#")
    .replace(/\d+/g, "#")
    .replace(/\s+/g, " ")
    .trim();
}
