// P1, P1a, P2: the write-ahead log against a bare write and fdatasync of the same bytes.
import assert from "node:assert/strict";
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createBlake3Hasher } from "../../packages/blake3-wasm/dist/index.js";
import { logId } from "../../packages/core/dist/index.js";
import { openWal } from "../../packages/wal/dist/index.js";
import { nodeFs } from "../../packages/wal/dist/node.js";
import { bytesOf, compare, percentile, seeded } from "../harness.mjs";

export const ROWS = ["P1", "P1A", "P2"];

const RECORD_BYTES = 100;
const BATCH = 1000;
const BATCHES = 120;
const CALLERS = 1000;
const LONE = 1500;

export async function run() {
  const random = seeded(1);
  const records = Array.from({ length: BATCH }, () => ({ type: 0x80, body: bytesOf(random, RECORD_BYTES) }));
  const dir = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  try {
    const wal = await openWal({ fs: nodeFs(), dir: join(dir, "wal"), hasher: createBlake3Hasher() });
    const log = await wal.createLog(logId(1, 0, 1, "sessions"));
    const file = openSync(join(dir, "raw"), "a");
    const packed = Buffer.alloc(BATCH * RECORD_BYTES);
    const one = Buffer.alloc(RECORD_BYTES, 7);

    const rawBatches = () => {
      const start = performance.now();
      for (let batch = 0; batch < BATCHES; batch++) {
        let at = 0;
        for (const { body } of records) {
          packed.set(body, at);
          at += body.length;
        }
        writeSync(file, packed);
        fdatasyncSync(file);
      }
      return (BATCHES * BATCH * 1000) / (performance.now() - start);
    };

    const lines = await compare({
      row: "P1",
      work: "durable appendMany, 1,000 x 100 B a sync, digest per batch",
      unit: "records/s",
      variants: {
        tidemark: async () => {
          const before = log.durable.lsn;
          const start = performance.now();
          // One in flight and one waiting: a batch is packed while the one before it is synced.
          let pending = log.appendMany(records);
          for (let batch = 1; batch < BATCHES; batch++) {
            const next = log.appendMany(records);
            await pending;
            pending = next;
          }
          await pending;
          const seconds = (performance.now() - start) / 1000;
          assert.equal(log.durable.lsn - before, BATCHES * BATCH);
          return (BATCHES * BATCH) / seconds;
        },
        "raw write + fdatasync": rawBatches,
      },
      goals: { "raw write + fdatasync": 0.8 },
    });

    lines.push(
      ...(await compare({
        row: "P1a",
        work: "durable await append(), 1,000 callers in flight, 100 B",
        unit: "records/s",
        variants: {
          tidemark: async () => {
            const before = log.durable.lsn;
            const start = performance.now();
            const each = (BATCHES * BATCH) / CALLERS;
            await Promise.all(
              Array.from({ length: CALLERS }, async (_, caller) => {
                const { type, body } = records[caller % BATCH];
                for (let count = 0; count < each; count++) await log.append(type, body);
              }),
            );
            const seconds = (performance.now() - start) / 1000;
            assert.equal(log.durable.lsn - before, BATCHES * BATCH);
            return (BATCHES * BATCH) / seconds;
          },
          "raw write + fdatasync": rawBatches,
        },
        goals: { "raw write + fdatasync": 0.3 },
      })),
    );

    lines.push(
      ...(await compare({
        row: "P2",
        work: "durable await append(), one caller, 100 B, p50",
        unit: "us",
        lowerIsBetter: true,
        variants: {
          tidemark: async () => {
            const times = [];
            for (let count = 0; count < LONE; count++) {
              const start = performance.now();
              await log.append(0x80, records[count % BATCH].body);
              times.push(performance.now() - start);
            }
            return percentile(times, 0.5) * 1000;
          },
          "writeSync + fdatasyncSync": () => {
            const times = [];
            for (let count = 0; count < LONE; count++) {
              const start = performance.now();
              writeSync(file, one);
              fdatasyncSync(file);
              times.push(performance.now() - start);
            }
            return percentile(times, 0.5) * 1000;
          },
        },
        goals: { "writeSync + fdatasyncSync": 1.3 },
      })),
    );
    closeSync(file);
    await wal.close();
    return lines;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
