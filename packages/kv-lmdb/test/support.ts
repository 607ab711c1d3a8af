import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Kv } from "@tidemark/kv";
import { build } from "esbuild";
import { onTestFinished } from "vitest";
import { type LmdbKvOptions, openLmdbKv } from "../src/index.ts";

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Where a sync costs nothing, if there is such a place: what `kill -9` leaves is the same there as on a disk. */
const MEMORY = "/dev/shm";
export const PLACES: string = existsSync(MEMORY) ? MEMORY : tmpdir();

export const bytes = (value: string): Uint8Array => utf8.encode(value);
export const textOf = (value: Uint8Array | undefined): string | undefined => value && text.decode(value);

/** The path of a directory that does not exist yet and is removed with the test. In memory unless a disk is asked for. */
export function newDirectory({ name = "store", disk = false } = {}): string {
  const place = mkdtempSync(join(disk ? tmpdir() : PLACES, "tidemark-kv-lmdb-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  return join(place, name);
}

/** A handle that is closed with the test. */
export async function openFor(dir: string, options: Partial<LmdbKvOptions> = {}): Promise<Kv> {
  const kv = await openLmdbKv({ dir, ...options });
  onTestFinished(() => kv.close());
  return kv;
}

/** All keys and values of a partition as text. */
export async function contentOf(kv: Kv, partition: string): Promise<[string, string][]> {
  const rows: [string, string][] = [];
  let start: Uint8Array | undefined;
  do {
    const page = await kv.scan(partition, start === undefined ? {} : { start });
    for (const { key, value } of page.items) rows.push([textOf(key)!, textOf(value)!]);
    start = page.next;
  } while (start !== undefined);
  return rows;
}

const PROGRAMS = ["program", "task-program"] as const;

/** The file of a program that `buildPrograms()` has made. */
export const programOf = (name: (typeof PROGRAMS)[number]): string =>
  fileURLToPath(new URL(`../node_modules/.cache/programs/${name}.mjs`, import.meta.url));

/** Makes one file of each program and what it imports, so that a process of it starts at once. */
export async function buildPrograms(): Promise<void> {
  for (const name of PROGRAMS) {
    const made = `${programOf(name)}.${process.pid}`;
    await build({
      entryPoints: [fileURLToPath(new URL(`${name}.ts`, import.meta.url))],
      outfile: made,
      bundle: true,
      platform: "node",
      target: "node20",
      format: "esm",
      external: ["lmdb"],
      conditions: ["@tidemark/source"],
    });
    // Test files run side by side: another may be starting what this one makes.
    renameSync(made, programOf(name));
  }
}

/** A process of `program.ts`, which `buildPrograms()` has made. */
export interface Program {
  /** Resolves with the line once it is said; rejects if the process ends before. */
  said(line: RegExp): Promise<string>;
  /** Every whole line so far. */
  lines(): readonly string[];
  tell(line: string): void;
  kill(signal: NodeJS.Signals): void;
  /** Resolves once it is gone, to its code or its signal. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** How a program is started. */
export interface ProgramOptions {
  /** What comes before Node on the command line, such as a tracer. */
  readonly before?: readonly string[];
  /** Called at each whole line. */
  readonly onLine?: (line: string, program: Program) => void;
  readonly uid?: number;
}

/** Starts `program.ts`; it is killed with the test. */
export function startProgram(args: readonly string[], options: ProgramOptions = {}): Program {
  const { before = [], onLine, uid } = options;
  const command = [...before, process.execPath, programOf("program"), ...args];
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  onTestFinished(() => {
    child.stdin.destroy();
    child.kill("SIGKILL");
  });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  let [rest, errors, gone] = ["", "", false];
  const news = (): void => {
    for (const listener of listeners) listener();
  };
  child.stdout.on("data", (part) => {
    const pieces = (rest + String(part)).split("\n");
    rest = pieces.pop()!;
    for (const line of pieces) {
      lines.push(line);
      onLine?.(line, program);
    }
    news();
  });
  child.stderr.on("data", (part) => (errors += String(part)));
  child.stdin.on("error", () => {});
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      gone = true;
      news();
      resolve(signal ?? code!);
    });
  });
  const program: Program = {
    said: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find((line) => pattern.test(line));
          if (found === undefined && !gone) return;
          listeners.delete(look);
          if (found === undefined) reject(new Error(`It ended without ${String(pattern)}: ${errors}`));
          else resolve(found);
        };
        listeners.add(look);
        look();
      }),
    lines: () => lines,
    tell: (line) => void child.stdin.write(`${line}\n`),
    kill: (signal) => void child.kill(signal),
    ended,
  };
  return program;
}
