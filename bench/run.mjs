// `npm run bench [-- P1 P7 ...]`: builds, installs the peers on first use, runs every row (or those named),
// prints one JSON line a figure on standard output and the table on standard error.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { figure } from "./harness.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "..");
const wanted = new Set(process.argv.slice(2).map((name) => name.toUpperCase()));

installPeers();
build();

const files = readdirSync(join(here, "rows"))
  .filter((name) => name.endsWith(".mjs"))
  .sort();
const lines = [];
for (const file of files) {
  const row = await import(pathToFileURL(join(here, "rows", file)).href);
  if (wanted.size > 0 && !row.ROWS.some((name) => wanted.has(name))) continue;
  for (const line of await row.run()) {
    lines.push(line);
    console.log(JSON.stringify(line));
  }
}
printTable(lines);

function installPeers() {
  const lock = join(here, "pnpm-lock.yaml");
  const stamp = join(here, "node_modules", ".installed");
  const hash = createHash("sha256").update(readFileSync(join(here, "package.json")));
  if (existsSync(lock)) hash.update(readFileSync(lock));
  const digest = hash.digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  const pnpm = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager;
  console.error("Installing the peers of the benchmarks ...");
  const { status } = spawnSync(
    "npx",
    [
      "--yes",
      "--loglevel=error",
      `--package=${pnpm}`,
      "--",
      "pnpm",
      "install",
      "--frozen-lockfile",
      "--config.minimumReleaseAge=0",
    ],
    { cwd: here, stdio: ["ignore", 2, 2], env: { ...process.env, CI: "true" } },
  );
  if (status !== 0) console.error("Some peers could not be installed: their rows are left out");
  mkdirSync(join(here, "node_modules"), { recursive: true });
  writeFileSync(stamp, digest);
}

function build() {
  const { status } = spawnSync(
    join(root, "node_modules", ".bin", "turbo"),
    ["run", "build", "--output-logs=errors-only"],
    {
      cwd: root,
      stdio: ["ignore", 2, 2],
      env: {
        ...process.env,
        PATH: `${join(root, "node_modules", ".bin")}:${process.env.PATH}`,
        TURBO_TELEMETRY_DISABLED: "1",
        TURBO_NO_UPDATE_NOTIFIER: "1",
      },
    },
  );
  if (status !== 0) process.exit(status ?? 1);
}

function printTable(rows) {
  const head = ["row", "work", "measured", "against", "", "ratio (min-max)", "goal", "met"];
  const body = rows.map((line) => [
    line.row,
    line.work,
    `${figure(line.measured.median)} ${line.unit}`,
    line.baseline ?? "-",
    line.against === null ? "-" : figure(line.against.median),
    line.ratio === null
      ? "-"
      : `${line.ratio.median.toFixed(2)} (${line.ratio.min.toFixed(2)}-${line.ratio.max.toFixed(2)})`,
    line.goal === null ? "-" : `${line.goalIs} ${line.goal}`,
    line.met === null ? "-" : line.met ? "yes" : "NO",
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((cells) => cells[column].length)));
  for (const cells of [head, ...body]) {
    console.error(
      cells
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    );
  }
  console.error(`\n${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Node ${process.versions.node}`);
}
