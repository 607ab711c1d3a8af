import {
  memoryFs,
  type Log,
  type MemoryFs,
  type RepairFetch,
  type Wal,
  type WalOptions,
} from "@tidemark/wal";
import { expect, test } from "vitest";
import {
  OWN,
  SEGMENT,
  batches,
  bodies,
  body,
  fresh,
  image,
  open,
  outcome,
  own,
  patch,
  plant,
} from "./support.ts";

const SMALL: Partial<WalOptions> = { segmentBytes: 1024 };
const name = (first: number): string =>
  `wal/sessions/r00001-s00000-e0000000010-${String(first).padStart(20, "0")}.wal`;

/** A peer that holds the whole log: twelve records, three in a segment. */
async function peer(count = 12, bytes = 200): Promise<Log> {
  const { log } = await fresh(SMALL, 99);
  for (let index = 1; index <= count; index++) await log.append(2, body(`${index} ${"x".repeat(bytes)}`));
  return log;
}

/** A copy of a peer's log, stored batch by batch. */
async function copyOf(origin: Log, fs: MemoryFs = memoryFs(), to = origin.durable.lsn): Promise<Wal> {
  const wal = await open(fs, SMALL);
  const log = wal.log(OWN) ?? (await wal.createLog(OWN));
  for (let lsn = log.durable.lsn + 1; lsn <= to; lsn = log.durable.lsn + 1)
    await log.appendVerbatim(await origin.readBatches(lsn, lsn, 1));
  return wal;
}

const from =
  (origin: Log): RepairFetch =>
  (first, last) =>
    origin.readBatches(first, last, 1);

test("scenario 5, WAL-11: every bit of a sealed segment is detected, and repaired from a peer", async () => {
  const origin = await peer(5, 20);
  const fs = memoryFs();
  const wal = await open(fs, { segmentBytes: 200 });
  const log = await wal.createLog(OWN);
  for (let lsn = 1; lsn <= 5; lsn++) await log.appendVerbatim(await origin.readBatches(lsn, lsn, 1));
  const all = await batches(log);
  const [first, second] = wal.segments(OWN);
  expect([first?.lastLsn, second?.firstLsn]).toEqual([2, 3]);
  await wal.close();
  const bytes = await fs.readFile(SEGMENT);
  for (let bit = 0; bit < (first?.bytes as number) * 8; bit++) {
    fs.flipBit(SEGMENT, bit >>> 3, bit & 7);
    const again = await open(fs, { segmentBytes: 200 });
    const broken = own(again);
    expect(broken.failed).toMatchObject({ code: "WAL_CORRUPT", segment: SEGMENT.slice(13) });
    expect(await bodies(broken, 3)).toHaveLength(3);
    const damaged = broken.failed?.lsn as number;
    await again.repair(OWN, from(origin));
    expect([broken.failed, broken.durable.lsn]).toEqual([undefined, 5]);
    expect(await outcome(bodies(broken, damaged))).toHaveLength(5 - damaged + 1);
    await again.close();
    expect((await fs.readFile(SEGMENT))?.subarray(0, first?.bytes)).toEqual(bytes?.subarray(0, first?.bytes));
  }
  const last = await open(fs, { segmentBytes: 200 });
  expect(await batches(own(last))).toEqual(all);
});

