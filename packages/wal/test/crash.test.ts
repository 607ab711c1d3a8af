import { nobleHasher } from "@tidemark/core";
import { memoryFs, openWal, type MemoryFs, type Wal } from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { OWN, SEGMENT, batches, bodies, body, fresh, open, outcome, own } from "./support.ts";

const DIR = "wal/sessions";

/** Overwrites bytes of a file, durably. */
async function patch(fs: MemoryFs, path: string, position: number, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, "write");
  file.write(bytes, position);
  file.syncNow();
  await file.close();
}

/** A copy of a file. */
async function copyOf(fs: MemoryFs, path: string): Promise<Uint8Array> {
  const bytes = await fs.readFile(path);
  if (bytes === undefined) throw new Error(`No such file: ${path}`);
  return bytes;
}

/** The offsets at which batches of the first segment begin, and where the last ends. */
async function offsets(wal: Wal): Promise<number[]> {
  const found = [0];
  for (const batch of await batches(own(wal))) found.push((found.at(-1) as number) + batch.bytes.length);
  return found;
}

test("scenario 1, WAL-12: a crash at every byte of an append leaves the acknowledged records and at most one more batch", async () => {
  const { fs, wal, log } = await fresh();
  await log.append(2, body("first"));
  await log.append(2, body("second"));
  const before = await copyOf(fs, SEGMENT);
  const start = (await offsets(wal)).at(-1) as number;
  await log.appendMany([
    { type: 2, body: body("third") },
    { type: 2, body: body("fourth") },
  ]);
  const end = (await offsets(wal)).at(-1) as number;
  const after = await copyOf(fs, SEGMENT);
  fs.kill();
  for (let at = start; at <= end; at++) {
    const torn = before.slice();
    torn.set(after.subarray(start, at), start);
    await patch(fs, SEGMENT, 0, torn);
    // The end of the epoch is remembered for good; here each cut is the first.
    await fs.unlink("wal/watermark");
    const again = await open(fs);
    const [recovery] = again.recovery;
    const whole = at === end;
    expect(await bodies(own(again))).toEqual(
      whole ? ["first", "second", "third", "fourth"] : ["first", "second"],
    );
    expect(recovery?.corrupt).toBeUndefined();
    // What was written so far may end in zeros: they count as free space.
    if (at > start + 3 && !whole) expect(recovery?.cut).toMatchObject({ offset: start });
    fs.kill();
  }
});

test("scenario 2: whatever sectors survive a crash, acknowledged records are there and only a prefix is applied", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.array(fc.integer({ min: 0, max: 2500 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 0, max: 12 }),
      async (seed, sizes, crashAt) => {
        const fs = memoryFs({ seed });
        const wal = await open(fs, { segmentBytes: 4096 });
        const log = await wal.createLog(OWN);
        const acked: string[] = [];
        for (const [index, size] of sizes.entries()) {
          const each = `${index}:${"x".repeat(size)}`;
          if (index === crashAt) {
            // In flight: written, and the sync never comes back.
            fs.holdSyncs();
            void outcome(log.append(2, body(each)));
            void outcome(log.append(2, body(`${each}+`)));
            for (let turn = 0; turn < 20; turn++) await Promise.resolve();
            break;
          }
          await log.append(2, body(each));
          acked.push(each);
        }
        fs.crash();
        const again = await open(fs, { segmentBytes: 4096 });
        expect(again.recovery[0]?.corrupt).toBeUndefined();
        const held = await bodies(own(again));
        expect(held.slice(0, acked.length)).toEqual(acked);
        expect([0, 1, 2]).toContain(held.length - acked.length);
        // Reopening once more, after another crash, changes nothing.
        fs.crash();
        const third = await open(fs, { segmentBytes: 4096 });
        expect(await bodies(own(third))).toEqual(held);
        expect(third.recovery[0]?.resumable).toBe(again.recovery[0]?.resumable);
      },
    ),
    { numRuns: 150 },
  );
});

