import type { Mutant } from "./mutant.ts";

const CRASH = { project: "wal", file: "packages/wal/test/crash.test.ts" };
const FAULTS = { project: "wal", file: "packages/wal/test/faults.test.ts" };
const GROUP_COMMIT = "packages/wal/src/group-commit.ts";
const SEGMENT_SCAN = "packages/wal/src/segment-scan.ts";

/** Scenarios 1 to 12: what a log does with the bytes that a crash, a disk or another process left it. */
export const LOG_MUTANTS: readonly Mutant[] = [
  {
    scenario: 1,
    name: "a batch that was written in part is applied",
    edits: [
      {
        file: SEGMENT_SCAN,
        pattern: "if (!verifyBatch(reader.buffer, reader.at, header, segment.hasher)) {",
        replacement: "if (header.payloadBytes === 0) {",
      },
    ],
    tests: [{ ...CRASH, name: "scenario 1, WAL-12: a crash at every byte of an append" }],
  },
  {
    scenario: 2,
    name: "a batch whose last byte is there counts as whole, as if sectors survived in order",
    edits: [
      {
        file: SEGMENT_SCAN,
        pattern: "if (!verifyBatch(reader.buffer, reader.at, header, segment.hasher)) {",
        replacement: "if (reader.buffer[reader.at + length - 1] === 0) {",
      },
    ],
    tests: [{ ...CRASH, name: "scenario 2: whatever sectors survive a crash" }],
  },
  {
    scenario: 3,
    name: "after a torn tail, writing goes on behind the garbage",
    edits: [
      {
        file: "packages/wal/src/recovery.ts",
        pattern: "if (cutAt !== undefined) await file.truncate(cutAt);",
        replacement:
          "if (cutAt !== undefined && extent?.segment === segment) extent.end = await file.size();",
      },
    ],
    tests: [
      { ...CRASH, name: "scenario 3: after a torn tail the epoch has ended" },
      { ...CRASH, name: "scenario 3: a foreign log goes on by fetching right where its torn tail was cut" },
    ],
  },
  {
    scenario: 4,
    name: "a newer segment is kept though LSNs are missing before it",
    edits: [
      {
        file: "packages/wal/src/log-scan.ts",
        pattern: "if (extent.firstLsn !== next) return index;",
        replacement: "if (extent.firstLsn < next) return index;",
      },
    ],
    tests: [{ ...CRASH, name: "scenario 4: a newer segment that does not continue exactly is never joined" }],
  },
  {
    scenario: 5,
    name: "recovery stops at the first damage and drops what is behind it",
    edits: [
      {
        file: "packages/wal/src/log-scan.ts",
        pattern: "const found = await findBatchAfter(segment, result.offset + 1, lsn, result.claim);",
        replacement: "const found: number | undefined = undefined;",
      },
    ],
    tests: [
      { ...CRASH, name: "scenario 5: every flipped bit of a sealed batch is detected" },
      {
        project: "wal",
        file: "packages/wal/test/repair.test.ts",
        name: "scenario 5, WAL-11: every bit of a sealed segment is detected, and repaired from a peer",
      },
    ],
  },
  {
    scenario: 6,
    name: "damage below the durable watermark is cut off like a torn tail",
    edits: [
      {
        file: "packages/wal/src/recovery.ts",
        pattern: "const below = Math.max(watermark?.lsn ?? 0, (tail?.firstLsn ?? 1) - 1) > durable.lsn;",
        replacement: "const below = false;",
      },
    ],
    tests: [{ ...CRASH, name: "scenario 6: damage below the durable watermark is corruption" }],
  },
  {
    scenario: 7,
    name: "a failed sync is tried again, and believed when it succeeds",
    edits: [
      {
        file: GROUP_COMMIT,
        pattern: "        segment.syncNow();",
        replacement: "        try { segment.syncNow(); } catch { segment.syncNow(); }",
      },
      {
        file: GROUP_COMMIT,
        pattern: "const synced = segment.sync();",
        replacement: "const synced = segment.sync().catch(() => segment.sync());",
      },
    ],
    tests: [
      { ...FAULTS, name: "scenario 7, WAL-8: a failed sync acknowledges nobody of that batch" },
      { ...FAULTS, name: "scenario 7: the same for a lone caller" },
    ],
  },
  {
    scenario: 7,
    name: "a batch is acknowledged before its failed sync is heard of",
    edits: [
      {
        file: GROUP_COMMIT,
        pattern: `      builder.reject(this.#tail.fail(error, "WAL_SYNC_FAILED"));
      return;`,
        replacement: `      this.#tail.fail(error, "WAL_SYNC_FAILED");
      builder.resolve();
      return;`,
      },
    ],
    tests: [
      { ...FAULTS, name: "scenario 7, WAL-8: a failed sync acknowledges nobody of that batch" },
      { ...FAULTS, name: "scenario 7: the same for a lone caller" },
    ],
  },
  {
    scenario: 8,
    name: "a failed write is acknowledged, and the log goes on over the hole",
    edits: [
      {
        file: GROUP_COMMIT,
        pattern: `      builder.reject(this.#tail.fail(error, writeErrorCode(error)));
      return;`,
        replacement: "",
      },
    ],
    tests: [
      { ...FAULTS, name: "scenario 8, WAL-8: EIO and ENOSPC reach exactly the callers of the batch" },
      { ...FAULTS, name: "scenario 8: a disk that fills up for real never acknowledges over a hole" },
    ],
  },
  {
    scenario: 8,
    name: "a short write counts as a whole one",
    edits: [
      {
        file: "packages/wal/src/file-system.ts",
        pattern: "while (done < bytes.length) {",
        replacement: "while (done < 0) {",
      },
    ],
    tests: [{ ...FAULTS, name: "scenario 8: a short write is written on" }],
  },
  {
    scenario: 9,
    name: "the directory is not synced after a rotation",
    edits: [
      {
        file: "packages/wal/src/segment-writer.ts",
        pattern: `    await fs.syncDir(dir);
    const old = this.#file;`,
        replacement: "    const old = this.#file;",
      },
    ],
    tests: [{ ...CRASH, name: "scenario 9: a crash around rotation neither loses nor doubles a segment" }],
  },
  {
    scenario: 10,
    name: "a batch whose digest is right is accepted, whatever its log, its LSN and the batch before it",
    edits: [
      {
        file: SEGMENT_SCAN,
        pattern: "if (!sameLog(header.log, segment.log))\n        throw new WalError",
        replacement: "if (false)\n        throw new WalError",
      },
      {
        file: SEGMENT_SCAN,
        pattern: `      continues = chain === undefined || continuesChain(header, previous, chain);
      if (!continues) {`,
        replacement: `      continues = true;
      if (previous.length === 0) {`,
      },
    ],
    tests: [
      { ...CRASH, name: "scenario 10: an older valid batch at a newer offset is refused" },
      { ...CRASH, name: "scenario 10: a batch of the right LSN and another history is refused" },
    ],
  },
  {
    scenario: 11,
    name: "a second process opens a log that another one holds",
    edits: [
      {
        file: "packages/wal/src/node.ts",
        pattern: `    const holder = await askHolder(endpoint);
    if (holder === undefined && attempt < 3) {`,
        replacement: `    const holder = await askHolder(endpoint);
    if (holder !== undefined) return { release: async () => {} };
    if (holder === undefined && attempt < 3) {`,
      },
    ],
    tests: [
      {
        project: "wal",
        file: "packages/wal/test/node.test.ts",
        name: "scenario 11, WAL-9: a second process is refused and told who holds the log",
      },
    ],
  },
  {
    scenario: 12,
    name: "a batch is told, and shipped, before its sync",
    edits: [
      {
        file: GROUP_COMMIT,
        pattern: `    this.#tail.commit(stored);
    builder.resolve();`,
        replacement: "    builder.resolve();",
      },
      {
        file: GROUP_COMMIT,
        pattern: `    try {
      const lone =`,
        replacement: `    this.#tail.commit(stored);
    try {
      const lone =`,
      },
    ],
    tests: [
      { ...FAULTS, name: "scenario 12, WAL-7: nobody sees a batch before its sync" },
      {
        project: "replication",
        file: "packages/replication/test/faults.test.ts",
        name: "REP-1 scenario 12: nothing is shipped before its fsync",
      },
      {
        project: "region",
        file: "packages/region/test/restart.test.ts",
        name: "scenario 12: RGN-3 a write whose fsync has not come is nowhere else",
      },
    ],
  },
];
