import { readFileSync } from "node:fs";
import { CoreError, logId, nobleHasher, regionId, shardId, type LogId } from "@tidemark/core";
import {
  BATCH_PAYLOAD_BYTES_MAX,
  Vector,
  WalError,
  decodeBatch,
  decodeBatches,
  decodeCheckpoint,
  decodeWatermark,
  encodeWatermark,
  formatSegmentName,
  forEachRecord,
  memoryFs,
  parseSegmentName,
  readCheckpoint,
  writeCheckpoint,
} from "@tidemark/wal";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bodies, body, fresh, open, own, reseal, text } from "./support.ts";

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`golden/${name}`, import.meta.url)));
const lsn = fc.oneof(
  fc.integer({ min: 1, max: 1000 }),
  fc.maxSafeInteger().map((value) => Math.max(1, Math.abs(value))),
);
const logIds: fc.Arbitrary<LogId> = fc
  .tuple(fc.nat(0xffff), fc.nat(0xffff), fc.nat(0xffff_ffff), fc.constantFrom("signals", "sessions"))
  .map(([region, shard, epoch, channel]) => logId(region, shard, epoch, channel));

test("WAL-1 formatSegmentName() and parseSegmentName() are exact inverses", () => {
  fc.assert(
    fc.property(
      fc.nat(0xffff),
      fc.nat(0xffff),
      fc.nat(0xffff_ffff),
      lsn,
      (region, shard, epoch, firstLsn) => {
        const name = { region: regionId(region), shard: shardId(shard), epoch, firstLsn };
        expect(parseSegmentName(formatSegmentName(name))).toEqual(name);
      },
    ),
  );
  const legacy = { region: regionId(0), shard: shardId(0), epoch: 0, firstLsn: 42, legacy: true } as const;
  expect(formatSegmentName(legacy)).toBe("wal-00000000000000000042.wal");
  expect(parseSegmentName("wal-00000000000000000042.wal")).toEqual(legacy);
});

test("WAL-1 any other file name is undefined, never guessed", () => {
  const good = "r00001-s00007-e0000000001-00000000000000004096.wal";
  expect(parseSegmentName(good)).toBeDefined();
  for (const bad of [
    "",
    good.toUpperCase(),
    `${good}.tmp`,
    ` ${good}`,
    `${good}\n`,
    "r1-s7-e1-4096.wal",
    "r65536-s00007-e0000000001-00000000000000004096.wal",
    "r00001-s00007-e4294967296-00000000000000004096.wal",
    "r00001-s00007-e0000000001-00009007199254740992.wal",
    "r00001-s00007-e0000000001-00000000000000000000.wal",
    "wal-00000000000000000000.wal",
    "wal-1.wal",
  ]) {
    expect(parseSegmentName(bad)).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.string(), (name) => {
      const parsed = parseSegmentName(name);
      if (parsed !== undefined) expect(formatSegmentName(parsed)).toBe(name);
    }),
  );
});

test("WAL-1 segment names sort in the order of the LSNs", () => {
  fc.assert(
    fc.property(lsn, lsn, (a, b) => {
      const [x, y] = [a, b].map((firstLsn) => formatSegmentName({ ...logId(1, 2, 3, "signals"), firstLsn }));
      expect((x as string) < (y as string)).toBe(a < b);
    }),
  );
});

test("WAL-3 batch version 2 has these bytes", async () => {
  const { wal } = await fresh();
  const log = await wal.createLog(logId(1, 7, 1_790_000_000, "sessions"));
  await Promise.all([log.append(2, body("hello")), log.append(0x90, new Uint8Array(0))]);
  await log.append(1, body("world"));
  const bytes = await log.readBatches(1, 3, 1 << 20);
  expect(Buffer.from(bytes).toString("hex")).toBe(
    "544d574c020200000100000000000000020000000900000007000100803bb16a0000000000000000000000000000000010db15b07f79ab845a80d4c937e22d28" +
      "060268656c6c6f0190" +
      "544d574c020200000300000000000000010000000700000007000100803bb16a10db15b07f79ab845a80d4c937e22d2864db8ce86669c117bc0570f96dee229f" +
      "0601776f726c64",
  );
  expect(bytes).toEqual(golden("v2-two-batches.wal"));
});

