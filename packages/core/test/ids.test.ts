import fc from "fast-check";
import { expect, test } from "vitest";
import {
  channelOf,
  compareLogIds,
  formatLogId,
  formatWalSegmentId,
  guardSafe,
  guardUpTo,
  logId,
  parseLogId,
  parseWalSegmentId,
  regionId,
  shardId,
} from "../src/index.ts";

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const channel = fc.constantFrom("signals" as const, "sessions" as const);
const anyLogId = fc.tuple(u16, u16, u32, channel).map((parts) => logId(...parts));

test("CORE-1 regionId() and shardId() take a u16 and nothing else; 0 is the single node", () => {
  expect([regionId(0), shardId(0), regionId(0xffff)]).toEqual([0, 0, 0xffff]);
  for (const wrong of [-1, 0x1_0000, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => regionId(wrong)).toThrow(RangeError);
    expect(() => shardId(wrong)).toThrow(RangeError);
  }
});

test("CORE-2 formatLogId() round-trips, and parses to itself only", () => {
  fc.assert(
    fc.property(anyLogId, (id) => {
      expect(parseLogId(formatLogId(id))).toEqual(id);
    }),
  );
});

test("CORE-2 the text of a log id sorts by channel, region, shard, epoch", () => {
  const rank = (id: ReturnType<typeof logId>) => (id.channel === "sessions" ? -1 : 1);
  fc.assert(
    fc.property(anyLogId, anyLogId, (a, b) => {
      const expected = rank(a) - rank(b) || a.region - b.region || a.shard - b.shard || a.epoch - b.epoch;
      const [x, y] = [formatLogId(a), formatLogId(b)];
      expect(Math.sign(expected)).toBe(x < y ? -1 : x > y ? 1 : 0);
    }),
  );
});

test("CORE-2 compareLogIds() is the order of vectors: region, shard, epoch, channel", () => {
  const ids = [
    logId(0, 0, 0, "signals"),
    logId(0, 0, 0, "sessions"),
    logId(0, 0, 1, "signals"),
    logId(0, 1, 0, "signals"),
    logId(1, 0, 0, "signals"),
  ];
  expect([...ids].reverse().sort(compareLogIds)).toEqual(ids);
});

test("CORE-2 parseLogId() refuses near misses", () => {
  const right = "sessions:r00001-s00007-e1790000000";
  expect(parseLogId(right)).toEqual(logId(1, 7, 1_790_000_000, "sessions"));
  for (const wrong of [
    "",
    ` ${right}`,
    `${right} `,
    `${right}\n`,
    right.toUpperCase(),
    "session:r00001-s00007-e1790000000",
    "sessions:r1-s7-e1790000000",
    "sessions:r65536-s00007-e1790000000",
    "sessions:r00001-s65536-e1790000000",
    "sessions:r00001-s00007-e4294967296",
    "sessions:r00001-s00007-e179000000",
    "sessions:r-0001-s00007-e1790000000",
    "sessions:r٠٠٠٠١-s00007-e1790000000",
  ]) {
    expect(parseLogId(wrong), wrong).toBeUndefined();
  }
});

test("CORE-4 a segment id is region:shard:seqno and parses strictly", () => {
  fc.assert(
    fc.property(u16, u16, fc.maxSafeNat(), (region, shard, seqno) => {
      const id = { region: regionId(region), shard: shardId(shard), seqno };
      expect(formatWalSegmentId(id)).toBe(`${region}:${shard}:${seqno}`);
      expect(parseWalSegmentId(formatWalSegmentId(id))).toEqual(id);
    }),
  );
  for (const wrong of [
    "1:2",
    "01:2:3",
    "1:2:03",
    "1:2:-3",
    "1:2:3:4",
    "65536:0:1",
    "0:0:9007199254740992",
    "1:2:3\n",
  ]) {
    expect(parseWalSegmentId(wrong), wrong).toBeUndefined();
  }
});

test("CORE-3 guards refuse what is not a safe integer", () => {
  expect(guardSafe(Number.MAX_SAFE_INTEGER, "lsn")).toBe(Number.MAX_SAFE_INTEGER);
  for (const wrong of [2 ** 53, -1, 0.5, Number.NaN])
    expect(() => guardSafe(wrong, "lsn")).toThrow(RangeError);
  expect(() => guardSafe(0, "lsn", 1)).toThrow("lsn must be an integer from 1 to 2^53-1: 0");
  expect(() => guardUpTo(256, "byte", 255)).toThrow(RangeError);
});

test("CORE-2 a channel has one code", () => {
  expect([channelOf(1), channelOf(2), channelOf(0), channelOf(3)]).toEqual([
    "signals",
    "sessions",
    undefined,
    undefined,
  ]);
});
