import { logId } from "@tidemark/core";
import { Vector, memoryFs, type MemoryFs, type Wal } from "@tidemark/wal";
import { expect, test } from "vitest";
import { OWN, batches, bodies, body, fresh, open, outcome, own } from "./support.ts";

const SMALL = { segmentBytes: 1024 };

/** A log of four segments with three batches each. */
async function twelve(fs?: MemoryFs): Promise<{ fs: MemoryFs; wal: Wal; texts: string[] }> {
  const made = fs === undefined ? await fresh(SMALL) : { fs, wal: await open(fs, SMALL) };
  const log = made.wal.log(OWN) ?? (await made.wal.createLog(OWN));
  const texts: string[] = [];
  for (let index = 1; index <= 12; index++) {
    texts.push(`${index} ${"x".repeat(200)}`);
    await log.append(2, body(texts.at(-1) as string));
  }
  return { fs: made.fs, wal: made.wal, texts };
}

test("WAL-14 retain() removes whole segments at or below the floor, never the one with the last batch", async () => {
  const { fs, wal, texts } = await twelve();
  const log = own(wal);
  const sizes = wal.segments(OWN).map((segment) => [segment.firstLsn, segment.lastLsn]);
  expect(sizes).toEqual([
    [1, 3],
    [4, 6],
    [7, 9],
    [10, 12],
  ]);
  const bytes = wal.bytesOf(OWN);
  const [one = 0, two = 0, three = 0] = wal.segments(OWN).map((segment) => segment.bytes);
  expect(bytes).toBe((await batches(log)).reduce((sum, batch) => sum + batch.bytes.length, 0));
  expect(await wal.retain([{ log: OWN, lsn: 2 }])).toEqual({ segments: 0, bytes: 0 });
  expect(await wal.retain([{ log: OWN, lsn: 5 }])).toEqual({ segments: 1, bytes: one });
  expect([log.first, wal.bytesOf(OWN), wal.byteCount()]).toEqual([4, bytes - one, bytes - one]);
  expect(await bodies(log)).toEqual(texts.slice(3));
  // A vector is a floor too.
  const floor = Vector.of([{ log: OWN, lsn: 999, digest: new Uint8Array(8) }]);
  expect(await wal.retain(floor)).toEqual({ segments: 2, bytes: two + three });
  expect([log.first, log.durable.lsn, wal.segmentCount()]).toEqual([10, 12, 1]);
  expect((await fs.list("wal/sessions")).filter((name) => name.endsWith(".wal"))).toHaveLength(1);
  expect(await log.append(2, body("on"))).toBe(13);
  expect(await wal.retain([{ log: logId(9, 9, 9, "signals"), lsn: 5 }])).toEqual({ segments: 0, bytes: 0 });
  expect(await bodies(log)).toEqual([...texts.slice(9), "on"]);
  await wal.close();
  await expect(wal.retain(floor)).rejects.toMatchObject({ code: "WAL_CLOSED" });
});

test("WAL-14 a trimmed log proves its base by its first batch, reopens, and goes on", async () => {
  const { fs, wal, texts } = await twelve();
  const all = await batches(own(wal));
  await wal.retain([{ log: OWN, lsn: 6 }]);
  expect(await own(wal).digestAt(6)).toEqual(all[5]?.digest);
  expect(await own(wal).digestAt(5)).toBeUndefined();
  await wal.close();
  const again = await open(fs, SMALL);
  expect(again.recovery).toMatchObject([{ first: 7, durable: { lsn: 12 }, resumable: true }]);
  expect(await own(again).digestAt(6)).toEqual(all[5]?.digest);
  expect(await bodies(own(again))).toEqual(texts.slice(6));
  expect(await own(again).append(2, body("on"))).toBe(13);
  expect((await batches(own(again), 13))[0]?.previous).toEqual(all[11]?.digest);
  await again.close();
  // Also where the checkpoint covers what is there, and segments are not scanned.
  const vector = again.vector();
  const third = await open(fs, { ...SMALL, scanFrom: vector });
  expect(await own(third).digestAt(6)).toEqual(all[5]?.digest);
});

