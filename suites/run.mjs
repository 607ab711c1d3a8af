// `npm run conformance [-- NAME ...] [--others] [--write]`: installs other people's suites on first use, runs all (or
// those named, or only those of others) over the packages from source, and prints a table. `--write` puts what ran into
// the READMEs that carry the table; rows of what did not run stay as they are.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SUITES } from "./suites.mjs";
import { documentsOf, rowsIn, rowsOf, rowsWith, tableOf, withTable } from "./table.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "..");
const write = process.argv.includes("--write");
const named = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const others = SUITES.filter(({ ours }) => !ours).map(({ name }) => name);
const wanted = named.length === 0 && process.argv.includes("--others") ? others : named;

install();
const { rows, ok } = run();
console.log(tableOf(rows));
if (write && ok) {
  for (const { path, folder } of documentsOf(root)) {
    const document = readFileSync(path, "utf8");
    const ran = rows.filter((row) => folder === undefined || row.package === folder);
    writeFileSync(path, withTable(document, rowsWith(rowsIn(document), ran)));
  }
}
process.exitCode = ok ? 0 : 1;

function install() {
  const stamp = join(here, "node_modules", ".installed");
  const hash = createHash("sha256");
  for (const name of ["package.json", "pnpm-lock.yaml"]) hash.update(readFileSync(join(here, name)));
  const digest = hash.digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  const pnpm = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager;
  console.error("Installing the suites ...");
  const frozen = ["--frozen-lockfile", "--config.minimumReleaseAge=0"];
  const { status } = spawnSync(
    "npx",
    ["--yes", "--loglevel=error", `--package=${pnpm}`, "--", "pnpm", "install", ...frozen],
    { cwd: here, stdio: ["ignore", 2, 2], env: { ...process.env, CI: "true" } },
  );
  if (status !== 0) throw new Error("The suites could not be installed");
  writeFileSync(stamp, digest);
}

/** Runs the suites in one process. What fails is told as it is found. */
function run() {
  const report = join(root, "node_modules", ".cache", "vitest", "conformance.json");
  mkdirSync(join(report, ".."), { recursive: true });
  rmSync(report, { force: true });
  const { status } = spawnSync(
    process.execPath,
    [
      join(root, "node_modules", "vitest", "vitest.mjs"),
      "run",
      `--config=${join(here, "vitest.config.ts")}`,
      `--reporter=${join(here, "reporter.mjs")}`,
      ...wanted.flatMap((name) => ["--project", name]),
    ],
    { cwd: root, stdio: ["ignore", 2, 2], env: { ...process.env, CONFORMANCE_REPORT: report } },
  );
  if (!existsSync(report)) throw new Error("The suites did not run");
  const rows = rowsOf(JSON.parse(readFileSync(report, "utf8")));
  return { rows, ok: status === 0 && rows.every(({ failed }) => failed === 0) };
}
