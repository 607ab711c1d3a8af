import { WalError, memoryFs, type MemoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import { OWN, SEGMENT, batches, bodies, body, fresh, open, outcome, own } from "./support.ts";

/** Fails the sync of a batch that two callers share, with more callers queued behind it. */
async function failShared(arm: (fs: MemoryFs) => void): Promise<unknown[]> {
  const { fs, log } = await fresh();
  expect(await log.append(2, body("acked"))).toBe(1);
  arm(fs);
  const release = fs.holdSyncs();
  const shared = [log.append(2, body("a")), log.append(2, body("b"))].map(outcome);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  const queued = [log.append(2, new Uint8Array(40_000)), log.append(2, body("d"))].map(outcome);
  release();
  const results = await Promise.all([...shared, ...queued]);
  expect(log.failed).toBeInstanceOf(WalError);
  expect(log.durable.lsn).toBe(1);
  expect(await bodies(log)).toEqual(["acked"]);
  // What fails once and then succeeds is not trusted again.
  expect(await outcome(log.append(2, body("later")))).toBe("WAL_LOG_FAILED");
  return results;
}

test("scenario 7, WAL-8: a failed sync acknowledges nobody of that batch and poisons the log", async () => {
  expect(await failShared((fs) => fs.failSync({ path: SEGMENT }))).toEqual([
    "WAL_SYNC_FAILED",
    "WAL_SYNC_FAILED",
    "WAL_LOG_FAILED",
    "WAL_LOG_FAILED",
  ]);
});

test("scenario 7: the same for a lone caller, and a new epoch goes on from the last good position", async () => {
  const { fs, wal, log } = await fresh();
  await log.append(2, body("good"));
  const durable = log.durable;
  fs.failSync({ path: SEGMENT });
  expect(await outcome(log.append(2, body("lost")))).toBe("WAL_SYNC_FAILED");
  const next = await wal.openEpoch({ ...OWN, epoch: 11, previous: { epoch: OWN.epoch, ...durable } });
  expect(await next.append(2, body("again"))).toBe(2);
  fs.crash(() => false);
  const reopened = await open(fs);
  expect(await bodies(own(reopened))).toEqual(["good"]);
  expect((await bodies(own(reopened, next.id))).at(-1)).toBe("again");
  expect(reopened.recovery[0]).toMatchObject({ resumable: false });
});

test("scenario 7: a failed sync of the zeros laid ahead poisons the log too: it may have been about a batch", async () => {
  const { fs, log } = await fresh();
  fs.failSync({ nth: 2, path: SEGMENT });
  await log.append(2, new Uint8Array(40_000));
  await expect.poll(() => log.failed?.code).toBe("WAL_SYNC_FAILED");
  expect(await outcome(log.append(2, body("x")))).toBe("WAL_LOG_FAILED");
});

test("scenario 8, WAL-8: EIO and ENOSPC reach exactly the callers of the batch, the queued learn that nothing was written", async () => {
  for (const [code, expected] of [
    ["EIO", "WAL_WRITE_FAILED"],
    ["ENOSPC", "WAL_NO_SPACE"],
  ] as const) {
    const { fs, log } = await fresh();
    await log.append(2, body("acked"));
    fs.failWrite({ code, bytes: 30, path: SEGMENT });
    const together = ["a", "b"].map((each) => outcome(log.append(2, body(each))));
    expect(await Promise.all(together)).toEqual([expected, expected]);
    expect(await outcome(log.append(2, body("c")))).toBe("WAL_LOG_FAILED");
    fs.crash();
    const again = await open(fs);
    expect(await bodies(own(again))).toEqual(["acked"]);
    expect(again.recovery[0]).toMatchObject({ resumable: false });
  }
});

test("scenario 8: a short write is written on; one that ends in a full disk fails its callers and leaves no hole", async () => {
  const { fs, log } = await fresh();
  fs.shortWrite({ bytes: 10, path: SEGMENT });
  expect(await log.append(2, body("whole after all"))).toBe(1);
  fs.shortWrite({ bytes: 10, path: SEGMENT });
  fs.failWrite({ nth: 2, code: "ENOSPC", path: SEGMENT });
  expect(await outcome(log.append(2, body("torn")))).toBe("WAL_NO_SPACE");
  expect(await outcome(log.append(2, body("after")))).toBe("WAL_LOG_FAILED");
  fs.crash();
  expect(await bodies(own(await open(fs)))).toEqual(["whole after all"]);
});

test("scenario 8: a disk that fills up for real never acknowledges over a hole", async () => {
  const fs = memoryFs({ bytesMax: 200_000 });
  const log = await (await open(fs)).createLog(OWN);
  let acked = 0;
  for (let result: unknown = 0; typeof result === "number";) {
    result = await outcome(log.append(2, new Uint8Array(5000)));
    if (typeof result === "number") acked = result;
    else expect(result).toBe("WAL_NO_SPACE");
  }
  expect(acked).toBeGreaterThan(20);
  fs.setBytesMax(Number.POSITIVE_INFINITY);
  fs.crash();
  expect(own(await open(fs)).durable.lsn).toBe(acked);
});

test("scenario 12, WAL-7: nobody sees a batch before its sync, and a follower never holds what its leader can forget", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const { fs, log } = await fresh({}, seed);
    const shipped: Uint8Array[] = [];
    log.onCommit((batch) => shipped.push(batch.bytes));
    const stop = new AbortController();
    const followed: number[] = [];
    const following = (async () => {
      for await (const batch of log.read(1, { follow: true, signal: stop.signal }))
        followed.push(batch.lastLsn);
    })();
    await log.append(2, body("a"));
    const release = fs.holdSyncs();
    void outcome(log.append(2, body("b")));
    void outcome(log.append(2, body("c")));
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    // In the page cache, and nowhere else.
    expect(await bodies(log), `seed ${seed} of 30`).toEqual(["a"]);
    expect([shipped.length, log.durable.lsn, await log.digestAt(3)]).toEqual([1, 1, undefined]);
    expect(followed).toEqual([1]);
    stop.abort();
    await outcome(following);
    fs.crash();
    release();
    const again = own(await open(fs));
    expect((await batches(again))[0]?.bytes).toEqual(shipped[0]);
    expect(shipped.length, `seed ${seed} of 30`).toBeLessThanOrEqual((await batches(again)).length);
  }
});

