// P8: encoded remote last-writer-wins operations applied to a replica, against yjs, loro and automerge.
import assert from "node:assert/strict";
import { LwwMap } from "../../packages/core/dist/index.js";
import { bound, compare, peer, seeded } from "../harness.mjs";

export const ROWS = ["P8"];

const OPS = 100_000;
const KEYS = 10_000;

export async function run() {
  const yjs = await peer("yjs");
  const loro = await peer("loro-crdt");
  const automerge = await peer("@automerge/automerge");
  const random = seeded(8);
  const sets = Array.from({ length: OPS }, (_, index) => ({
    key: `key-${String(Math.floor(random() * KEYS)).padStart(9, "0")}`,
    value: Math.floor(random() * 1e6),
    index,
  }));
  const lines = [];
  for (const [perUpdate, goals] of [
    [1, { yjs: 20 }],
    [1000, { yjs: 8 }],
  ]) {
    const ours = oursUpdates(sets, perUpdate);
    const theirs = yjs && yjsUpdates(yjs, sets, perUpdate);
    const variants = {
      tidemark: () =>
        timed(() => {
          const map = new LwwMap();
          for (const update of ours) map.apply(update);
          assert.equal(map.size, new Set(sets.map(({ key }) => key)).size);
        }, OPS),
      ...(theirs && {
        yjs: () =>
          timed(() => {
            const doc = new yjs.Doc();
            for (const update of theirs) yjs.applyUpdate(doc, update);
          }, OPS),
      }),
    };
    if (loro && perUpdate > 1) {
      const updates = loroUpdates(loro, sets, perUpdate);
      variants["loro-crdt"] = () =>
        timed(() => {
          const doc = new loro.LoroDoc();
          for (const update of updates) doc.import(update);
        }, OPS);
    }
    if (automerge && perUpdate > 1) {
      const some = sets.slice(0, 10_000);
      const changes = automergeChanges(automerge, some, perUpdate);
      variants["automerge (10,000 ops)"] = () =>
        timed(() => {
          let doc = automerge.init();
          for (const change of changes) [doc] = automerge.applyChanges(doc, [change]);
        }, some.length);
    }
    lines.push(
      ...(await compare({
        row: "P8",
        work: `remote LWW operations, ${KEYS} keys, ${perUpdate} an update`,
        unit: "ops/s",
        variants,
        goals,
        rounds: 5,
      })),
    );
    if (perUpdate > 1) {
      const bytes = (updates) => updates.reduce((sum, update) => sum + update.length, 0) / OPS;
      lines.push(
        bound({
          row: "P8",
          work: `bytes an operation, ${perUpdate} an update${theirs ? ` (yjs: ${bytes(theirs).toFixed(1)})` : ""}`,
          unit: "B/op",
          name: "tidemark",
          value: bytes(ours),
          goal: theirs ? Math.round(bytes(theirs) * 10) / 10 : 20.3,
        }),
      );
      if (theirs && globalThis.gc) {
        const held = (make) => {
          globalThis.gc();
          const before = process.memoryUsage();
          const kept = make();
          globalThis.gc();
          const after = process.memoryUsage();
          if (kept === undefined) throw new Error("nothing was kept");
          return after.heapUsed + after.external - before.heapUsed - before.external;
        };
        const mine = held(() => {
          const map = new LwwMap();
          for (const update of ours) map.apply(update);
          return map;
        });
        const yours = held(() => {
          const doc = new yjs.Doc();
          for (const update of theirs) yjs.applyUpdate(doc, update);
          return doc;
        });
        lines.push(
          bound({
            row: "P8",
            work: `memory of the replica (yjs: ${(yours / 1e6).toFixed(1)} MB)`,
            unit: "MB",
            name: "tidemark",
            value: mine / 1e6,
            goal: Math.round((yours / 8e6) * 100) / 100,
          }),
        );
      }
    }
  }
  return lines;
}

/** Operations a second of processor time, as `rate` counts them. */
function timed(body, ops) {
  const before = process.cpuUsage();
  body();
  const { user, system } = process.cpuUsage(before);
  return (ops * 1e6) / (user + system);
}

function oursUpdates(sets, perUpdate) {
  const source = new LwwMap();
  const updates = [];
  for (let at = 0; at < sets.length; at += perUpdate) {
    updates.push(
      source.encodeUpdate(
        sets.slice(at, at + perUpdate).map(({ key, value, index }) => ({
          key,
          value: new TextEncoder().encode(String(value)),
          stamp: { wallMs: 1_790_000_000_000 + Math.floor(index / 8), counter: index % 8, clockId: 1 },
        })),
      ),
    );
  }
  return updates;
}

function yjsUpdates(yjs, sets, perUpdate) {
  const doc = new yjs.Doc();
  const updates = [];
  doc.on("update", (update) => updates.push(update));
  const map = doc.getMap("map");
  for (let at = 0; at < sets.length; at += perUpdate) {
    doc.transact(() => {
      for (const { key, value } of sets.slice(at, at + perUpdate)) map.set(key, value);
    });
  }
  return updates;
}

function loroUpdates(loro, sets, perUpdate) {
  const doc = new loro.LoroDoc();
  const map = doc.getMap("map");
  const updates = [];
  for (let at = 0; at < sets.length; at += perUpdate) {
    const from = doc.version();
    for (const { key, value } of sets.slice(at, at + perUpdate)) map.set(key, value);
    doc.commit();
    updates.push(doc.export({ mode: "update", from }));
  }
  return updates;
}

function automergeChanges(automerge, sets, perUpdate) {
  let doc = automerge.init();
  const changes = [];
  for (let at = 0; at < sets.length; at += perUpdate) {
    doc = automerge.change(doc, (draft) => {
      for (const { key, value } of sets.slice(at, at + perUpdate)) draft[key] = value;
    });
    changes.push(automerge.getLastLocalChange(doc));
  }
  return changes;
}
