// Child processes whose output is kept until it is needed.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { root } from "./root.mjs";

const windows = process.platform === "win32";
const bin = join(root, "node_modules", ".bin");
const ENVIRONMENT = {
  // turbo starts each task through the pnpm it finds, also when no npm has set the path.
  PATH: `${bin}${delimiter}${process.env.PATH ?? ""}`,
  TURBO_NO_UPDATE_NOTIFIER: "1",
  TURBO_TELEMETRY_DISABLED: "1",
};

/** The path of a tool the workspace installed. */
export function tool(name) {
  const path = join(bin, windows ? `${name}.cmd` : name);
  if (!existsSync(path)) throw new Error(`${name} is not installed: run npm run bootstrap`);
  return path;
}

/** Runs a command to its end and resolves to `{ status, stdout, output }`; rejects only if it cannot start. */
export function run(command, args, { cwd = root, env = {}, inherit = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      shell: windows,
      stdio: inherit ? "inherit" : ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...ENVIRONMENT, ...env },
    });
    let stdout = "";
    let output = "";
    child.stdout?.on("data", (chunk) => {
      stdout += chunk;
      output += chunk;
    });
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status: status ?? 1, stdout, output }));
  });
}

/** Runs a command and resolves to its standard output; rejects with its whole output if it fails. */
export async function mustRun(command, args, options) {
  const { status, stdout, output } = await run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} exited with ${status}\n${output}`);
  return stdout;
}

/** Maps over items with at most `limit` at work at once; results keep the order of the items. */
export async function mapLimit(items, limit, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
