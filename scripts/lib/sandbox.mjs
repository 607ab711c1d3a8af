// Runs example code in an empty folder, with the packages of this workspace at hand, from source.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { publicPackages } from "./packages.mjs";
import { root } from "./root.mjs";

/**
 * An empty folder that resolves every public package, and what a user of one installs beside it: peers, and what its
 * tests develop against. `remove()` deletes it.
 */
export function createSandbox() {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-example-"));
  writeFileSync(join(dir, "package.json"), '{ "private": true, "type": "module" }\n');
  const provide = (name, source) => {
    const link = join(dir, "node_modules", ...name.split("/"));
    mkdirSync(dirname(link), { recursive: true });
    if (!existsSync(link)) symlinkSync(source, link, "junction");
  };
  for (const { name, dir: source } of publicPackages()) provide(name, source);
  for (const { dir: source, manifest } of publicPackages()) {
    if (manifest.peerDependencies === undefined) continue;
    for (const name of Object.keys(manifest.devDependencies ?? {})) {
      const installed = join(source, "node_modules", ...name.split("/"));
      if (existsSync(installed)) provide(name, installed);
    }
  }
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/**
 * Runs one file of a sandbox with Node and resolves to `{ status, output }`.
 *
 * The process must end by itself: an example that leaves a handle open teaches a leak.
 *
 * @param {string} dir
 * @param {string} file
 * @param {{ timeoutMs?: number, env?: Record<string, string> }} [options] - `env`: variables above those of this process.
 * @returns {Promise<{ status: number, output: string }>}
 */
export function runFile(dir, file, { timeoutMs = 60_000, env = {} } = {}) {
  const tsx = pathToFileURL(join(root, "node_modules", "tsx", "dist", "loader.mjs")).href;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--conditions=@tidemark/source", "--import", tsx, file], {
      cwd: dir,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: "", ...env },
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    const timer = setTimeout(() => {
      output += `\nStill running after ${timeoutMs} ms`;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? 1, output });
    });
  });
}
