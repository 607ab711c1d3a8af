import { logId } from "@tidemark/core";
import {
  inspectDirectory,
  memoryFs,
  verifyDirectory,
  type Log,
  type MemoryFs,
  type Wal,
} from "@tidemark/wal";
import { nobleHasher } from "@tidemark/core";
import { expect, test } from "vitest";
import { OWN, batches, bodies, body, fresh, open, outcome, own } from "./support.ts";

const SMALL = { segmentBytes: 1024 };
const hasher = nobleHasher;

async function peer(): Promise<Log> {
  const { log } = await fresh(SMALL, 99);
  for (let index = 1; index <= 30; index++) await log.append(2, body(`${index} ${"x".repeat(200)}`));
  return log;
}

async function copyOf(origin: Log, to: number, fs: MemoryFs = memoryFs()): Promise<Wal> {
  const wal = await open(fs, SMALL);
  const log = await wal.createLog(OWN);
  for (let lsn = 1; lsn <= to; lsn++) await log.appendVerbatim(await origin.readBatches(lsn, lsn, 1));
  return wal;
}

test("WAL-11 replaceLog() begins a foreign log anew behind a position, ahead of it, inside of it, and when it has failed", async () => {
  const origin = await peer();
  for (const lsn of [20, 5, 9]) {
    for (const digestBytes of [16, 8]) {
      const fs = memoryFs();
      const wal = await copyOf(origin, 9, fs);
      const log = own(wal);
      const heard: number[] = [];
      log.onCommit((batch) => heard.push(batch.lastLsn));
      if (lsn === 9) {
        fs.failWrite({ path: "" });
        expect(await outcome(log.appendVerbatim(await origin.readBatches(10, 10, 1)))).toBe(
          "WAL_WRITE_FAILED",
        );
      }
      const digest = ((await origin.digestAt(lsn)) as Uint8Array).slice(0, digestBytes);
      expect(await wal.replaceLog(OWN, { after: { lsn, digest } })).toBe(log);
      expect([log.first, log.durable.lsn, log.failed]).toEqual([lsn + 1, lsn, undefined]);
      expect(await outcome(bodies(log, lsn))).toBe("WAL_NOT_HELD");
      // The base is held to: another history does not continue it.
      const other = await fresh(SMALL, 4);
      for (let index = 1; index <= 30; index++) await other.log.append(2, body(`other ${index}`));
      const wrong = await other.log.readBatches(lsn + 1, lsn + 1, 1);
      expect(await outcome(log.appendVerbatim(wrong))).toBe("WAL_NOT_CONTIGUOUS");
      await log.appendVerbatim(await origin.readBatches(lsn + 1, lsn + 4, 1 << 20));
      expect(heard.slice(-4)).toEqual([1, 2, 3, 4].map((step) => lsn + step));
      expect(wal.vector().lsnOf(OWN)).toBe(lsn + 4);
      fs.crash(() => false);
      const again = await open(fs, SMALL);
      expect(again.recovery).toMatchObject([{ first: lsn + 1, durable: { lsn: lsn + 4 } }]);
      expect(await batches(own(again))).toEqual((await batches(origin, lsn + 1)).slice(0, 4));
      expect(again.segments(OWN).map((segment) => segment.firstLsn)[0]).toBe(lsn + 1);
    }
  }
});

test("WAL-11 replaceLog() makes a log that was not there, and refuses one that this run opened as its own", async () => {
  const { wal } = await fresh();
  const made = await wal.replaceLog(logId(7, 0, 1, "signals"), {
    after: { lsn: 4, digest: new Uint8Array(16).fill(1) },
  });
  expect(made.durable.lsn).toBe(4);
  const mine = await wal.openEpoch({ ...OWN, epoch: 11 });
  await expect(wal.replaceLog(mine.id, { after: mine.durable })).rejects.toThrow(TypeError);
});

