import { logId } from "@tidemark/core";
import { RECORD_TYPE, decodeEpochOpen, forEachRecord, memoryFs, type WalBatch } from "@tidemark/wal";
import { expect, test } from "vitest";
import { OWN, batches, bodies, body, fresh, open, outcome, own } from "./support.ts";

test("WAL-5 append() resolves with LSNs from 1 without holes, and what it wrote reads back", async () => {
  const { wal, log } = await fresh();
  expect(await log.append(2, body("a"))).toBe(1);
  expect(await Promise.all(["b", "c", "d"].map((each) => log.append(2, body(each))))).toEqual([2, 3, 4]);
  expect(
    await log.appendMany([
      { type: 2, body: body("e") },
      { type: 0x90, body: body("f") },
    ]),
  ).toEqual({ first: 5, last: 6 });
  expect(await bodies(log)).toEqual(["a", "b", "c", "d", "e", "f"]);
  expect(log.durable.lsn).toBe(6);
  await wal.close();
});

test("WAL-5 callers of one turn share a batch, and everything queued during a sync is the next batch", async () => {
  const { fs, wal, log } = await fresh();
  const release = fs.holdSyncs();
  const first = [log.append(2, body("a")), log.append(2, body("b"))];
  await expect.poll(() => fs.heldSyncs).toBe(1);
  const second = ["c", "d", "e"].map((each) => log.append(2, body(each)));
  release();
  await Promise.all([...first, ...second]);
  expect((await batches(log)).map((batch) => batch.recordCount)).toEqual([2, 3]);
  await wal.close();
});

test("WAL-5 what waits is packed while a sync runs and written only after it succeeded", async () => {
  const { fs, wal, log } = await fresh();
  const release = fs.holdSyncs();
  const lsns: number[] = [];
  const first = log.appendMany([
    { type: 2, body: body("a") },
    { type: 2, body: body("b") },
  ]);
  await expect.poll(() => fs.heldSyncs).toBe(1);
  const big = new Uint8Array(40_000);
  const second = log.append(2, (writer, lsn) => {
    lsns.push(lsn);
    writer.raw(big);
  });
  const third = log.append(2, big);
  expect(lsns).toEqual([3]);
  expect(log.durable.lsn).toBe(0);
  release();
  expect(await Promise.all([first, second, third])).toEqual([{ first: 1, last: 2 }, 3, 4]);
  await wal.close();
});

test("WAL-5 an encoder that throws rejects its caller only, and no LSN is lost", async () => {
  const { wal, log } = await fresh();
  const boom = new Error("boom");
  const results = await Promise.all([
    log.append(2, body("a")),
    outcome(
      log.append(2, (writer) => {
        writer.raw(body("half"));
        throw boom;
      }),
    ),
    log.append(2, (writer, lsn) => writer.raw(body(`b${lsn}`))),
  ]);
  expect(results).toEqual([1, boom, 2]);
  expect(await bodies(log)).toEqual(["a", "b2"]);
  await wal.close();
});

test("WAL-5 the bytes given to onCommit are the bytes on disk, before the callers' promises resolve", async () => {
  const { wal, log } = await fresh();
  const seen: WalBatch[] = [];
  const order: string[] = [];
  log.onCommit((batch) => {
    seen.push(batch);
    order.push(`commit ${batch.lastLsn}`);
  });
  await Promise.all(
    ["a", "b"].map((each) => log.append(2, body(each)).then((lsn) => order.push(`caller ${lsn}`))),
  );
  await log.append(2, body("c")).then((lsn) => order.push(`caller ${lsn}`));
  expect(order).toEqual(["commit 2", "caller 1", "caller 2", "commit 3", "caller 3"]);
  expect((await batches(log)).map((batch) => batch.bytes)).toEqual(seen.map((batch) => batch.bytes));
  await wal.close();
});

test("WAL-5 bodies of every length across the varint steps survive, given as bytes or by an encoder", async () => {
  const { wal, log } = await fresh();
  const lengths = [0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 70_000, 3];
  await Promise.all(lengths.map((length) => log.append(7, new Uint8Array(length).fill(length))));
  await Promise.all(
    lengths.map((length) => log.append(8, (writer) => writer.raw(new Uint8Array(length).fill(length)))),
  );
  const found: [number, number, number][] = [];
  for (const batch of await batches(log)) {
    forEachRecord(batch, (type, bytes, start, end) => found.push([type, end - start, bytes[start] ?? -1]));
  }
  const fill = (length: number): number => (length === 0 ? -1 : length & 0xff);
  expect(found.map(([type, length]) => [type, length])).toEqual([
    ...lengths.map((length) => [7, length]),
    ...lengths.map((length) => [8, length]),
  ]);
  for (const [, length, byte] of found) if (length > 0) expect(byte).toBe(fill(length));
  await wal.close();
});

