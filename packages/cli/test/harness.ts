import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegion } from "@tidemark/region/node";
import type { Region, RegionOptions } from "@tidemark/region";
import { runCli } from "../src/index.ts";
import type { CliIo, ExitCode } from "../src/index.ts";

/** What a command line did. */
export interface Ran {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

/** Surroundings that differ from those of a pipe. */
export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A terminal on both ends. */
  readonly tty?: boolean;
  readonly now?: () => number;
  readonly signal?: AbortSignal;
  readonly answer?: boolean;
}

/** Runs a command line in this process. */
export async function cli(argv: readonly string[], around: Surroundings = {}): Promise<Ran> {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): CliIo["stdout"] => ({
    write: (text) => ((written[name] += text), true),
    isTTY: around.tty ?? false,
    drained: () => Promise.resolve(),
  });
  const { answer } = around;
  const io: CliIo = {
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env: around.env ?? {},
    cwd: around.cwd ?? tmpdir(),
    now: around.now ?? Date.now,
    signal: around.signal ?? new AbortController().signal,
    ...(answer === undefined ? {} : { confirm: () => Promise.resolve(answer) }),
  };
  const code = await runCli(argv, { io, version: "0.0.0-test" });
  return { code, ...written };
}

/** An empty folder that goes with the test. */
export class Place implements Disposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), "tidemark-cli-"));

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  folder(...parts: string[]): string {
    mkdirSync(this.path(...parts), { recursive: true });
    return this.path(...parts);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A region alone with one session of two operations, closed in good order unless it is kept open. */
export async function makeRegion(dir: string, options: Partial<RegionOptions> = {}): Promise<Region> {
  const region = await openRegion({ dir, ...options });
  const session = await region.sessions.start({ id: "the-session", user: "the-user", agent: "scout" });
  await session.hide("the-item");
  return region;
}

/** Every file below a folder with its bytes, and every folder: what a command that changes nothing leaves as it was. */
export function treeOf(dir: string): Record<string, string> {
  const tree: Record<string, string> = {};
  const walk = (path: string, name: string): void => {
    if (!statSync(path).isDirectory()) {
      tree[name] = readFileSync(path).toString("base64");
      return;
    }
    tree[`${name}/`] = "";
    for (const entry of readdirSync(path).toSorted()) walk(join(path, entry), `${name}/${entry}`);
  };
  walk(dir, ".");
  return tree;
}
