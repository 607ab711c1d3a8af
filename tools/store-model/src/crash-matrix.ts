import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { decodeKey, type Kv, openMemoryKv } from "@tidemark/kv";
import { openLmdbKv } from "@tidemark/kv-lmdb";
import { openSessionStores, sessionPartition } from "@tidemark/session-store";
import { type Death, dyingKv } from "./dying-kv.ts";
import { ATTACHED, runTurn, SESSION } from "./turn.ts";

const isSource = import.meta.url.endsWith(".ts");
const PROGRAM = fileURLToPath(new URL(`turn-process.${isSource ? "ts" : "js"}`, import.meta.url));
const HOUR_MS = 3_600_000;

/** How many calls of the store a whole turn makes. */
export async function callsOfTurn(): Promise<number> {
  const kv = dyingKv(openMemoryKv(), undefined, () => {});
  await runTurn(kv, "first");
  return kv.calls();
}

/** Every place to die at: before and after each call. */
export async function deaths(): Promise<Death[]> {
  const calls = await callsOfTurn();
  return Array.from({ length: calls }, (_, index) => index + 1).flatMap((call): Death[] => [
    { call, side: "before" },
    { call, side: "after" },
  ]);
}

/** Lets a process die over LMDB, and judges what the next worker makes of it. Throws if that is wrong. */
export async function judgeProcess(death: Death): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "tidemark-crash-"));
  try {
    const child = spawn(
      process.execPath,
      [
        ...(isSource ? ["--conditions=@tidemark/source", "--import=tsx"] : []),
        PROGRAM,
        dir,
        String(death.call),
        death.side,
      ],
      {
        cwd: fileURLToPath(new URL("..", import.meta.url)),
        env: { ...process.env, NODE_OPTIONS: "" },
        stdio: "inherit",
      },
    );
    const [, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    if (signal !== "SIGKILL") throw new Error(`The turn did not die at call ${death.call}`);
    const kv = await openLmdbKv({ dir });
    await judge(kv, death);
    await kv.close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The same without a process: the turn never goes on from the call it dies at. */
export async function judgeInMemory(death: Death): Promise<void> {
  const kv = openMemoryKv();
  const died = new Error("died");
  const dying = dyingKv(kv, death, () => {
    throw died;
  });
  await runTurn(dying, "first").catch((error: unknown) => {
    if (error !== died && (error as { cause?: unknown }).cause !== died) throw error;
  });
  await judge(kv, death);
}

/** Goes on as the same worker started anew, or as another once the lease is over, and looks for what should not be there. */
async function judge(kv: Kv, { call }: Death): Promise<void> {
  const successor = call % 2 === 0;
  const store = successor ? laterKv(kv, HOUR_MS) : kv;
  const session = await runTurn(store, successor ? "second" : "first");
  const stores = await openSessionStores({ kv: store });
  await stores.collectAttachments({ intentAgeMs: 0, graceMs: 0 });
  await stores.sweepDirectory(Number.MAX_SAFE_INTEGER);
  const head = await session.load();
  same(
    head?.graph.nodes.map(({ id }) => id),
    ["node-1"],
    "nodes",
  );
  same(head?.revision, 1, "revision");
  same(await session.work.list(), [], "open work");
  const rows = await session.attachments.rows();
  same(
    rows.map(({ committedAtMs }) => committedAtMs !== undefined),
    [true],
    "attachments",
  );
  same(await session.attachments.get(rows[0]!.id), ATTACHED, "bytes");
  const { retained, deleted, strays, givenUp, complete } = await stores.collectAttachments({
    intentAgeMs: 0,
    graceMs: 0,
  });
  same(
    { retained, deleted, strays, givenUp, complete },
    { retained: 1, deleted: 0, strays: 0, givenUp: 0, complete: true },
    "blobs",
  );
  same(await kindsOf(kv), await (clean ??= kindsOfCleanRun()), "records");
}

let clean: Promise<string[]> | undefined;

async function kindsOfCleanRun(): Promise<string[]> {
  const kv = openMemoryKv();
  await runTurn(kv, "first");
  return kindsOf(kv);
}

/** The kinds of the session's records, one for each. */
async function kindsOf(kv: Kv): Promise<string[]> {
  const { items } = await kv.scan(sessionPartition(SESSION), { limit: 10_000 });
  return items.map(({ key }) => String(decodeKey(key)[0]));
}

function laterKv(kv: Kv, aheadMs: number): Kv {
  const later = dyingKv(kv, undefined, () => {});
  return { ...later, nowMs: async () => (await kv.nowMs()) + aheadMs };
}

function same(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}
