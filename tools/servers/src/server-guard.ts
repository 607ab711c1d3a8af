import { spawn } from "node:child_process";
import type { Socket } from "node:net";

/**
 * Waits for a word, and ends the server and its folder if none comes: the pipe ends with this process, however it ends.
 * The folder may get files until the server is gone, so it is tried again.
 */
const SCRIPT = `trap '' HUP INT TERM
read -r word && exit
kill -9 "$1"
for attempt in 1 2 3 4 5; do rm -rf "$2" && exit; sleep 1; done`;

/**
 * Stops a server and removes its folder once this process is gone: also when it was killed with `kill -9`, and nobody
 * else could. A small process of its own watches, out of reach of what a terminal sends to this one.
 *
 * @returns how to end the watch, once the server has ended.
 */
export function guardServer(pid: number, dir: string): () => void {
  const guard = spawn("sh", ["-c", SCRIPT, "tidemark-server-guard", `${pid}`, dir], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Where there is no shell, or somebody ended it, there is no guard.
  guard.once("error", () => undefined);
  guard.stdin.once("error", () => undefined);
  // It must not keep this process running.
  guard.unref();
  (guard.stdin as Socket).unref();
  return () => guard.stdin.end("ended\n");
}