test("WAL-3 both versions decode from their golden files; version 1 is region 0, shard 0, epoch 0", () => {
  for (const [name, id] of [
    ["v1-two-batches.wal", logId(0, 0, 0, "sessions")],
    ["v2-two-batches.wal", logId(1, 7, 1_790_000_000, "sessions")],
  ] as const) {
    const found = [...decodeBatches(golden(name), nobleHasher)];
    expect(found.map((batch) => [batch.log, batch.firstLsn, batch.lastLsn])).toEqual([
      [id, 1, 2],
      [id, 3, 3],
    ]);
    const records = found.flatMap((batch) => [...batch.records()]);
    expect(records.map((record) => [record.lsn, record.type, text(record.body)])).toEqual([
      [1, 2, "hello"],
      [2, 0x90, ""],
      [3, 1, "world"],
    ]);
  }
});

test("WAL-3 a directory of the single-node layout opens, and its epoch is not continued", async () => {
  const fs = memoryFs();
  await (await open(fs)).close();
  const file = await fs.open("wal/sessions/wal-00000000000000000001.wal", "create");
  file.write(golden("v1-two-batches.wal"), 0);
  const wal = await open(fs);
  expect(wal.recovery).toMatchObject([{ first: 1, durable: { lsn: 3 }, resumable: false, reason: "legacy" }]);
  expect(await bodies(own(wal, logId(0, 0, 0, "sessions")))).toEqual(["hello", "", "world"]);
});

test("WAL-3 a newer version, and unknown flags, are refused by number and never skipped or cut", async () => {
  for (const [offset, value] of [
    [4, 3],
    [6, 1],
  ] as const) {
    const newer = golden("v2-two-batches.wal");
    newer[offset] = value;
    reseal(newer.subarray(0, 73));
    expect(() => decodeBatch(newer, 0, nobleHasher)).toThrow(
      expect.objectContaining({ code: "WAL_VERSION_UNSUPPORTED" }),
    );
    const fs = memoryFs();
    await (await open(fs)).close();
    const path = "wal/sessions/r00001-s00007-e1790000000-00000000000000000001.wal";
    const file = await fs.open(path, "create");
    file.write(newer.subarray(0, 73), 0);
    const wal = await open(fs);
    const log = own(wal, logId(1, 7, 1_790_000_000, "sessions"));
    expect(log.failed).toMatchObject({ code: "WAL_VERSION_UNSUPPORTED", version: offset === 4 ? 3 : 2 });
    expect(wal.recovery).toMatchObject([{ resumable: false, reason: "unsupported-version" }]);
    expect((await fs.readFile(path))?.length).toBe(73);
  }
});

test("WAL-4 unknown record types are kept, read and shipped", async () => {
  const { log } = await fresh();
  const types = [0, 6, 0x7f, 0x80, 0xff];
  await log.appendMany(types.map((type) => ({ type, body: body(`type ${type}`) })));
  const seen: number[] = [];
  for (const batch of decodeBatches(await log.readBatches(1, 5, 1 << 20), nobleHasher)) {
    forEachRecord(batch, (type) => seen.push(type));
  }
  expect(seen).toEqual(types);
});

test("CORE-13 any bytes decode to a batch or throw our error, and a flipped bit is never taken", () => {
  const good = golden("v2-two-batches.wal").subarray(0, 73);
  fc.assert(
    fc.property(fc.nat(72), fc.nat(7), fc.uint8Array({ maxLength: 40 }), (at, bit, tail) => {
      const bad = new Uint8Array([...good, ...tail]);
      bad[at] = (bad[at] as number) ^ (1 << bit);
      expect(() => decodeBatch(bad, 0, nobleHasher)).toThrow(WalError);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => decodeBatch(bytes, 0, nobleHasher)).toThrow(WalError);
    }),
  );
  const giant = good.slice();
  new DataView(giant.buffer).setUint32(20, BATCH_PAYLOAD_BYTES_MAX + 1, true);
  expect(() => decodeBatch(giant, 0, nobleHasher)).toThrow(/limit/);
});

test("Vector round-trips, sorts, and has the bytes of its golden file", () => {
  const entry = fc.record({ log: logIds, lsn, digest: fc.uint8Array({ minLength: 8, maxLength: 8 }) });
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const vector = Vector.of(entries);
      const again = Vector.decode(vector.encode());
      expect(again.entries()).toEqual(vector.entries());
      expect(again.encode()).toEqual(vector.encode());
      expect(vector.covers(again) && vector.missing(again).length === 0).toBe(true);
    }),
  );
  const known = Vector.decode(golden("v1.vector"));
  expect(known.lsnOf(logId(1, 7, 1_790_000_000, "sessions"))).toBe(3);
  expect(known.encode()).toEqual(golden("v1.vector"));
});

