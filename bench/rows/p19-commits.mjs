// P19: durable commits of the embedded store, and of turns of a session, against the same rows by hand on lmdb.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { createBlake3Hasher } from "../../packages/blake3-wasm/dist/index.js";
import { openLmdbKv } from "../../packages/kv-lmdb/dist/index.js";
import { openSessionStores } from "../../packages/session-store/dist/index.js";
import { kvStore, lmdbStore, sqliteStore } from "../commit-stores.mjs";
import { bound, compare } from "../harness.mjs";
import { handTurns, sessionTurns } from "../turn-stores.mjs";

export const ROWS = ["P19"];

const CALLERS = 64;
/** How long a variant runs in a round. */
const ROUND_MS = 600;
const HAND = "by hand on lmdb";

export async function run() {
  const dir = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  try {
    return [...(await commits(dir)), ...(await turns(dir)), ...syncs(dir)];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function commits(dir) {
  const [tidemark, hand, sqlite] = [await kvStore(dir), lmdbStore(dir), await sqliteStore(dir)];
  const work = "compare-and-set, node of 1.1 KB, receipt";
  const lines = [
    ...(await compare({
      row: "P19",
      work: `durable commit, one caller: ${work}`,
      unit: "commits/s",
      variants: {
        tidemark: loneCalls(tidemark, CALLERS),
        [HAND]: loneCalls(hand, CALLERS),
        ...(sqlite && { "by hand on better-sqlite3": loneCalls(sqlite, CALLERS) }),
      },
      goals: { [HAND]: 0.8 },
    })),
    ...(await compare({
      row: "P19",
      work: `durable commit, ${CALLERS} callers: ${work}`,
      unit: "commits/s",
      variants: {
        tidemark: callersAtOnce((session, revision) => tidemark.commit(session, revision)),
        [`${HAND}, ${CALLERS} a transaction`]: groups(hand),
        ...(sqlite && { [`by hand on better-sqlite3, ${CALLERS} a transaction`]: groups(sqlite) }),
      },
      goals: { [`${HAND}, ${CALLERS} a transaction`]: 0.8 },
    })),
  ];
  for (const store of [tidemark, hand, sqlite]) await store?.close();
  return lines;
}

async function turns(dir) {
  const hand = handTurns(join(dir, "turns-by-hand"), CALLERS + 1);
  const kv = await openLmdbKv({ dir: join(dir, "turns") });
  const stores = await openSessionStores({ kv, hasher: createBlake3Hasher(), requireDurable: "disk" });
  const ours = await sessionTurns(stores, CALLERS + 1);
  const work = "head, node of 1.1 KB, its id, receipt, under a lease";
  const lines = [
    ...(await compare({
      row: "P19",
      work: `durable turn, one session: ${work}`,
      unit: "turns/s",
      variants: { tidemark: loneCalls(ours, CALLERS), [HAND]: loneCalls(hand, CALLERS) },
      goals: { [HAND]: 0.8 },
    })),
    ...(await compare({
      row: "P19",
      work: `durable turn, ${CALLERS} sessions: ${work}`,
      unit: "turns/s",
      variants: {
        tidemark: callersAtOnce((session, revision) => ours.commit(session, revision)),
        [`${HAND}, ${CALLERS} a transaction`]: groups(hand),
      },
      goals: { [`${HAND}, ${CALLERS} a transaction`]: 0.8 },
    })),
  ];
  await hand.close();
  await stores.close();
  await kv.close();
  return lines;
}

/** One commit after another, of one session; the figure is commits a second. */
function loneCalls(store, session) {
  let revision = 0;
  return async () => {
    const start = performance.now();
    const before = revision;
    while (performance.now() - start < ROUND_MS) {
      assert.equal(await store.commit(session, revision), true);
      revision += 1;
    }
    const seconds = (performance.now() - start) / 1000;
    assert.equal(await store.revision(session), revision);
    return (revision - before) / seconds;
  };
}

/** Every caller has a session of its own, and commits again once its last commit is acknowledged. */
function callersAtOnce(commit) {
  const revisions = Array.from({ length: CALLERS }, () => 0);
  return async () => {
    const start = performance.now();
    let count = 0;
    await Promise.all(
      revisions.map(async (_, session) => {
        while (performance.now() - start < ROUND_MS) {
          assert.equal(await commit(session, revisions[session]), true);
          revisions[session] += 1;
          count += 1;
        }
      }),
    );
    return (count * 1000) / (performance.now() - start);
  };
}

/** The same commits, put into one transaction by hand. */
function groups(store) {
  let revision = 0;
  return () => {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < ROUND_MS) {
      assert.equal(store.group(CALLERS, revision), true);
      revision += 1;
      count += CALLERS;
    }
    return (count * 1000) / (performance.now() - start);
  };
}

/** Syncs a commit, counted by a tracer; none where there is no tracer. */
function syncs(dir) {
  const count = (name, callers, each) => {
    const trace = join(dir, `trace-${name}`);
    const program = fileURLToPath(new URL("../commit-process.mjs", import.meta.url));
    const args = ["-f", "-o", trace, "-e", "trace=fdatasync", process.execPath, program];
    const { status } = spawnSync("strace", [
      ...args,
      join(dir, `sync-${name}`),
      String(callers),
      String(each),
    ]);
    if (status !== 0) return undefined;
    // One is the version of the new store.
    return (readFileSync(trace, "utf8").match(/fdatasync\(/g).length - 1) / (callers * each);
  };
  const alone = count("alone", 1, 100);
  if (alone === undefined) {
    console.error("strace is not available here: syncs are not counted");
    return [];
  }
  const line = (work, value, goal) =>
    bound({ row: "P19", work, unit: "syncs/commit", name: "tidemark", value, goal });
  return [
    line("fdatasync a commit, one caller", alone, 1),
    line(`fdatasync a commit, ${CALLERS} callers`, count("together", CALLERS, 100), 0.05),
  ];
}
