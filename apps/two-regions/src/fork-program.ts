import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";

const isSource = import.meta.url.endsWith(".ts");

/** Processes that are killed when this one exits. */
const RUNNING = new Set<ChildProcess>();
const endAll = (): void => {
  for (const child of RUNNING) child.kill("SIGKILL");
};

/**
 * Starts a program of this folder in a process of its own, from source where this one is. It hears its parent's messages,
 * and of its end by their channel: also where nobody is left to tell it. It is killed when this process exits.
 *
 * @param name - The module, without its extension.
 */
export function forkProgram(name: string): ChildProcess {
  const child = fork(fileURLToPath(new URL(`${name}.${isSource ? "ts" : "js"}`, import.meta.url)), [], {
    ...(isSource ? { cwd: fileURLToPath(new URL("..", import.meta.url)) } : {}),
    execArgv: isSource ? ["--conditions=@tidemark/source", "--import=tsx"] : [],
    env: { ...process.env, NODE_OPTIONS: "" },
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  if (RUNNING.size === 0) process.prependListener("exit", endAll);
  RUNNING.add(child);
  const forget = (): void => {
    RUNNING.delete(child);
    if (RUNNING.size === 0) process.off("exit", endAll);
  };
  child.once("exit", forget);
  child.once("error", forget);
  return child;
}
