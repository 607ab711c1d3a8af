// One process of P16: folds sessions of 20 operations each within a budget, and prints what its memory was.
// usage: node --expose-gc sessions-in-memory.mjs SESSIONS BUDGET_BYTES
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBlake3Hasher } from "../packages/blake3-wasm/dist/index.js";
import { ByteWriter, logId } from "../packages/core/dist/index.js";
import { openColdFile } from "../packages/region/dist/cold-file.js";
import { encodeOp, SessionFold } from "../packages/session/dist/index.js";
import { nodeFs } from "../packages/wal/dist/node.js";
import { seeded } from "./harness.mjs";

const [sessions, budgetBytes] = process.argv.slice(2).map(Number);
const OPS = 20;
const NOW = 1_790_000_000_000;
const dir = mkdtempSync(join(tmpdir(), "tidemark-p16-"));
const store = await openColdFile(nodeFs(), dir);
const hasher = createBlake3Hasher();
const fold = new SessionFold({ hasher, clusterId: new Uint8Array(8), cold: { store, budgetBytes } });
const log = logId(1, 0, 1, "sessions");
const writer = new ByteWriter(512);
const idOf = (n) =>
  `${(Math.imul(n, 2654435761) >>> 0).toString(16).padStart(8, "0")}-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;

let lsn = 0;
/** The k-th operation of a session; each has an operationId, so that its effect has to be known for ever. */
function write(n, k) {
  const tag = new Uint8Array(8);
  const view = new DataView(tag.buffer);
  // As a hash would spread them.
  view.setUint32(0, Math.imul(n * 32 + k, 2246822519));
  view.setUint32(4, n * 32 + k);
  const head = {
    session: idOf(n),
    lane: { region: 1, epoch: 1 },
    seqno: k,
    stamp: { wallMs: NOW + lsn, counter: 0, clockId: 1 },
    userKey: 0,
    operation: { tag, digest: tag },
  };
  encodeOp(writer.reset(), { ...head, ...contentOf(n, k) });
  fold.apply(writer.take(), log, ++lsn);
}

function contentOf(n, k) {
  if (k === 1)
    return {
      kind: "start",
      clear: { policy: "", policyVersion: 0 },
      sealed: { user: `user-${n % Math.ceil(sessions / 10)}`, agent: "shopper", metadata: {} },
    };
  if (k <= 14)
    return {
      kind: "signal",
      clear: {
        entity: `item-${(n * 7 + k) % 5000}`,
        signal: k % 3 === 0 ? "save" : "view",
        weight: 1,
        eventTimeMs: NOW,
      },
      sealed: {},
    };
  if (k <= 16) return { kind: "prefer", clear: {}, sealed: { key: `key-${k}`, value: "a value" } };
  if (k <= 18) return { kind: "search", clear: {}, sealed: { query: "linen shirt in blue" } };
  return { kind: "annotate", clear: {}, sealed: { text: "likes linen more than wool", entity: "item-1" } };
}

const memory = () => {
  globalThis.gc();
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  return { held: heapUsed + arrayBuffers, rss };
};
const empty = memory().held;
const samples = [];
const cpu = process.cpuUsage();
for (let n = 0; n < sessions; n++) {
  for (let k = 1; k <= OPS; k++) write(n, k);
  if (n % 100 === 99) fold.stable({ lsnOf: () => lsn, foldVersionMin: 2 });
  if ((n + 1) % Math.ceil(sessions / 10) === 0) samples.push({ sessions: n + 1, ...memory() });
}
fold.stable({ lsnOf: () => lsn, foldVersionMin: 2 });
const { user, system } = process.cpuUsage(cpu);
fold.digest();
const last = memory();
// What lies in the file is what was written.
const random = seeded(16);
for (let round = 0; round < 200; round++) {
  const n = Math.floor(random() * sessions);
  const state = fold.session(idOf(n));
  assert.equal(
    [...state.signals.values()].reduce((sum, each) => sum + each.size, 0),
    13,
  );
  assert.equal(state.searches.length, 2);
  // An operation that comes again counts once.
  const before = fold.stats().effects;
  write(n, 7);
  assert.equal(fold.stats().effects, before);
}
console.log(
  JSON.stringify({
    sessions,
    budgetBytes,
    emptyBytes: empty,
    heldBytes: last.held,
    heldMax: Math.max(last.held, ...samples.map(({ held }) => held)),
    rssMax: Math.max(last.rss, ...samples.map(({ rss }) => rss)),
    inMemory: fold.sessions.hot.sessions,
    fileBytes: store.size.fileBytes,
    cpuMicrosecondsPerOp: (user + system) / (sessions * OPS),
    samples,
  }),
);
await store.close();
rmSync(dir, { recursive: true });