test("scenario 3: after a torn tail the epoch has ended, and what the next epoch acknowledges survives", async () => {
  const { fs, wal, log } = await fresh();
  await log.append(2, body("kept"));
  const end = (await offsets(wal)).at(-1) as number;
  fs.kill();
  await patch(fs, SEGMENT, end, body("TMWL\u0000 then garbage"));
  const again = await open(fs);
  const [recovery] = again.recovery;
  expect(recovery).toMatchObject({ resumable: false, reason: "tail-cut", cut: { offset: end, bytes: 18 } });
  expect(await outcome(own(again).append(2, body("no")))).toBe("WAL_EPOCH_ENDED");
  const previous = { epoch: OWN.epoch, ...own(again).durable };
  const next = await again.openEpoch({ ...OWN, epoch: 11, previous });
  await next.append(2, body("acked"));
  fs.crash(() => false);
  const third = await open(fs);
  expect(third.recovery.map(({ resumable, cut }) => [resumable, cut])).toEqual([
    [false, undefined],
    [true, undefined],
  ]);
  expect(await bodies(own(third))).toEqual(["kept"]);
  expect((await bodies(own(third, next.id))).slice(1)).toEqual(["acked"]);
});

test("scenario 3: a foreign log goes on by fetching right where its torn tail was cut", async () => {
  const origin = await fresh();
  for (const each of ["a", "b", "c"]) await origin.log.append(2, body(each));
  const fs = memoryFs();
  const wal = await open(fs);
  await (await wal.createLog(OWN)).appendVerbatim(await origin.log.readBatches(1, 2, 1 << 20));
  const end = (await offsets(wal)).at(-1) as number;
  fs.kill();
  const third = await origin.log.readBatches(3, 3, 1 << 20);
  await patch(fs, SEGMENT, end, third.subarray(0, third.length - 1));
  const again = await open(fs);
  expect(again.recovery[0]?.cut?.offset).toBe(end);
  await own(again).appendVerbatim(third);
  fs.crash(() => false);
  const last = await open(fs);
  expect(await bodies(own(last))).toEqual(["a", "b", "c"]);
});

test("scenario 3: a torn run of fetched batches is a torn tail, though good batches lie behind the damage", async () => {
  const origin = await fresh();
  for (let index = 0; index < 8; index++) await origin.log.append(2, new Uint8Array(700).fill(index));
  const run = await origin.log.readBatches(3, 8, 1 << 20);
  for (let seed = 0; seed < 40; seed++) {
    const fs = memoryFs({ seed });
    const wal = await open(fs);
    const copy = await wal.createLog(OWN);
    await copy.appendVerbatim(await origin.log.readBatches(1, 2, 1 << 20));
    fs.failSync({ path: SEGMENT });
    await outcome(copy.appendVerbatim(run));
    // The sync failed with everything in the page cache; now the disk keeps what the seed says.
    const path = SEGMENT;
    const damaged = fs.readFile(path);
    fs.kill();
    const bytes = (await damaged) as Uint8Array;
    const file = await fs.open(path, "write");
    file.write(bytes, 0);
    fs.crash();
    const again = await open(fs);
    expect(again.recovery[0]?.corrupt, `seed ${seed} of 40`).toBeUndefined();
    const held = own(again).durable.lsn;
    expect(held, `seed ${seed} of 40`).toBeGreaterThanOrEqual(2);
    if (held < 8) await own(again).appendVerbatim(await origin.log.readBatches(held + 1, 8, 1 << 20));
    expect(await own(again).readBatches(1, 8, 1 << 20), `seed ${seed} of 40`).toEqual(
      await origin.log.readBatches(1, 8, 1 << 20),
    );
  }
});

test("scenario 4: garbage behind an old segment does not hide the newer one that continues exactly, twice", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 2048 });
  const wanted: string[] = [];
  for (let index = 0; index < 12; index++) {
    wanted.push(`${index} ${"x".repeat(200)}`);
    await log.append(2, body(wanted.at(-1) as string));
  }
  await wal.close();
  const first = (await copyOf(fs, SEGMENT)).length;
  await patch(fs, SEGMENT, first - 20, body("TMWL\u0002torn"));
  for (let time = 0; time < 2; time++) {
    const again = await open(fs, { segmentBytes: 2048 });
    expect(again.recovery[0]).toMatchObject({ resumable: true, durable: { lsn: 12 } });
    expect(await bodies(own(again))).toEqual(wanted);
    await again.close();
  }
});

