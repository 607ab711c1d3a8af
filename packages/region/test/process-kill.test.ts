import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import type { RegionStatus } from "../src/index.ts";
import { openRegion } from "../src/node.ts";

const PROGRAM = fileURLToPath(new URL("writer-process.ts", import.meta.url));
/** A start of a process costs most of this test's time. */
const KILLS = 5;
const SEED = Number(process.env["TIDEMARK_SEED"] ?? 20_261_121);

const places: string[] = [];
afterEach(() => {
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

function newDirectory(): string {
  places.push(mkdtempSync(join(tmpdir(), "tidemark-kill-")));
  return join(places.at(-1)!, "data");
}

/** What a process said before it ended. */
interface Said {
  readonly tried: readonly string[];
  readonly acknowledged: readonly string[];
  readonly closed: boolean;
  readonly code: number | null;
  readonly errors: string;
}

/** Runs a writer until it has said so many lines, then ends it. */
function runWriter(options: {
  readonly dir: string;
  readonly first: number;
  readonly writers: number;
  readonly lines: number;
  readonly signal: "SIGKILL" | "SIGTERM";
}): Promise<Said> {
  const { dir, first, writers, lines, signal } = options;
  const args = [
    "--conditions=@tidemark/source",
    "--import",
    "tsx",
    PROGRAM,
    dir,
    String(first),
    String(writers),
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      // Not those of vitest, but those of a mutation check, if this is one.
      env: { ...process.env, NODE_OPTIONS: process.env["TIDEMARK_PROCESS_OPTIONS"] ?? "" },
    });
    let [text, errors, ended] = ["", "", false];
    child.stdout.on("data", (part) => {
      text += String(part);
      if (ended || text.split("\n").length <= lines) return;
      ended = true;
      child.kill(signal);
    });
    child.stderr.on("data", (part) => (errors += String(part)));
    child.on("error", reject);
    child.on("close", (code) => {
      // A line that was cut short was not said.
      const said = text.split("\n").slice(0, -1);
      const named = (word: string): string[] =>
        said.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
      resolve({
        tried: named("try"),
        acknowledged: named("ack"),
        closed: said.includes("closed"),
        code,
        errors,
      });
    });
  });
}

/** mulberry32: a kill that is not where the last one was, and is again under the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function annotationsOf(dir: string): Promise<string[]> {
  const region = await openRegion({ dir });
  try {
    return (
      region.sessions
        .get("the-session")
        ?.state()
        .annotations.map(({ text }) => text) ?? []
    );
  } finally {
    await region.close();
  }
}

test(`RGN-3 scenario 41: a process killed ${KILLS} times in the middle of its writes has lost nothing it acknowledged, and doubled nothing`, async () => {
  const random = randomOf(SEED);
  const dir = newDirectory();
  const tried = new Set<string>();
  const acknowledged = new Set<string>();
  let first = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    // The first may be hit while it opens or recovers, the others anywhere in some hundred writes.
    const lines = kill === 1 ? 1 : 1 + Math.floor(random() * 400);
    const writers = 1 + Math.floor(random() * 16);
    const said = await runWriter({ dir, first, writers, lines, signal: "SIGKILL" });
    const about = `seed ${SEED}, kill ${kill}, after ${lines} lines with ${writers} writers`;
    expect(said, about).toMatchObject({ closed: false, code: null, errors: "" });
    for (const name of said.tried) tried.add(name);
    for (const name of said.acknowledged) acknowledged.add(name);
    first += 10_000;
  }
  expect(acknowledged.size).toBeGreaterThan(0);
  const region = await openRegion({ dir });
  try {
    const session = region.sessions.get("the-session")!;
    expect(session, `the session is lost, seed ${SEED}`).toBeDefined();
    const held = session.state().annotations.map(({ text }) => text);
    expect(new Set(held).size, `doubled, seed ${SEED}`).toBe(held.length);
    expect(
      [...acknowledged].filter((name) => !held.includes(name)),
      `lost, seed ${SEED}`,
    ).toEqual([]);
    expect(held.filter((name) => !tried.has(name))).toEqual([]);
    // Whoever got no answer asks again: each is one effect, whatever became of it.
    for (const name of tried) {
      const { outcome } = await session.annotate(name, { operationId: name });
      expect(outcome, `${name}, seed ${SEED}`).toBe(held.includes(name) ? "duplicate" : "applied");
    }
    expect(session.state().annotations).toHaveLength(tried.size);
  } finally {
    await region.close();
  }
});

test("RGN-3 a process told to end lets its writes finish, keeps a checkpoint, says that it closed, and releases the directory", async () => {
  const dir = newDirectory();
  const said = await runWriter({ dir, first: 0, writers: 8, lines: 60, signal: "SIGTERM" });
  expect(said).toMatchObject({ closed: true, code: 0, errors: "" });
  expect(said.acknowledged.toSorted()).toEqual(said.tried.toSorted());
  const status = JSON.parse(await readFile(join(dir, "status.json"), "utf8")) as RegionStatus;
  expect(status.health.status).toBe("closed");
  expect(status.metrics.opsApplied).toBe(said.tried.length + 1);
  expect(new Set(await annotationsOf(dir))).toEqual(new Set(said.tried));
});