test("WAL-11 missing files, cut ends and rot in one log are repaired by exactly what is missing", async () => {
  const origin = await peer();
  const all = await batches(origin);
  const length = all[0]?.bytes.length as number;
  const fs = memoryFs();
  const wal = await copyOf(origin, fs);
  await wal.close();
  fs.flipBit(SEGMENT, length + 100, 3);
  await fs.unlink(name(7));
  await (await fs.open(name(10), "write")).truncate(2 * length + 10);
  const again = await open(fs, SMALL);
  const log = own(again);
  const heard: number[] = [];
  log.onCommit((batch) => heard.push(batch.lastLsn));
  expect([log.durable.lsn, log.failed?.code]).toEqual([1, "WAL_CORRUPT"]);
  const asked: [number, number][] = [];
  const result = await again.repair(OWN, (first, last) => {
    asked.push([first, last]);
    return origin.readBatches(first, last, 1 << 20);
  });
  expect(asked).toEqual([
    [2, 2],
    [7, 9],
    [12, 12],
  ]);
  expect(result.fetched).toEqual([
    { from: 2, to: 2 },
    { from: 7, to: 9 },
    { from: 12, to: 12 },
  ]);
  expect(result.segments).toEqual([SEGMENT, name(7), name(10)].map((path) => path.slice(13)));
  expect([log.failed, log.durable]).toEqual([undefined, origin.durable]);
  // What became durable is told like any commit, in order.
  expect(heard).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect(await batches(log)).toEqual(all);
  await origin.append(2, body("on"));
  await log.appendVerbatim(await origin.readBatches(13, 13, 1));
  await again.close();
  const third = await open(fs, SMALL);
  expect(third.recovery).toMatchObject([{ durable: { lsn: 13 } }]);
  expect(await batches(own(third))).toEqual(await batches(origin));
});

test("WAL-11 damage on both sides of the border of two segments is repaired", async () => {
  const origin = await peer();
  const all = await batches(origin);
  const length = all[0]?.bytes.length as number;
  const fs = memoryFs();
  await (await copyOf(origin, fs)).close();
  fs.flipBit(SEGMENT, 2 * length + 100, 3);
  fs.flipBit(name(4), 100, 3);
  const again = await open(fs, SMALL);
  expect(own(again).failed).toMatchObject({ lsn: 3, nextLsn: 5 });
  expect((await again.repair(OWN, from(origin))).fetched).toEqual([{ from: 3, to: 4 }]);
  expect(await batches(own(again))).toEqual(all);
});

test("scenario 6, WAL-11: a repair that nobody can help with changes nothing, and one with lies is refused", async () => {
  const origin = await peer();
  const fs = memoryFs();
  const wal = await copyOf(origin, fs);
  const length = (await batches(origin))[0]?.bytes.length as number;
  await wal.close();
  fs.flipBit(name(4), length + 100, 3);
  const again = await open(fs, SMALL);
  const before = await fs.readFile(name(4));
  const fork = (await fresh(SMALL, 5)).log;
  for (let index = 0; index < 12; index++) await fork.append(2, body(`fork ${index}`));
  const foreign = await again.openEpoch({ ...OWN, epoch: 11 });
  const damaged = await origin.readBatches(5, 5, 1);
  damaged[100] = (damaged[100] as number) ^ 1;
  const attempts: [RepairFetch, string][] = [
    [async () => undefined, "WAL_CORRUPT"],
    [async () => new Uint8Array(0), "WAL_CORRUPT"],
    [async () => damaged, "WAL_BAD_BATCH"],
    [async () => damaged.subarray(0, 50), "WAL_BAD_BATCH"],
    [from(fork), "WAL_NOT_CONTIGUOUS"],
    [() => origin.readBatches(6, 6, 1), "WAL_CORRUPT"],
    [() => origin.readBatches(4, 5, 1 << 20), "WAL_NOT_CONTIGUOUS"],
    [() => foreign.readBatches(1, 1, 1), "WAL_NOT_CONTIGUOUS"],
  ];
  for (const [fetch, code] of attempts) {
    expect(await outcome(again.repair(OWN, fetch))).toBe(code);
    expect(own(again).failed?.code).toBe("WAL_CORRUPT");
    expect(await fs.readFile(name(4))).toEqual(before);
    expect((await fs.list("wal/sessions")).filter((each) => each.endsWith(".tmp"))).toEqual([]);
    expect(await bodies(own(again), 6)).toHaveLength(7);
  }
  const boom = new Error("boom");
  expect(await outcome(again.repair(OWN, () => Promise.reject(boom)))).toBe(boom);
  const stop = new AbortController();
  stop.abort(boom);
  expect(await outcome(again.repair(OWN, from(origin), { signal: stop.signal }))).toBe(boom);
  await again.repair(OWN, from(origin));
  expect(await batches(own(again))).toEqual(await batches(origin));
  await expect(again.repair({ ...OWN, epoch: 99 }, from(origin))).rejects.toMatchObject({
    code: "WAL_NOT_HELD",
  });
});

