// P4: opening and replaying a log with verification, and verifying a directory, against reading and hashing the same
// bytes; and what memory either takes at its peak, for this log and for one of an eighth of its size.
// `P4_BYTES` sets the size of the log: 1 GiB is P4_BYTES=1073741824.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { createBlake3Hasher } from "../../packages/blake3-wasm/dist/index.js";
import { logId } from "../../packages/core/dist/index.js";
import { forEachRecord, openWal, verifyDirectory } from "../../packages/wal/dist/index.js";
import { nodeFs } from "../../packages/wal/dist/node.js";
import { ROUNDS, bound, bytesOf, compare, seeded } from "../harness.mjs";

export const ROWS = ["P4"];

const BYTES = Number(process.env.P4_BYTES ?? 256 * 1024 * 1024);
const RECORD_BYTES = 100;
const BATCH = 1000;
const BLOCK_BYTES = 1024 * 1024;
const OWN = logId(1, 0, 1, "sessions");
const hasher = createBlake3Hasher();

/** Writes a log of about `bytes` bytes; returns how many records it has. */
export async function fill(dir, bytes) {
  const random = seeded(4);
  const records = Array.from({ length: BATCH }, () => ({ type: 0x80, body: bytesOf(random, RECORD_BYTES) }));
  const wal = await openWal({ fs: nodeFs(), dir, hasher });
  const log = await wal.createLog(OWN);
  while (wal.byteCount() < bytes) await Promise.all([log.appendMany(records), log.appendMany(records)]);
  const lsn = log.durable.lsn;
  await wal.close();
  return lsn;
}

/** Opens the log, which verifies it, and visits every record. */
export async function replay(dir) {
  const wal = await openWal({ fs: nodeFs(), dir, hasher });
  let records = 0;
  const visit = () => {
    records += 1;
  };
  for await (const batch of wal.log(OWN).read(1, { verify: false })) forEachRecord(batch, visit);
  await wal.close();
  return records;
}

export const verify = (dir) => verifyDirectory(nodeFs(), dir, { hasher });

function readAndHash(dir) {
  const block = new Uint8Array(BLOCK_BYTES);
  let bytes = 0;
  for (const name of readdirSync(join(dir, "sessions")).sort()) {
    if (!name.endsWith(".wal")) continue;
    const file = openSync(join(dir, "sessions", name), "r");
    for (;;) {
      const read = readSync(file, block, 0, BLOCK_BYTES, null);
      if (read === 0) break;
      hasher.digest("tidemark 2026 wal-batch v2", block.subarray(0, read), 16);
      bytes += read;
    }
    closeSync(file);
  }
  return bytes;
}

/** The peak of a process of its own, in MiB. */
function peak(what, dir) {
  const child = fileURLToPath(new URL("../p04-peak.mjs", import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [child, what, dir], { encoding: "utf8" });
  assert.equal(status, 0);
  return Number(stdout) / 1024;
}

export async function run() {
  const root = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const size = `${Math.round(BYTES / 1024 / 1024)} MiB`;
  try {
    const dir = join(root, "wal");
    const small = join(root, "small");
    const lsn = await fill(dir, BYTES);
    await fill(small, BYTES / 8);
    const timed = async (body) => {
      const start = performance.now();
      await body();
      return performance.now() - start;
    };
    const base = () => timed(() => assert.ok(readAndHash(dir) >= BYTES));
    const common = {
      row: "P4",
      unit: "ms",
      lowerIsBetter: true,
      goals: { "read + hash": 2 },
      rounds: ROUNDS,
    };
    const lines = await compare({
      ...common,
      work: `open and replay with verification, ${size}, 1,000 x 100 B a batch`,
      variants: {
        tidemark: () => timed(async () => assert.equal(await replay(dir), lsn)),
        "read + hash": base,
      },
    });
    lines.push(
      ...(await compare({
        ...common,
        work: `verifyDirectory, ${size}`,
        variants: {
          tidemark: () =>
            timed(async () => {
              const found = await verify(dir);
              assert.deepEqual([found.openable, found.logs[0].last], [true, lsn]);
            }),
          "read + hash": base,
        },
      })),
    );
    const idle = peak("idle", dir);
    for (const what of ["replay", "verify"]) {
      const [large, eighth] = [peak(what, dir) - idle, peak(what, small) - idle];
      lines.push(
        bound({
          row: "P4",
          work: `peak memory above an idle process, ${what}, ${size} less an eighth of it`,
          unit: "MiB",
          name: `tidemark (${large.toFixed(1)} less ${eighth.toFixed(1)})`,
          value: Math.max(0.01, large - eighth),
          goal: 32,
        }),
      );
    }
    return lines;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
