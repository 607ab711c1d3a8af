import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const app = fileURLToPath(new URL("..", import.meta.url));

/** What a process left behind. */
export interface Outcome {
  /** The exit code, or the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** How the demo is run. */
export interface DemoOptions {
  readonly stdin?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Kills the process, as hard as it goes, at each line of standard output that matches. */
  readonly killAt?: RegExp;
  /** What `killAt` sends. */
  readonly signal?: NodeJS.Signals;
}

/** Runs the demo from source in a process of its own. */
export function demo(
  args: readonly string[],
  { stdin = "", env = {}, killAt, signal = "SIGKILL" }: DemoOptions = {},
): Promise<Outcome> {
  const child = spawn(
    process.execPath,
    ["--conditions=@tidemark/source", "--import", "tsx", "src/cli.ts", ...args],
    {
      cwd: app,
      env: { ...process.env, INIT_CWD: undefined, NODE_OPTIONS: "", ...env },
    },
  );
  const stdout: string[] = [];
  const stderr: string[] = [];
  createInterface(child.stdout).on("line", (line) => {
    stdout.push(`${line}\n`);
    if (killAt?.test(line)) child.kill(signal);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.push(text));
  // It may end before it has read everything.
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve({ status: code ?? signal ?? "", stdout: stdout.join(""), stderr: stderr.join("") });
    });
  });
}