test("scenario 4: a newer segment that does not continue exactly is never joined: the hole is corruption", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 2048 });
  for (let index = 0; index < 12; index++) await log.append(2, body(`${index} ${"x".repeat(200)}`));
  await wal.close();
  const names = (await fs.list(DIR)).filter((name) => name.endsWith(".wal")).toSorted();
  expect(names.length).toBe(2);
  const next = Number((names[1] as string).slice(-24, -4));
  // The last batch of the old segment is torn off.
  const bytes = await copyOf(fs, SEGMENT);
  const file = await fs.open(SEGMENT, "write");
  await file.truncate(bytes.length - 400);
  await file.sync();
  for (let time = 0; time < 2; time++) {
    const again = await open(fs, { segmentBytes: 2048 });
    const broken = own(again);
    expect(broken.failed).toMatchObject({ code: "WAL_CORRUPT", nextLsn: next });
    expect(broken.durable.lsn).toBeLessThan(next - 1);
    expect((await bodies(broken, next)).length).toBe(12 - next + 1);
    expect(await outcome(bodies(broken))).toBe("WAL_CORRUPT");
    expect(await outcome(broken.append(2, body("x")))).toBe("WAL_LOG_FAILED");
    await again.close();
  }
});

test("scenario 5: every flipped bit of a sealed batch is detected, and later batches stay readable", async () => {
  const { fs, wal, log } = await fresh();
  for (const each of ["a", "b", "c"]) await log.append(2, body(each));
  const [, from, to] = await offsets(wal);
  await wal.close();
  for (let offset = from as number; offset < (to as number); offset++) {
    for (const bit of [0, 3, 7]) {
      fs.flipBit(SEGMENT, offset, bit);
      const again = await open(fs);
      const broken = own(again);
      expect(broken.failed).toMatchObject({
        code: "WAL_CORRUPT",
        segment: SEGMENT.slice(13),
        offset: from,
        lsn: 2,
        nextLsn: 3,
      });
      expect(again.recovery[0]).toMatchObject({
        resumable: false,
        reason: "corrupt",
        corrupt: { lsn: 2, nextLsn: 3 },
      });
      expect(await bodies(broken, 3)).toEqual(["c"]);
      expect(broken.durable.lsn).toBe(1);
      fs.kill();
      fs.flipBit(SEGMENT, offset, bit);
    }
  }
  expect(await bodies(own(await open(fs)))).toEqual(["a", "b", "c"]);
});

test("scenario 5: rot under an open log is found when it is read, with its place", async () => {
  const { fs, log } = await fresh();
  for (const each of ["a", "b", "c"]) await log.append(2, body(each));
  fs.flipBit(SEGMENT, 64 + 1, 0);
  await expect(bodies(log)).rejects.toMatchObject({ code: "WAL_CORRUPT", offset: 0, lsn: 1 });
  expect(await bodies(log, 2)).toEqual(["b", "c"]);
});

test("scenario 6: damage below the durable watermark is corruption, also at the very tail", async () => {
  for (const damage of ["flip", "zero", "truncate"] as const) {
    const { fs, wal, log } = await fresh();
    for (const each of ["a", "b", "c"]) await log.append(2, body(each));
    const [, , from, to] = await offsets(wal);
    await wal.close();
    if (damage === "flip") fs.flipBit(SEGMENT, (to as number) - 1, 0);
    if (damage === "zero")
      await patch(fs, SEGMENT, from as number, new Uint8Array((to as number) - (from as number)));
    if (damage === "truncate") await (await fs.open(SEGMENT, "write")).truncate((from as number) + 10);
    const size = (await copyOf(fs, SEGMENT)).length;
    const again = await open(fs);
    expect(again.recovery[0]).toMatchObject({
      reason: "corrupt",
      corrupt: { offset: from, lsn: 3 },
      durable: { lsn: 2 },
    });
    expect(await bodies(own(again))).toEqual(["a", "b"]);
    expect((await copyOf(fs, SEGMENT)).length).toBe(size);
    fs.kill();
    expect((await open(fs)).recovery[0]?.reason).toBe("corrupt");
  }
});

test("scenario 9: a crash around rotation neither loses nor doubles a segment", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const fs = memoryFs({ seed });
    const wal = await open(fs, { segmentBytes: 1024 });
    const log = await wal.createLog(OWN);
    const acked: string[] = [];
    for (let index = 0; index < 3 + (seed % 9); index++) {
      const each = `${index} ${"x".repeat(180)}`;
      await log.append(2, body(each));
      acked.push(each);
    }
    fs.crash();
    const again = await open(fs, { segmentBytes: 1024 });
    expect(await bodies(own(again)), `seed ${seed} of 60`).toEqual(acked);
    expect(again.recovery[0], `seed ${seed} of 60`).toMatchObject({ resumable: true });
    expect(await own(again).append(2, body("on"))).toBe(acked.length + 1);
  }
});