test("WAL-11 a repair survives a crash at every step, and can be begun again", async () => {
  const origin = await peer();
  const all = await batches(origin);
  const length = all[0]?.bytes.length as number;
  let steps = 0;
  for (let step = 1; step < 40; step++) {
    for (const keep of [true, false]) {
      const fs = memoryFs({ seed: step });
      await (await copyOf(origin, fs)).close();
      fs.flipBit(SEGMENT, length + 100, 3);
      await fs.unlink(name(7));
      await fs.syncDir("wal/sessions");
      fs.flipBit(name(10), 2 * length + 80, 2);
      const again = await open(fs, SMALL);
      // The machine dies with the step-th sync or change of the directory from here.
      let left = step;
      const dying = dieAfter(
        fs,
        () => (left -= 1) <= 0,
        () => fs.crash(() => keep),
      );
      const repaired = await outcome(again.repair(OWN, from(origin)));
      dying();
      if (left > 0) {
        expect(repaired).toMatchObject({ fetched: [{ from: 2 }, { from: 7 }, { from: 12 }] });
        fs.kill();
        step = 40;
      } else {
        steps += 1;
        fs.crash(() => keep);
      }
      const third = await open(fs, SMALL);
      const [recovery] = third.recovery;
      if (recovery?.corrupt !== undefined) expect(recovery.corrupt.lsn).toBeGreaterThan(1);
      await third.repair(OWN, from(origin));
      expect([own(third).failed, own(third).durable.lsn]).toEqual([undefined, 12]);
      expect(await batches(own(third))).toEqual(all);
      fs.crash(() => false);
      const fourth = await open(fs, SMALL);
      expect(fourth.recovery[0]?.corrupt).toBeUndefined();
      expect(await batches(own(fourth))).toEqual(all);
    }
  }
  expect(steps).toBeGreaterThan(16);
});

test("scenario 7, WAL-8: a foreign log whose sync failed goes on without reopening, on another segment", async () => {
  const origin = await peer(8, 20);
  for (let seed = 0; seed < 20; seed++) {
    const fs = memoryFs({ seed });
    const wal = await copyOf(origin, fs, 4);
    const log = own(wal);
    fs.failSync({ path: SEGMENT });
    expect(await outcome(log.appendVerbatim(await origin.readBatches(5, 6, 1 << 20)))).toBe(
      "WAL_SYNC_FAILED",
    );
    expect([log.durable.lsn, log.failed?.code]).toEqual([4, "WAL_SYNC_FAILED"]);
    // Nobody has to be asked: what was durable is here.
    const result = await wal.repair(OWN, () => Promise.reject(new Error("not needed")));
    expect(result).toEqual({ fetched: [], segments: [SEGMENT.slice(13)] });
    expect([log.failed, log.durable.lsn, await bodies(log, 4).then((held) => held.length)]).toEqual([
      undefined,
      4,
      1,
    ]);
    await log.appendVerbatim(await origin.readBatches(5, 8, 1 << 20));
    fs.crash(() => seed % 2 === 0);
    const again = await open(fs, SMALL);
    expect(await batches(own(again))).toEqual(await batches(origin));
  }
});

