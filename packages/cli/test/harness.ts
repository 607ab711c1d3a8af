import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRegion } from "@tidemark/region/node";
import type { Region, RegionOptions } from "@tidemark/region";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { createInProcessNetwork } from "@tidemark/transport-inprocess";
import { exportZones, Zones } from "@tidemark/zones";
import { nodeZoneFiles } from "@tidemark/zones/node";
import type { Command } from "commander";
import { EXIT, runCli } from "../src/index.ts";
import type { CliIo, ExitCode } from "../src/index.ts";
import type { Run } from "../src/define.ts";

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
  /** Told of each piece of the results as it is written. */
  readonly onStdout?: (text: string) => void;
}

/** Runs a command line in this process. */
export async function cli(argv: readonly string[], around: Surroundings = {}): Promise<Ran> {
  const written = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr"): CliIo["stdout"] => ({
    write: (text) => {
      written[name] += text;
      if (name === "stdout") around.onStdout?.(text);
      return true;
    },
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

/** The first of two regions, its list of members on disk; the other is not there. Closed in good order. */
export async function makeMember(dir: string): Promise<void> {
  const network = createInProcessNetwork();
  const region = await makeRegion(dir, {
    name: "us-east",
    members: { version: 1, regions: { "us-east": 1, "eu-west": 2 } },
    transport: network.join("us-east"),
    clusterKey: network.clusterKey,
    bootstrap: true,
  });
  await region.close();
  await network.close();
}

/** When everything in {@link makeStore} was written. */
export const STORED_AT_MS = 1_790_000_000_000;

/** A store in `data/zones` with a current zone and an archive of the agent `scout`, and `data/exported` with the same as files. */
export async function makeStore(place: Place): Promise<void> {
  const kv = await openLmdbKv({ dir: place.folder("data", "zones"), nowMs: () => STORED_AT_MS });
  const zones = new Zones({ kv });
  for (const text of ["Find me a quiet beach", "And a train"]) {
    const state = JSON.stringify({ nodes: [{ type: "user_message", text }] });
    await zones.writeSessionState("scout", state, { revision: 1, logOffset: 0 });
    if (text.startsWith("Find")) await zones.archiveSession("scout");
  }
  await zones.appendSessionOutput("scout", [{ said: "looking" }]);
  await exportZones(zones, nodeZoneFiles(place.folder("data", "exported")));
  await kv.close();
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

/** A run that runs nothing: to look at the tree of commands. */
export const NOWHERE: Run = { io: undefined as never, exitCode: EXIT.ok, output: undefined as never };

/** Every command line that has a help text: the words before `--help`. */
export function commandsBelow(command: Command, words: readonly string[] = []): string[][] {
  return [[...words], ...command.commands.flatMap((child) => commandsBelow(child, [...words, child.name()]))];
}
