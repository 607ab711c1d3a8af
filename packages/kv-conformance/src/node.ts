import { spawn } from "node:child_process";
import type { Kv } from "@tidemark/kv";
import type { KvWorker } from "./check.ts";
import { type KvTask, runKvTask } from "./kv-task.ts";

/** How {@link spawnKvWorker} starts a program. */
export interface SpawnKvWorkerOptions {
  /** Path of the program's file. */
  readonly program: string;
  /** What to do; it becomes the first argument, as JSON. */
  readonly task: KvTask;
  /** Further arguments: where the store is. */
  readonly args: readonly string[];
  /** Options of Node itself, such as a loader. @defaultValue those of this process */
  readonly execArgv?: readonly string[];
}

/** Starts a program that ends in {@link serveKvTask}, for the hook `processes`. What it writes to stderr is shown. */
export function spawnKvWorker(options: SpawnKvWorkerOptions): KvWorker {
  const { program, task, args, execArgv = process.execArgv } = options;
  const child = spawn(process.execPath, [...execArgv, program, JSON.stringify(task), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return {
    reports: numbersOf(child.stdout.setEncoding("utf8")),
    exited: new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code));
    }),
    kill: () => void child.kill("SIGKILL"),
  };
}

/**
 * The whole of a program that {@link spawnKvWorker} starts: opens the store, works at the task of the first argument,
 * and writes its reports to standard output, each at once.
 *
 * @param open - Opens the store by the arguments after the task.
 */
export async function serveKvTask(open: (...args: string[]) => Promise<Kv>): Promise<void> {
  const [task = "", ...args] = process.argv.slice(2);
  await using kv = await open(...args);
  await runKvTask(kv, JSON.parse(task) as KvTask, (number) => process.stdout.write(`${number}\n`));
}

/** The numbers of whole lines: what was cut by the end of the process is none. */
async function* numbersOf(output: AsyncIterable<string>): AsyncGenerator<number, void, undefined> {
  let rest = "";
  for await (const chunk of output) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.map(Number);
  }
}