test("scenario 8, WAL-8: a foreign log that met a full disk or a failed write goes on once there is room", async () => {
  const origin = await peer();
  const fs = memoryFs();
  const wal = await copyOf(origin, fs, 2);
  const log = own(wal);
  fs.failWrite({ code: "ENOSPC", bytes: 40, path: SEGMENT });
  expect(await outcome(log.appendVerbatim(await origin.readBatches(3, 3, 1)))).toBe("WAL_NO_SPACE");
  fs.failWrite({ code: "ENOSPC", path: ".tmp" });
  expect(await outcome(wal.repair(OWN, from(origin)))).toBe("ENOSPC");
  expect(log.failed).toBeDefined();
  await wal.repair(OWN, from(origin));
  await log.appendVerbatim(await origin.readBatches(3, 12, 1 << 20));
  expect(await batches(log)).toEqual(await batches(origin));
  await wal.repair(OWN, from(origin));
  await wal.close();
  expect(await batches(own(await open(fs, SMALL)))).toEqual(await batches(origin));
});

test("scenario 5: rot under an open log is repaired where a reader met it, the tail included, while its owner appends", async () => {
  const { fs, wal, log } = await fresh(SMALL);
  for (let index = 1; index <= 11; index++) await log.append(2, body(`${index} ${"x".repeat(200)}`));
  const backup = await fs.readFile(name(10));
  const second = await fresh(SMALL, 3);
  const copy = second.log;
  await copy.appendVerbatim(await log.readBatches(1, 11, 1 << 20));
  for (const [path, lsn] of [
    [name(4), 5],
    [name(10), 10],
  ] as const) {
    const at = path === name(10) ? 70 : (backup?.length as number) && 300;
    fs.flipBit(path, at, 0);
    await expect(bodies(log)).rejects.toMatchObject({ code: "WAL_CORRUPT", lsn });
    const appended = log.append(2, body(`while ${lsn}`));
    await wal.repair(OWN, from(copy), { from: lsn, to: lsn });
    const acked = await appended;
    await copy.appendVerbatim(await log.readBatches(acked, acked, 1));
    expect(await bodies(log)).toHaveLength(acked);
  }
  expect([log.failed, await log.append(2, body("own again"))]).toEqual([undefined, 14]);
  await wal.close();
  expect((await open(fs, SMALL)).recovery).toMatchObject([{ resumable: true, durable: { lsn: 14 } }]);
});

test("WAL-11 CORE-2 a log that is being repaired from a member that hangs does not hold up the next epoch", async () => {
  const { fs, wal, log } = await fresh(SMALL);
  for (let index = 1; index <= 5; index++) await log.append(2, body(`${index} ${"x".repeat(200)}`));
  fs.flipBit(name(4), 300, 0);
  await expect(bodies(log)).rejects.toMatchObject({ code: "WAL_CORRUPT" });
  let answer: (bytes: undefined) => void = () => undefined;
  const hanging = new Promise<undefined>((resolve) => (answer = resolve));
  let asked: () => void = () => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const repair = wal.repair(OWN, () => {
    asked();
    return hanging;
  });
  await isAsked;
  const next = await wal.openEpoch({ ...OWN, epoch: 11 });
  expect(await next.append(2, body("goes on"))).toBe(2);
  answer(undefined);
  await repair.catch(() => undefined);
});

test("WAL-11 an epoch that its owner had to give up stays ended when its log is repaired", async () => {
  const origin = await peer();
  const { fs, wal, log } = await fresh(SMALL);
  for (let lsn = 1; lsn <= 12; lsn++) await log.appendVerbatim(await origin.readBatches(lsn, lsn, 1));
  const length = (await batches(log))[0]?.bytes.length as number;
  await wal.close();
  fs.flipBit(SEGMENT, length + 70, 0);
  const again = await open(fs, SMALL);
  await again.repair(OWN, from(origin));
  expect(await outcome(own(again).append(2, body("no")))).toBe("WAL_EPOCH_ENDED");
  await again.close();
  expect((await open(fs, SMALL)).recovery).toMatchObject([
    { resumable: false, reason: "ended", durable: { lsn: 12 } },
  ]);

  const other = await fresh(SMALL);
  await other.log.append(2, body("good"));
  other.fs.failSync({ path: SEGMENT });
  expect(await outcome(other.log.append(2, body("lost")))).toBe("WAL_SYNC_FAILED");
  await other.wal.repair(OWN, async () => undefined);
  expect(await outcome(other.log.append(2, body("no")))).toBe("WAL_EPOCH_ENDED");
  expect(await bodies(other.log)).toEqual(["good"]);
});

