// Runs every vitest project in one process and prints `N passed, N failed, N skipped` as the last line.
// Further arguments go to vitest: `npm test -- --project wal`, `npm test -- -t "WAL-5"`.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root } from "./lib/root.mjs";

const report = join(root, "node_modules", ".cache", "vitest", "report.json");
mkdirSync(join(report, ".."), { recursive: true });
rmSync(report, { force: true });

const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const { status, signal, error } = spawnSync(
  process.execPath,
  [
    vitest,
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: "inherit" },
);
if (error) throw error;
if (signal) console.error(`vitest was ended by ${signal}`);

const { passed, failed, skipped } = count();
const ok = status === 0 && failed === 0 && passed > 0;
// Something failed that is no test: an unhandled rejection, a project that did not start.
const failures = failed === 0 && !ok ? 1 : failed;
console.log(`${passed} passed, ${failures} failed, ${skipped} skipped`);
process.exitCode = ok ? 0 : status || 1;

/** Counts tests, and each suite that could not be loaded as one failure. */
function count() {
  let results;
  try {
    results = JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const unloaded = results.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
  );
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + unloaded.length,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}
