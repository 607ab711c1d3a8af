// Installs the workspace with the pinned pnpm when the manifests changed; plain Node, no dependencies.
// Everything it says goes to standard error: standard output belongs to the command that follows.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Node.js 20.19 or newer is needed, this is ${process.versions.node}.`);
  process.exit(1);
}

const stamp = join(root, "node_modules", ".cache", "bootstrap");
const wanted = fingerprint();
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  install();
  mkdirSync(join(root, "node_modules", ".cache"), { recursive: true });
  // The compiler does not look again for a module that it did not find.
  rmSync(join(root, "node_modules", ".cache", "tsc"), { recursive: true, force: true });
  writeFileSync(stamp, wanted);
}

/** One digest of every manifest and of the platform the install was made for. */
function fingerprint() {
  const hash = createHash("sha256");
  const add = (file) => {
    if (existsSync(file)) hash.update(file.slice(root.length)).update(readFileSync(file));
  };
  for (const name of ["package.json", "pnpm-workspace.yaml", "pnpm-lock.yaml"]) add(join(root, name));
  for (const folder of ["packages", "apps", "tools"]) {
    if (!existsSync(join(root, folder))) continue;
    for (const entry of readdirSync(join(root, folder)).sort()) {
      add(join(root, folder, entry, "package.json"));
    }
  }
  return hash.update(`${process.platform}-${process.arch}-${process.versions.modules}`).digest("hex");
}

function install() {
  const pnpm = manifest.packageManager.split("+")[0];
  console.error(`Installing dependencies with ${pnpm} ...`);
  const windows = process.platform === "win32";
  // `--package` and `--`: an outer npx exports its own package name, which a bare `npx pnpm@X` would obey.
  const args = ["--yes", "--loglevel=error", `--package=${pnpm}`, "--", "pnpm", "install"];
  const { status, error } = spawnSync(
    windows ? "npx.cmd" : "npx",
    [...args, "--frozen-lockfile", "--config.minimumReleaseAge=0"],
    {
      cwd: root,
      stdio: ["ignore", 2, 2],
      shell: windows,
      env: { ...process.env, CI: process.env.CI ?? "true" },
    },
  );
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