test("scenario 50, WAL-11: the last acknowledged batch rots at the tail, is told from a torn one, and is repaired, never reissued", async () => {
  const origin = await peer(3, 20);
  const end = (await batches(origin)).slice(0, 2).reduce((sum, batch) => sum + batch.bytes.length, 0);
  const fs = memoryFs();
  await (await copyOf(origin, fs)).close();
  await patch(fs, SEGMENT, end + 70, body("rot"));
  const again = await open(fs, SMALL);
  expect(again.recovery).toMatchObject([{ reason: "corrupt", corrupt: { lsn: 3 }, durable: { lsn: 2 } }]);
  // A batch of the same LSN with another content is not what the watermark remembers.
  const fork = await fresh(SMALL, 4);
  await fork.log.appendVerbatim(await origin.readBatches(1, 2, 1 << 20));
  await fork.log.append(2, body("another third"));
  expect(await outcome(again.repair(OWN, from(fork.log)))).toBe("WAL_NOT_CONTIGUOUS");
  await again.repair(OWN, from(origin));
  expect(own(again).durable).toEqual(origin.durable);
  await again.close();
  expect(await batches(own(await open(fs, SMALL)))).toEqual(await batches(origin));
});

test("scenario 43: an older image of a foreign log is caught up from the peer, nothing doubled or lost", async () => {
  const origin = await peer();
  const fs = memoryFs();
  await (await copyOf(origin, fs, 7)).close();
  const older = await image(fs);
  await (await copyOf(origin, fs)).close();
  const restored = memoryFs();
  for (const [path, bytes] of Object.entries(older)) await plant(restored, path, bytes as Uint8Array);
  const again = await open(restored, SMALL);
  expect(again.recovery).toMatchObject([{ durable: { lsn: 7 } }]);
  await own(again).appendVerbatim(await origin.readBatches(8, 12, 1 << 20));
  expect(await batches(own(again))).toEqual(await batches(origin));
});

test("scenario 50, WAL-3: a version or flag that rots at the tail is rot, and not a newer version", async () => {
  const origin = await peer(3, 20);
  const end = (await batches(origin)).slice(0, 2).reduce((sum, batch) => sum + batch.bytes.length, 0);
  for (const at of [4, 6, 7]) {
    const fs = memoryFs();
    await (await copyOf(origin, fs)).close();
    fs.flipBit(SEGMENT, end + at, 2);
    const again = await open(fs, SMALL);
    expect(again.recovery).toMatchObject([{ reason: "corrupt", corrupt: { offset: end, lsn: 3 } }]);
    await again.repair(OWN, from(origin));
    expect(await batches(own(again))).toEqual(await batches(origin));
  }
});

test("WAL-8 a reader under way goes on in the file that took the place of the poisoned one", async () => {
  const origin = await peer(8, 20);
  const fs = memoryFs();
  const wal = await copyOf(origin, fs, 4);
  const log = own(wal);
  const seen: number[] = [];
  for await (const batch of log.read(3)) {
    seen.push(batch.lastLsn);
    if (batch.lastLsn !== 4) continue;
    fs.failWrite({ bytes: 30, path: SEGMENT });
    expect(await outcome(log.appendVerbatim(await origin.readBatches(5, 5, 1)))).toBe("WAL_WRITE_FAILED");
    await wal.repair(OWN, async () => undefined);
    await log.appendVerbatim(await origin.readBatches(5, 8, 1 << 20));
  }
  expect(seen).toEqual([3, 4, 5, 6, 7, 8]);
});