test("WAL-11 a crash at any step of replaceLog() leaves the old log or the new one, and nothing in between", async () => {
  const origin = await peer();
  const after = { lsn: 20, digest: (await origin.digestAt(20)) as Uint8Array };
  const ends = new Set<string>();
  for (let step = 1; step <= 14; step++) {
    for (let seed = 1; seed <= 6; seed++) {
      const fs = memoryFs({ seed });
      const wal = await copyOf(origin, 9, fs);
      fs.failSync({ nth: step });
      const result = await outcome(wal.replaceLog(OWN, { after }));
      if (typeof result === "string") expect(own(wal).failed).toBeDefined();
      fs.crash();
      // Looking at it in this state changes nothing and finds no damage.
      const seen = await verifyDirectory(fs, "wal", { hasher });
      expect([seen.openable, seen.findings.filter((finding) => finding.blocks)]).toEqual([true, []]);
      const again = await open(fs, SMALL);
      const [recovery] = again.recovery;
      const log = own(again);
      expect(recovery?.corrupt).toBeUndefined();
      ends.add(`${log.first} ${log.durable.lsn}`);
      if (log.durable.lsn === 20) {
        expect([log.first, log.durable.digest]).toEqual([21, after.digest]);
      } else {
        expect([log.first, log.durable.lsn]).toEqual([1, 9]);
        expect(await batches(log)).toEqual((await batches(origin)).slice(0, 9));
        await again.replaceLog(OWN, { after });
      }
      await log.appendVerbatim(await origin.readBatches(21, 24, 1 << 20));
      fs.crash();
      const third = await open(fs, SMALL);
      expect(await batches(own(third))).toEqual((await batches(origin, 21)).slice(0, 4));
      expect((await fs.list("wal/sessions")).filter((name) => name.endsWith(".begin"))).toEqual([]);
    }
  }
  expect(ends).toEqual(new Set(["1 9", "21 20"]));
});

test("WAL-11 after a failed replaceLog() the log is failed, and the next attempt completes it", async () => {
  const origin = await peer();
  const after = { lsn: 20, digest: (await origin.digestAt(20)) as Uint8Array };
  const fs = memoryFs();
  const wal = await copyOf(origin, 9, fs);
  fs.failSync({ nth: 3 });
  expect(await outcome(wal.replaceLog(OWN, { after }))).toBe("WAL_WRITE_FAILED");
  expect(await outcome(own(wal).appendVerbatim(await origin.readBatches(10, 10, 1)))).toBe("WAL_LOG_FAILED");
  expect(await outcome(wal.repair(OWN, async () => undefined))).toBe("WAL_WRITE_FAILED");
  const seen = await inspectDirectory(fs, "wal", { hasher });
  expect(seen.logs).toMatchObject([{ begin: { lsn: 20 } }]);
  await wal.replaceLog(OWN, { after });
  await own(wal).appendVerbatim(await origin.readBatches(21, 22, 1 << 20));
  expect(await bodies(own(wal))).toHaveLength(2);
});

test("WAL-11 a log that could not be created leaves nothing behind, and its base survives a crash at any step", async () => {
  const origin = await peer();
  const after = { lsn: 20, digest: (await origin.digestAt(20)) as Uint8Array };
  let failures = 0;
  for (let nth = 1; nth <= 8; nth++) {
    for (const seed of [1, 2, 3]) {
      const fs = memoryFs({ seed });
      const wal = await open(fs, SMALL);
      fs.failSync({ nth });
      const result = await outcome(wal.createLog(OWN, { after }));
      if (result === "WAL_WRITE_FAILED") {
        failures += 1;
        expect(wal.log(OWN)).toBeUndefined();
        if (seed === 1) await wal.createLog(OWN, { after });
      }
      fs.crash();
      const again = await open(fs, SMALL);
      const log = again.log(OWN);
      if (log !== undefined) expect([log.first, log.durable]).toEqual([21, after]);
      else expect(result).toBe("WAL_WRITE_FAILED");
    }
  }
  expect(failures).toBeGreaterThan(6);
});