test("WAL-5 a batch never passes its bound: entries move to the next one whole, encoders run once", async () => {
  const { wal, log } = await fresh({ batchBytesMax: 1064 });
  let calls = 0;
  const encode = (size: number) => (writer: { raw(bytes: Uint8Array): void }) => {
    calls += 1;
    writer.raw(new Uint8Array(size));
  };
  const results = await Promise.all([
    log.append(2, encode(600)),
    log.append(2, encode(600)),
    log.appendMany([1, 2, 3].map(() => ({ type: 2, body: encode(250) }))),
    log.appendMany(Array.from({ length: 6 }, () => ({ type: 2, body: new Uint8Array(400) }))),
    outcome(log.append(2, encode(1200))),
    outcome(log.append(2, new Uint8Array(1200))),
    log.append(2, encode(10)),
  ]);
  expect(results).toEqual([
    1,
    2,
    { first: 3, last: 5 },
    { first: 6, last: 11 },
    "WAL_RECORD_TOO_LARGE",
    "WAL_RECORD_TOO_LARGE",
    12,
  ]);
  expect(calls).toBe(7);
  const found = await batches(log);
  for (const batch of found) expect(batch.bytes.length).toBeLessThanOrEqual(1064);
  expect(found.flatMap((batch) => [...batch.records()]).map((record) => record.body.length)).toEqual([
    600, 600, 250, 250, 250, 400, 400, 400, 400, 400, 400, 10,
  ]);
  await wal.close();
});

