// Sets up what the demo needs, quietly, and hands over to it: `npm run demo -- [FILE] [OPTIONS]`.
// Everything said before is on standard error: standard output belongs to the demo.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { root } from "./lib/root.mjs";

const bin = join(root, "node_modules", ".bin");
const app = join(root, "apps", "two-regions");
const windows = process.platform === "win32";

setUp();
const child = spawn(process.execPath, [join(app, "demo.mjs"), ...process.argv.slice(2)], {
  stdio: "inherit",
});
// A terminal sends its signals to both processes: this one must outlive the demo, whatever comes.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
child.on("exit", (status, signal) => {
  process.exitCode = signal === null ? status : 128 + constants.signals[signal];
});

function setUp() {
  const { status: installed } = spawnSync(process.execPath, [join(root, "scripts", "bootstrap.mjs")], {
    stdio: ["ignore", 2, 2],
  });
  if (installed !== 0) process.exit(installed ?? 1);

  if (!existsSync(join(app, "dist", "cli.js"))) console.error("Building ...");
  const turbo = join(bin, windows ? "turbo.cmd" : "turbo");
  const { status, stdout, stderr, error } = spawnSync(
    turbo,
    ["run", "build", "--filter=@tidemark/two-regions", "--output-logs=errors-only"],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
      shell: windows,
      env: {
        ...process.env,
        // turbo starts each task through the pnpm it finds.
        PATH: `${bin}${delimiter}${process.env.PATH ?? ""}`,
        TURBO_TELEMETRY_DISABLED: "1",
        TURBO_NO_UPDATE_NOTIFIER: "1",
      },
    },
  );
  if (error) throw error;
  const isUpToDate = /Cached:\s+(\d+) cached, \1 total/.test(stdout);
  if (status !== 0 || !isUpToDate) process.stderr.write(`${stdout}${stderr}`);
  if (status !== 0) process.exit(status ?? 1);
}