test("WAL-14 readers under way below the floor are told so, and so are new ones", async () => {
  const { wal } = await twelve();
  const log = own(wal);
  const seen: number[] = [];
  const reading = outcome(
    (async () => {
      for await (const batch of log.read(1)) {
        seen.push(batch.lastLsn);
        if (batch.lastLsn === 2) await wal.retain([{ log: OWN, lsn: 6 }]);
      }
    })(),
  );
  expect([await reading, seen]).toEqual(["WAL_NOT_HELD", [1, 2]]);
  expect(await outcome(bodies(log, 6))).toBe("WAL_NOT_HELD");
  expect(await outcome(log.readBatches(1, 3, 1 << 20))).toBe("WAL_NOT_HELD");
  expect(await bodies(log, 7)).toHaveLength(6);
  // A reader above the floor is not disturbed.
  const high: number[] = [];
  for await (const batch of log.read(7)) {
    high.push(batch.lastLsn);
    if (batch.lastLsn === 10) await wal.retain([{ log: OWN, lsn: 9 }]);
  }
  expect(high).toEqual([7, 8, 9, 10, 11, 12]);
});

test("WAL-14 a crash at any step of retain() leaves a log that begins later, without a hole", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const { fs, wal, texts } = await twelve(memoryFs({ seed }));
    if (seed % 2 === 0) fs.failSync({ nth: 1 + (seed % 3), path: "wal/sessions" });
    await outcome(wal.retain([{ log: OWN, lsn: 9 }]));
    expect(own(wal).first).toBe(10);
    fs.crash();
    const again = await open(fs, SMALL);
    const [recovery] = again.recovery;
    expect(recovery).toMatchObject({ durable: { lsn: 12 }, resumable: true });
    expect([1, 4, 7, 10]).toContain(recovery?.first);
    expect(await bodies(own(again))).toEqual(texts.slice((recovery?.first as number) - 1));
    expect(await own(again).append(2, body("on"))).toBe(13);
  }
});

test("WAL-14 what could not be removed is removed with the next call", async () => {
  const { fs, wal } = await twelve();
  fs.failSync({ path: "wal/sessions" });
  expect(await outcome(wal.retain([{ log: OWN, lsn: 9 }]))).toBe("EIO");
  expect(await wal.retain([])).toEqual({ segments: 0, bytes: 0 });
  const { segments } = await wal.retain([{ log: OWN, lsn: 9 }]);
  expect(segments).toBe(3);
  expect((await fs.list("wal/sessions")).filter((name) => name.endsWith(".wal"))).toHaveLength(1);
});

test("WAL-14 a log that is damaged keeps everything until it is repaired", async () => {
  const { fs, wal } = await twelve();
  const length = (await batches(own(wal)))[0]?.bytes.length as number;
  await wal.close();
  fs.flipBit("wal/sessions/r00001-s00000-e0000000010-00000000000000000007.wal", length + 70, 1);
  const again = await open(fs, SMALL);
  expect(own(again).failed?.code).toBe("WAL_CORRUPT");
  expect(await again.retain([{ log: OWN, lsn: 12 }])).toEqual({ segments: 0, bytes: 0 });
  expect(await bodies(own(again), 9)).toHaveLength(4);
});

test("WAL-14 an empty last segment does not take the proof of the end with it", async () => {
  const { fs, wal } = await twelve();
  const log = own(wal);
  const last = (await batches(log)).at(-1);
  await wal.close();
  // A rotation that was the last thing to happen.
  const file = await fs.open("wal/sessions/r00001-s00000-e0000000010-00000000000000000013.wal", "create");
  file.syncNow();
  await fs.syncDir("wal/sessions");
  const again = await open(fs, { ...SMALL, scanFrom: wal.vector() });
  await again.retain([{ log: OWN, lsn: 12 }]);
  expect(own(again).first).toBe(10);
  await own(again).append(2, body("on"));
  expect((await batches(own(again), 13))[0]?.previous).toEqual(last?.digest);
});