test("WAL-2 segments rotate at their bound and never split a batch; everything reopens", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 4096 });
  const wanted: string[] = [];
  for (let index = 0; index < 40; index++) {
    const each = `${index}-${"x".repeat(300)}`;
    wanted.push(each);
    await log.append(2, body(each));
  }
  expect(wal.segmentCount()).toBeGreaterThan(2);
  expect(await bodies(log)).toEqual(wanted);
  await wal.close();
  const again = await open(fs, { segmentBytes: 4096 });
  expect(again.recovery).toMatchObject([{ resumable: true, durable: { lsn: 40 } }]);
  expect(await bodies(own(again))).toEqual(wanted);
  expect(await own(again).append(2, body("more"))).toBe(41);
  expect(await bodies(own(again), 41)).toEqual(["more"]);
  await again.close();
  expect((await fs.list("wal/sessions")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("CORE-2 openEpoch() makes the end of the epoch before its first record", async () => {
  const fs = memoryFs();
  const wal = await open(fs);
  const digest = new Uint8Array(16).fill(7);
  const log = await wal.openEpoch({
    region: 1,
    shard: 2,
    channel: "signals",
    epoch: 5,
    previous: { epoch: 4, lsn: 99, digest },
  });
  const [batch] = await batches(log);
  const [record] = [...(batch as WalBatch).records()];
  expect(record?.type).toBe(RECORD_TYPE.epochOpen);
  expect(decodeEpochOpen(record?.body as Uint8Array)).toEqual({ epoch: 4, lsn: 99, digest });
  expect(await outcome(wal.openEpoch({ region: 1, shard: 2, channel: "signals", epoch: 5 }))).toBe(
    "WAL_LOG_EXISTS",
  );
  expect(await outcome(wal.openEpoch({ region: 1, shard: 2, channel: "signals", epoch: 4 }))).toBe(
    "WAL_LOG_EXISTS",
  );
  await wal.close();
});

test("WAL-5 appendVerbatim() stores a foreign log byte by byte and refuses what does not continue it", async () => {
  const origin = await fresh();
  for (let index = 0; index < 30; index++) await origin.log.append(2, body(`record ${index}`));
  const bytes = await origin.log.readBatches(1, 30, 1 << 20);
  const follower = await open(memoryFs());
  const copy = await follower.createLog(OWN);
  const seen: number[] = [];
  copy.onCommit((batch) => seen.push(batch.lastLsn));
  expect(await outcome(copy.appendVerbatim(await origin.log.readBatches(2, 30, 1 << 20)))).toBe(
    "WAL_NOT_CONTIGUOUS",
  );
  await copy.appendVerbatim(bytes.subarray(0, bytes.length));
  expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  expect(await copy.readBatches(1, 30, 1 << 20)).toEqual(bytes);
  expect(await outcome(copy.appendVerbatim(bytes))).toBe("WAL_NOT_CONTIGUOUS");
  const flipped = (await origin.log.readBatches(30, 30, 1)).slice();
  flipped[70] = (flipped[70] as number) ^ 1;
  expect(await outcome(copy.appendVerbatim(flipped))).toBe("WAL_BAD_BATCH");
  const other = await follower.createLog(logId(3, 0, 1, "sessions"));
  expect(await outcome(other.appendVerbatim(bytes))).toBe("WAL_NOT_CONTIGUOUS");
  expect(copy.failed).toBeUndefined();
  await follower.close();
  await origin.wal.close();
});

test("WAL-5 a log may begin after a snapshot, and must continue the position given", async () => {
  const origin = await fresh();
  for (let index = 0; index < 5; index++) await origin.log.append(2, body(`record ${index}`));
  const after = { lsn: 3, digest: (await origin.log.digestAt(3)) as Uint8Array };
  const fs = memoryFs();
  const follower = await open(fs);
  const copy = await follower.createLog(OWN, { after });
  expect([copy.first, copy.durable.lsn]).toEqual([4, 3]);
  await follower.close();
  const again = await open(fs);
  expect(again.recovery).toMatchObject([{ first: 4, durable: { lsn: 3 } }]);
  const reopened = own(again);
  const forged = { ...after, digest: new Uint8Array(16).fill(1) };
  const elsewhere = await open(memoryFs());
  const wrong = await elsewhere.createLog(OWN, { after: forged });
  const tail = await origin.log.readBatches(4, 5, 1 << 20);
  expect(await outcome(wrong.appendVerbatim(tail))).toBe("WAL_NOT_CONTIGUOUS");
  await reopened.appendVerbatim(tail);
  expect(await bodies(reopened)).toEqual(["record 3", "record 4"]);
  expect(await outcome(bodies(reopened, 1))).toBe("WAL_NOT_HELD");
  await again.close();
});

test("WAL-6 at its bound the queue lets callers wait in order, drops nothing, and says so", async () => {
  const { fs, wal, log } = await fresh({ queueRecordsMax: 4 });
  const release = fs.holdSyncs();
  const first = [log.append(2, body("a")), log.append(2, body("b"))];
  await expect.poll(() => fs.heldSyncs).toBe(1);
  const rest = Array.from({ length: 10 }, (_, index) => log.append(2, body(`${index}`)));
  const stop = new AbortController();
  const aborted = outcome(log.append(2, body("never"), { signal: stop.signal }));
  expect(log.queue).toMatchObject({ records: 4, waiting: 7, waited: 7 });
  const reason = new Error("enough");
  stop.abort(reason);
  expect(await aborted).toBe(reason);
  release();
  expect(await Promise.all([...first, ...rest])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect(await bodies(log)).toEqual(["a", "b", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  await wal.close();
});

test("WAL-6 a deadline ends the wait for room with WAL_QUEUE_FULL and nothing written", async () => {
  const timers: { ms: number; run: () => void }[] = [];
  const setTimer = (ms: number, run: () => void) => {
    const timer = { ms, run };
    timers.push(timer);
    return () => void timers.splice(timers.indexOf(timer), 1);
  };
  const { fs, wal, log } = await fresh({ queueRecordsMax: 1, timers: { now: () => 0, setTimer } });
  const release = fs.holdSyncs();
  const first = [log.append(2, body("a")), log.append(2, body("b"))];
  const late = outcome(log.append(2, body("late"), { timeoutMs: 50 }));
  timers.find((timer) => timer.ms === 50)?.run();
  expect(await late).toBe("WAL_QUEUE_FULL");
  release();
  await Promise.all(first);
  expect(await bodies(log)).toEqual(["a", "b"]);
  await wal.close();
});

test("WAL-1 a closed log refuses, and close() writes what was queued", async () => {
  const { fs, wal, log } = await fresh();
  const queued = ["a", "b", "c"].map((each) => log.append(2, body(each)));
  await wal.close();
  expect(await Promise.all(queued)).toEqual([1, 2, 3]);
  expect(await outcome(log.append(2, body("d")))).toBe("WAL_CLOSED");
  await wal.close();
  const again = await open(fs);
  expect(await bodies(own(again))).toEqual(["a", "b", "c"]);
  await again.close();
});

test("WAL-5 an entry that moved to the next batch is whole there, though the batch before it is topped up", async () => {
  const { fs, wal, log } = await fresh({ batchBytesMax: 40_000 });
  const release = fs.holdSyncs();
  const first = log.appendMany([
    { type: 2, body: body("a") },
    { type: 2, body: body("b") },
  ]);
  await expect.poll(() => fs.heldSyncs).toBe(1);
  const encoded = (size: number) => (writer: { raw(bytes: Uint8Array): void }) =>
    writer.raw(new Uint8Array(size));
  const rest = [
    log.append(2, encoded(5000)),
    log.append(2, encoded(38_000)),
    log.append(2, new Uint8Array(33_000)),
    log.append(2, new Uint8Array(7)),
  ];
  release();
  await first;
  expect(await Promise.all(rest)).toEqual([3, 4, 5, 6]);
  const sizes = (await batches(log))
    .flatMap((batch) => [...batch.records()])
    .map((record) => record.body.length);
  expect(sizes).toEqual([1, 1, 5000, 38_000, 33_000, 7]);
  await wal.close();
});

test("WAL-5 an entry that fills the next batch to the brim is acknowledged with it", async () => {
  const { wal, log } = await fresh({ batchBytesMax: 1064 });
  const encoded = (size: number) => (writer: { raw(bytes: Uint8Array): void }) =>
    writer.raw(new Uint8Array(size));
  expect(await Promise.all([log.append(2, encoded(600)), log.append(2, encoded(990))])).toEqual([1, 2]);
  expect((await batches(log)).map((batch) => batch.bytes.length)).toEqual([64 + 603, 64 + 993]);
  await wal.close();
});
