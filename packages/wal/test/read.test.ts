import { expect, test } from "vitest";
import { batches, bodies, body, fresh, outcome } from "./support.ts";

test("WAL-15 read() starts with the batch that covers any LSN", async () => {
  const { wal, log } = await fresh({ segmentBytes: 8192 });
  for (let index = 0; index < 30; index++) {
    await log.appendMany(
      [1, 2, 3].map((part) => ({ type: 2, body: new Uint8Array(150).fill(index * 3 + part) })),
    );
  }
  for (let from = 1; from <= 90; from++) {
    const found = await batches(log, from);
    expect(found[0]?.firstLsn).toBe(Math.floor((from - 1) / 3) * 3 + 1);
    expect(found.at(-1)?.lastLsn).toBe(90);
  }
  expect(await batches(log, 91)).toEqual([]);
  expect(() => log.read(0)).toThrow(RangeError);
  await wal.close();
});

test("WAL-15 read() follows the tail across rotation until it is aborted", async () => {
  const { wal, log } = await fresh({ segmentBytes: 2048 });
  const stop = new AbortController();
  const seen: number[] = [];
  const following = outcome(
    (async () => {
      for await (const batch of log.read(1, { follow: true, signal: stop.signal })) seen.push(batch.lastLsn);
    })(),
  );
  for (let index = 0; index < 30; index++) await log.append(2, new Uint8Array(300));
  await expect.poll(() => seen.length).toBe(30);
  expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  const reason = new Error("enough");
  stop.abort(reason);
  expect(await following).toBe(reason);
  await wal.close();
});

test("WAL-15 those who follow end when the log is closed, and leaving the loop ends reading", async () => {
  const { wal, log } = await fresh();
  await log.append(2, body("a"));
  await log.append(2, body("b"));
  for await (const batch of log.read(1, { follow: true })) {
    expect(batch.lastLsn).toBe(1);
    break;
  }
  const following = (async () => {
    let count = 0;
    for await (const _ of log.read(1, { follow: true })) count += 1;
    return count;
  })();
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  await wal.close();
  expect(await following).toBe(2);
});

test("WAL-15 readBatches() serves whole batches: at least one, then as many as fit", async () => {
  const { wal, log } = await fresh();
  for (let index = 0; index < 10; index++) await log.append(2, new Uint8Array(100).fill(index));
  const one = (await log.readBatches(4, 9, 1)).length;
  expect(one).toBe(64 + 2 + 100);
  expect((await log.readBatches(4, 9, one * 3 + 1)).length).toBe(one * 3);
  expect((await log.readBatches(4, 9, 1 << 20)).length).toBe(one * 6);
  expect((await log.readBatches(11, 20, 1 << 20)).length).toBe(0);
  await wal.close();
});

test("WAL-13 digestAt() knows the batch that ends at an LSN, and no other", async () => {
  const { wal, log } = await fresh({ segmentBytes: 1024 });
  for (let index = 0; index < 12; index++) {
    await log.appendMany([1, 2].map(() => ({ type: 2, body: new Uint8Array(80).fill(index) })));
  }
  const all = await batches(log);
  for (const batch of all) {
    expect(await log.digestAt(batch.lastLsn)).toEqual(batch.digest);
    expect(await log.digestAt(batch.firstLsn)).toBeUndefined();
  }
  expect(await log.digestAt(0)).toBeUndefined();
  expect(await log.digestAt(99)).toBeUndefined();
  expect(await bodies(log, 23)).toHaveLength(2);
  await wal.close();
});
