// The long forms of tests that `npm test` runs in part: `node scripts/long-run.mjs crash-states`. They print what was
// looked at, and end with a status of 1 if a promise is broken.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "./lib/root.mjs";

const RUNS = {
  "bit-flips": { env: { BIT_FLIPS: "all" }, project: "wal", file: "packages/wal/test/bit-flips.test.ts" },
  "crash-states": {
    env: { CRASH_STATES: "all" },
    project: "wal",
    file: "packages/wal/test/crash-states.test.ts",
  },
};

const [name = ""] = process.argv.slice(2);
const wanted = Object.hasOwn(RUNS, name) ? RUNS[name] : undefined;
if (wanted === undefined) {
  console.error(`Name one of: ${Object.keys(RUNS).join(", ")}`);
  process.exit(2);
}
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const { status, error } = spawnSync(
  process.execPath,
  [vitest, "run", "--project", wanted.project, wanted.file, "--reporter=verbose"],
  { cwd: root, stdio: "inherit", env: { ...process.env, ...wanted.env } },
);
if (error) throw error;
process.exitCode = status ?? 1;
