import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerBinary } from "./program-files.ts";
import { guardServer } from "./server-guard.ts";

/** How a server is started, again and again. */
export interface ServerPlan {
  readonly binary: ServerBinary;
  readonly args: readonly string[];
  /** What it prints once it can be used. */
  readonly ready: RegExp;
  /** Its temporary folder, kept over restarts and removed when it is stopped for good. */
  readonly dir: string;
}

const READY_MS = 20_000;
const LINES_MAX = 200;
/** How long a signal may take on a busy machine. */
const STOPPED_MS = 2_000;

/** A folder for one server. */
export function temporaryFolder(kind: string): string {
  return mkdtempSync(join(tmpdir(), `tidemark-${kind}-`));
}

/** Whether every thread of a process has stopped; true where there is no `/proc` to ask. */
function hasStopped(pid: number): boolean {
  try {
    const tasks = `/proc/${pid}/task`;
    // The state is the word after the name, which is in parentheses.
    return readdirSync(tasks).every((task) => /\) T /.test(readFileSync(join(tasks, task, "stat"), "utf8")));
  } catch {
    return true;
  }
}

/** A server's process, which this process started and nobody else ends. It does not outlive this one, however that ends. */
export class ServerProcess implements AsyncDisposable {
  readonly #plan: ServerPlan;
  #child: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();
  #lines: string[] = [];

  constructor(plan: ServerPlan) {
    this.#plan = plan;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get dir(): string {
    return this.#plan.dir;
  }

  /** What it printed last, for a test that fails. */
  get output(): string {
    return this.#lines.join("\n");
  }

  /** Starts it, or starts it again over the same files. Resolves once it can be used. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error("The server runs already");
    const { binary, args, ready } = this.#plan;
    const child = spawn(binary.path, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...binary.env },
    });
    this.#child = child;
    // Without a number it could not be started.
    const unguard = child.pid === undefined ? undefined : guardServer(child.pid, this.#plan.dir);
    const gone = new Promise<void>((resolve) => {
      const end = (): void => {
        unguard?.();
        if (this.#child === child) this.#child = undefined;
        resolve();
      };
      child.once("close", end);
      child.once("error", end);
    });
    this.#gone = gone;
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${binary.path} ${why}:\n${this.output}`));
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        fail(`was not ready after ${READY_MS} ms`);
      }, READY_MS);
      child.once("error", (error) => fail(`cannot be started: ${error.message}`));
      void gone.then(() => {
        clearTimeout(timer);
        fail("ended before it was ready");
      });
      const hear = (chunk: Buffer): void => {
        for (const line of chunk.toString().split("\n")) {
          if (line.trim() === "") continue;
          this.#lines.push(line);
          if (this.#lines.length > LINES_MAX) this.#lines.shift();
          if (!ready.test(line)) continue;
          clearTimeout(timer);
          resolve();
        }
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
    });
  }

  /** Ends it in good order; its files stay until {@link ServerProcess.remove}. */
  async stop(): Promise<void> {
    // A frozen process does not hear SIGTERM.
    this.thaw();
    await this.#end("SIGTERM");
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops it in its tracks: connections stay open, and nothing answers. Where the system tells, it has stopped then. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
    const deadline = performance.now() + STOPPED_MS;
    while (this.pid !== undefined && !hasStopped(this.pid) && performance.now() < deadline);
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Ends it and removes its folder. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#plan.dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal);
    await this.#gone;
  }
}