test("WAL-11 another history is refused also where only the batches before, or only those behind, can tell", async () => {
  const origin = await peer();
  const fork = (await fresh(SMALL, 5)).log;
  for (let index = 1; index <= 12; index++) await fork.append(2, body(`${index} ${"y".repeat(200)}`));
  const length = (await batches(origin))[0]?.bytes.length as number;

  // The first segment of a trimmed log: nothing before it is known.
  const trimmed = memoryFs();
  const first = await copyOf(origin, trimmed);
  await first.retain([{ log: OWN, lsn: 6 }]);
  await first.close();
  for (const index of [0, 1, 2]) trimmed.flipBit(name(7), index * length + 80, 1);
  const rotten = await trimmed.readFile(name(7));
  const again = await open(trimmed, SMALL);
  expect(await outcome(again.repair(OWN, from(fork)))).toBe("WAL_NOT_CONTIGUOUS");
  expect(await trimmed.readFile(name(7))).toEqual(rotten);
  await again.repair(OWN, from(origin));
  expect(await batches(own(again))).toEqual((await batches(origin)).slice(6));

  // The last batch before an empty segment, without a watermark: nothing behind it is known.
  const ended = memoryFs();
  await (await copyOf(origin, ended, 6)).close();
  await ended.unlink("wal/watermark");
  await plant(ended, name(7), new Uint8Array(0));
  ended.flipBit(name(4), 2 * length + 80, 1);
  const last = await open(ended, SMALL);
  expect(own(last).failed).toMatchObject({ code: "WAL_CORRUPT", lsn: 6 });
  expect(await outcome(last.repair(OWN, from(fork)))).toBe("WAL_NOT_CONTIGUOUS");
  await last.repair(OWN, from(origin));
  await own(last).appendVerbatim(await origin.readBatches(7, 12, 1 << 20));
  expect(await batches(own(last))).toEqual(await batches(origin));
});

test("WAL-11 the note of a run that is over excuses no damage that comes later", async () => {
  const origin = await peer(8, 20);
  const length = (await batches(origin))[0]?.bytes.length as number;
  for (const way of ["repair", "reopen"] as const) {
    const fs = memoryFs();
    let wal = await copyOf(origin, fs, 2);
    fs.failSync({ path: SEGMENT });
    expect(await outcome(own(wal).appendVerbatim(await origin.readBatches(3, 8, 1 << 20)))).toBe(
      "WAL_SYNC_FAILED",
    );
    if (way === "repair") {
      await wal.repair(OWN, async () => undefined);
    } else {
      fs.crash(() => false);
      wal = await open(fs, SMALL);
    }
    expect(own(wal).durable.lsn).toBe(2);
    // Each of these is a write of its own: only the last of them can be torn.
    for (const lsn of [3, 4, 5]) await own(wal).appendVerbatim(await origin.readBatches(lsn, lsn, 1));
    fs.kill();
    fs.flipBit(SEGMENT, 3 * length + 70, 1);
    const again = await open(fs, SMALL);
    expect(again.recovery).toMatchObject([{ corrupt: { lsn: 4, nextLsn: 5 } }]);
  }
});

/** Runs `die` when `due` says so, asked before each sync and each change of a directory. */
function dieAfter(fs: MemoryFs, due: () => boolean, die: () => void): () => void {
  let dead = false;
  const restore: (() => void)[] = [];
  const target = fs as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  for (const method of ["rename", "unlink", "syncDir", "open"]) {
    const original = target[method] as (...args: unknown[]) => Promise<unknown>;
    target[method] = async (...args: unknown[]) => {
      if (!dead && method !== "open" && due()) {
        dead = true;
        die();
      }
      if (dead) throw Object.assign(new Error("The machine is dead"), { code: "EBADF" });
      return original.apply(fs, args);
    };
    restore.push(() => delete target[method]);
  }
  return () => {
    for (const undo of restore) undo();
  };
}