test("WAL-10 group and os: callers resolve after the write, readers and listeners wait for the sync", async () => {
  for (const durability of [{ group: 20 }, "os"] as const) {
    const timers: { ms: number; run: () => void }[] = [];
    const setTimer = (ms: number, run: () => void) => {
      const timer = { ms, run };
      timers.push(timer);
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1));
    };
    const { fs, wal, log } = await fresh({ durability, timers: { now: () => 0, setTimer } });
    const seen: number[] = [];
    log.onCommit((batch) => seen.push(batch.lastLsn));
    expect(await log.append(2, body("a"))).toBe(1);
    expect(await log.append(2, body("b"))).toBe(2);
    expect([seen, log.durable.lsn, await bodies(log)]).toEqual([[], 0, []]);
    expect(timers.map((timer) => timer.ms)).toEqual([durability === "os" ? 1000 : 20]);
    const [timer] = timers.splice(0);
    timer?.run();
    await expect.poll(() => log.durable.lsn).toBe(2);
    expect([seen, await bodies(log)]).toEqual([
      [1, 2],
      ["a", "b"],
    ]);
    // What came after the sync may be lost, in any order, and is never called corruption.
    await log.append(2, body("c"));
    await log.append(2, body("d"));
    let sector = 0;
    fs.crash(() => sector++ > 0);
    const again = await open(fs, { durability, timers: { now: () => 0, setTimer } });
    expect(again.recovery[0]?.corrupt).toBeUndefined();
    expect(again.recovery[0]?.resumable).toBe(false);
    expect((await bodies(own(again))).slice(0, 2)).toEqual(["a", "b"]);
    await again.close();
    const third = await open(fs);
    expect(third.recovery[0]).toMatchObject({ resumable: false, reason: "ended" });
    void wal;
  }
});

test("WAL-10 a weak run that closed in order goes on in its epoch", async () => {
  const timers = { now: () => 0, setTimer: () => () => {} };
  const { fs, wal, log } = await fresh({ durability: "os", timers });
  await log.append(2, body("a"));
  await wal.close();
  expect((await open(fs)).recovery).toMatchObject([{ resumable: true, durable: { lsn: 1 } }]);
});

test("WAL-9 a second open of the directory is refused and names the holder", async () => {
  const { fs, wal } = await fresh();
  await expect(open(fs)).rejects.toMatchObject({ code: "WAL_LOCKED", holder: "this process" });
  await wal.close();
  await (await open(fs)).close();
});

test("WAL-5 a listener that throws harms nobody and is logged", async () => {
  const errors: string[] = [];
  const { wal, log } = await fresh({
    logger: { warn: () => {}, error: (message) => void errors.push(message) },
  });
  const seen: number[] = [];
  log.onCommit(() => {
    throw new Error("boom");
  });
  const stop = log.onCommit((batch) => seen.push(batch.lastLsn));
  expect(await log.append(2, body("a"))).toBe(1);
  stop();
  expect(await log.append(2, body("b"))).toBe(2);
  expect([seen, errors.length]).toEqual([[1], 2]);
  await wal.close();
});