test("Vector decoding is safe: any bytes decode or throw our error, unsorted or doubled entries are refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      try {
        expect(Vector.decode(bytes).encode()).toEqual(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(CoreError);
      }
    }),
  );
  const one = golden("v1.vector").subarray(1);
  expect(() => Vector.decode(new Uint8Array([2, ...one, ...one]))).toThrow(CoreError);
  expect(() => Vector.decode(new Uint8Array([0xff, 0xff, 0xff, 0x7f]))).toThrow(CoreError);
});

test("Vector covers() and missing() know gaps and another history at the same LSN", () => {
  const log = logId(1, 0, 1, "signals");
  const at = (position: number, fill: number): Vector =>
    Vector.of([{ log, lsn: position, digest: new Uint8Array(8).fill(fill) }]);
  expect(at(5, 1).covers(at(4, 2))).toBe(true);
  expect(at(5, 1).covers(at(5, 2))).toBe(false);
  expect(at(4, 1).covers(at(5, 1))).toBe(false);
  expect(at(4, 1).missing(at(9, 1))).toEqual([{ log, from: 5, to: 9 }]);
  expect(Vector.empty.missing(at(2, 1))).toEqual([{ log, from: 1, to: 2 }]);
  expect(at(5, 1).builder().delete(log).build().size).toBe(0);
});

test("WAL-11 the watermark round-trips, has its golden bytes, and any damage is noticed", () => {
  const bytes = golden("v1.watermark");
  const watermark = decodeWatermark(bytes, nobleHasher);
  expect(watermark).toMatchObject({ durability: 0, clean: true, entries: [{ lsn: 3, ended: false }] });
  expect(encodeWatermark(watermark, nobleHasher)).toEqual(bytes);
  for (let at = 0; at < bytes.length; at++) {
    const bad = bytes.slice();
    bad[at] = (bad[at] as number) ^ 4;
    expect(() => decodeWatermark(bad, nobleHasher)).toThrow(CoreError);
  }
});

test("WAL-13 a checkpoint carries its vector, has its golden bytes, and any damage is noticed", () => {
  const bytes = golden("v1-one-log.tmcp");
  const checkpoint = decodeCheckpoint(bytes, nobleHasher);
  expect(text(checkpoint.body)).toBe("state");
  expect(checkpoint.vector.lsnOf(logId(1, 7, 1_790_000_000, "sessions"))).toBe(3);
  for (let at = 0; at < bytes.length; at++) {
    const bad = bytes.slice();
    bad[at] = (bad[at] as number) ^ 4;
    expect(() => decodeCheckpoint(bad, nobleHasher)).toThrow(CoreError);
  }
});

test("WAL-13 checkpoints: the two newest are kept, and a bad one falls back to the one before", async () => {
  const fs = memoryFs();
  const write = (state: string) =>
    writeCheckpoint(fs, "cp", nobleHasher, { vector: Vector.empty, body: body(state) });
  expect(await readCheckpoint(fs, "cp", nobleHasher)).toBeUndefined();
  for (const state of ["one", "two", "three"]) await write(state);
  expect((await fs.list("cp")).length).toBe(2);
  expect(text((await readCheckpoint(fs, "cp", nobleHasher))?.body as Uint8Array)).toBe("three");
  fs.flipBit("cp/checkpoint-00000000000000000003.tmcp", 20, 0);
  const fallen = await readCheckpoint(fs, "cp", nobleHasher);
  expect([text(fallen?.body as Uint8Array), fallen?.skipped]).toEqual([
    "two",
    ["checkpoint-00000000000000000003.tmcp"],
  ]);
  // The damaged one does not count as kept: "two" stays.
  await write("four");
  fs.flipBit("cp/checkpoint-00000000000000000004.tmcp", 20, 0);
  expect(text((await readCheckpoint(fs, "cp", nobleHasher))?.body as Uint8Array)).toBe("two");
  fs.flipBit("cp/checkpoint-00000000000000000002.tmcp", 20, 0);
  await expect(readCheckpoint(fs, "cp", nobleHasher)).rejects.toMatchObject({ code: "WAL_BAD_FILE" });
});

test("WAL-13 a crash while a checkpoint is written leaves the one before or the new one, whole", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const fs = memoryFs({ seed });
    const write = (state: string) =>
      writeCheckpoint(fs, "cp", nobleHasher, { vector: Vector.empty, body: body(state.repeat(2000)) });
    await write("a");
    let turns = seed;
    const writing = write("b").catch(() => {});
    while (turns-- > 0) await Promise.resolve();
    fs.crash();
    await writing;
    const found = await readCheckpoint(fs, "cp", nobleHasher);
    expect(["a", "b"]).toContain(text(found?.body as Uint8Array)[0]);
  }
});
