// P11: the whole path of an operation, 1,000 callers in flight: judged, deduplicated, stamped, encoded, digested, on
// disk, shipped in process, verified, on the other region's disk and applied there; against the naive composition of the
// usual parts (JSON, lru-cache, @noble/hashes, yjs) that does the same work in one file.
import assert from "node:assert/strict";
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { compare, peer } from "../harness.mjs";
import { withPair } from "../pair.mjs";

export const ROWS = ["P11"];

const CALLERS = 1_000;
const OPS = 40_000;
const KEYS = 10_000;

export async function run() {
  const [yjs, lru, noble] = [
    await peer("yjs"),
    await peer("lru-cache"),
    await peer("@noble/hashes/blake3.js"),
  ];
  if (!yjs || !lru || !noble) return [];
  let round = 0;
  return withPair(({ east, west, dir }) =>
    compare({
      row: "P11",
      work: `whole path, ${CALLERS} callers, one durable follower`,
      unit: "ops/s",
      rounds: 5,
      variants: {
        tidemark: () => ours(east, west, (round += 1)),
        "JSON + lru-cache + @noble + yjs": () =>
          naive({ yjs, lru, noble, path: join(dir, `naive-${(round += 1)}`) }),
      },
      goals: { "JSON + lru-cache + @noble + yjs": 8 },
    }),
  );
}

const keyOf = (count) => `key-${String((count * 7919) % KEYS).padStart(9, "0")}`;

/** Operations a second, from the first call until the follower has applied the last. */
async function measured(write, arrived) {
  const start = performance.now();
  let next = 0;
  const callers = Array.from({ length: CALLERS }, async () => {
    while (next < OPS) await write(next++);
  });
  await Promise.all(callers);
  await arrived();
  return (OPS * 1000) / (performance.now() - start);
}

async function ours(east, west, round) {
  const session = await east.sessions.start({ user: `user-${round}`, agent: "bench" });
  let seen = 0;
  let done;
  const stop = west.onChange((change) => {
    if (change.session === session.id && change.kind === "prefer" && ++seen === OPS) done?.();
  });
  const figure = await measured(
    async (count) => {
      const { outcome } = await session.prefer(keyOf(count), `value-${count}`, {
        operationId: `op-${count}`,
      });
      assert.equal(outcome, "applied");
    },
    () => seen >= OPS || new Promise((resolve) => (done = resolve)),
  );
  stop();
  assert.equal(west.sessions.get(session.id).state().hints.size, KEYS);
  return figure;
}

/** What a capable team would put together in an afternoon: group commit on both sides, one promise a caller. */
async function naive({ yjs, lru, noble, path }) {
  const { LRUCache } = lru;
  const { blake3 } = noble;
  const hex = (bytes) => Buffer.from(bytes).toString("hex");
  const side = (name) => ({
    file: openSync(`${path}-${name}`, "a"),
    seen: new LRUCache({ max: 100_000 }),
    doc: new yjs.Doc(),
    clock: { wall: 0, counter: 0 },
  });
  const [leader, follower] = [side("leader"), side("follower")];
  let waiting = [];
  let scheduled = false;
  let applied = 0;
  let done;
  const receive = (lines) => {
    const fresh = [];
    for (const line of lines) {
      const { digest, ...op } = JSON.parse(line);
      if (hex(blake3(Buffer.from(JSON.stringify(op)))) !== digest) throw new Error("damaged");
      if (follower.seen.has(op.id)) continue;
      follower.seen.set(op.id, true);
      fresh.push([op, line]);
    }
    writeSync(follower.file, `${fresh.map(([, line]) => line).join("\n")}\n`);
    fdatasyncSync(follower.file);
    for (const [op] of fresh) {
      yjs.applyUpdate(follower.doc, Buffer.from(op.update, "base64"));
      applied += 1;
    }
    if (applied === OPS) done?.();
  };
  const flush = () => {
    scheduled = false;
    const group = waiting;
    waiting = [];
    const lines = group.map(({ line }) => line);
    writeSync(leader.file, `${lines.join("\n")}\n`);
    fdatasyncSync(leader.file);
    for (const { resolve } of group) resolve();
    setImmediate(
      receive,
      lines.map((line) => `${line}`),
    );
  };
  let update;
  leader.doc.on("update", (bytes) => (update = bytes));
  const figure = await measured(
    (count) => {
      const id = `op-${count}`;
      if (leader.seen.has(id)) return undefined;
      leader.seen.set(id, true);
      const wall = Date.now();
      const { clock } = leader;
      if (wall > clock.wall) Object.assign(clock, { wall, counter: 0 });
      else clock.counter += 1;
      leader.doc.getMap("hints").set(keyOf(count), `value-${count}`);
      const op = {
        id,
        kind: "prefer",
        session: "session",
        stamp: `${String(clock.wall).padStart(15, "0")}:${String(clock.counter).padStart(5, "0")}:east`,
        update: Buffer.from(update).toString("base64"),
      };
      const line = JSON.stringify({ ...op, digest: hex(blake3(Buffer.from(JSON.stringify(op)))) });
      return new Promise((resolve) => {
        waiting.push({ line, resolve });
        if (!scheduled) {
          scheduled = true;
          setImmediate(flush);
        }
      });
    },
    () => applied >= OPS || new Promise((resolve) => (done = resolve)),
  );
  for (const { file } of [leader, follower]) closeSync(file);
  assert.equal(follower.doc.getMap("hints").size, KEYS);
  return figure;
}