test("scenario 10: an older valid batch at a newer offset is refused, of this epoch or of another", async () => {
  const { fs, wal, log } = await fresh();
  for (const each of ["aaaa", "bbbb"]) await log.append(2, body(each));
  const other = await wal.openEpoch({ ...OWN, epoch: 11 });
  await other.append(2, body("other"));
  const stale = await log.readBatches(1, 1, 1);
  const foreign = await other.readBatches(2, 2, 1);
  const end = (await offsets(wal)).at(-1) as number;
  fs.kill();
  for (const bytes of [stale, foreign]) {
    await patch(fs, SEGMENT, end, bytes);
    const again = await open(fs);
    expect(again.recovery[0]).toMatchObject({
      durable: { lsn: 2 },
      cut: { offset: end, bytes: bytes.length },
    });
    expect(await bodies(own(again))).toEqual(["aaaa", "bbbb"]);
    fs.kill();
  }
});

test("scenario 10: a batch of the right LSN and another history is refused", async () => {
  const { fs, wal, log } = await fresh();
  await log.append(2, body("a"));
  const end = (await offsets(wal)).at(-1) as number;
  fs.kill();
  const fork = await fresh();
  await fork.log.append(2, body("z"));
  await fork.log.append(2, body("y"));
  await patch(fs, SEGMENT, end, await fork.log.readBatches(2, 2, 1));
  const again = await open(fs);
  expect(again.recovery[0]).toMatchObject({ durable: { lsn: 1 }, reason: "tail-cut" });
});

test("WAL-12 an empty file, and a segment of only zeros, are an empty log that goes on", async () => {
  for (const size of [0, 1, 4096]) {
    const fs = memoryFs();
    await (await open(fs)).close();
    const file = await fs.open(SEGMENT, "create");
    file.write(new Uint8Array(size), 0);
    file.syncNow();
    const wal = await open(fs);
    expect(wal.recovery).toMatchObject([{ first: 1, durable: { lsn: 0 }, resumable: true }]);
    expect(await own(wal).append(2, body("a"))).toBe(1);
    expect(await bodies(own(wal))).toEqual(["a"]);
  }
});

test("WAL-12 reopening twice gives the same log, and what recovery keeps no crash takes away", async () => {
  const { fs, log } = await fresh();
  await log.append(2, body("a"));
  fs.failSync();
  expect(await outcome(log.append(2, body("b")))).toBe("WAL_SYNC_FAILED");
  // The process dies; the page cache shows "b" and calls it clean, the disk does not have it.
  fs.kill();
  const again = await open(fs);
  const held = await bodies(own(again));
  fs.crash(() => false);
  expect(await bodies(own(await open(fs)))).toEqual(held);
});

test("WAL-11 a lost watermark ends every epoch: nobody knows how the last run wrote", async () => {
  const { fs, wal, log } = await fresh();
  await log.append(2, body("a"));
  await wal.close();
  await fs.unlink("wal/watermark");
  expect((await open(fs)).recovery).toMatchObject([{ resumable: false, reason: "watermark-lost" }]);
  fs.kill();
  expect((await open(fs)).recovery).toMatchObject([{ resumable: false, reason: "ended" }]);
});

test("WAL-11 segments that a checkpoint covers are not scanned, and are read all the same", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 2048 });
  const wanted: string[] = [];
  for (let index = 0; index < 30; index++) {
    wanted.push(`${index} ${"x".repeat(200)}`);
    await log.append(2, body(wanted.at(-1) as string));
  }
  const vector = wal.vector();
  await wal.close();
  let bytes = 0;
  const counting = {
    ...nobleHasher,
    digest: (...args: Parameters<typeof nobleHasher.digest>) => {
      bytes += args[1].length;
      return nobleHasher.digest(...args);
    },
  };
  const again = await openWal({ fs, dir: "wal", hasher: counting, segmentBytes: 2048, scanFrom: vector });
  expect(bytes).toBeLessThan(4096);
  expect(await bodies(own(again))).toEqual(wanted);
  expect(await own(again).digestAt(3)).toEqual((await batches(own(again)))[2]?.digest);
  expect(await own(again).append(2, body("on"))).toBe(31);
});
