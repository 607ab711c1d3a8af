import { expect, test } from "vitest";
import {
  guardCommit,
  guardGet,
  guardScan,
  guardWatch,
  KEY_BYTES_MAX,
  KvError,
  PARTITION_BYTES_MAX,
  SCAN_ITEMS_MAX,
  type KvCapabilities,
} from "../src/index.ts";

const capabilities: KvCapabilities = {
  name: "small",
  durability: "memory",
  sharedBy: "instance",
  keysPerCommitMax: 2,
  valueBytesMax: 10,
  commitBytesMax: 20,
  scan: true,
  watch: false,
};
const key = (...bytes: number[]) => Uint8Array.from(bytes);
const text = (value: string) => new TextEncoder().encode(value);

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return error instanceof KvError ? `${error.code} ${error.actual} > ${error.limit}` : String(error);
  }
  return "taken";
}

test("guardCommit() takes what is at the bounds and refuses one beyond", () => {
  const commit = (puts: [Uint8Array, number][]) => () =>
    guardCommit(capabilities, "p", {
      puts: puts.map(([k, bytes]) => ({ key: k, value: new Uint8Array(bytes) })),
    });
  expect(codeOf(commit([[key(1), 10]]))).toBe("taken");
  expect(codeOf(commit([[key(1), 11]]))).toBe("KV_TOO_LARGE 11 > 10");
  expect(
    codeOf(
      commit([
        [key(1), 9],
        [key(2), 9],
      ]),
    ),
  ).toBe("taken");
  expect(
    codeOf(
      commit([
        [key(1), 9],
        [key(2), 10],
      ]),
    ),
  ).toBe("KV_TOO_LARGE 21 > 20");
  expect(
    codeOf(
      commit([
        [key(1), 0],
        [key(2), 0],
        [key(3), 0],
      ]),
    ),
  ).toBe("KV_TOO_LARGE 3 > 2");
  expect(codeOf(commit([[new Uint8Array(KEY_BYTES_MAX + 1), 0]]))).toBe("KV_TOO_LARGE 1025 > 1024");
});

test("guardCommit() counts a key that is checked and written once, and the values of checks", () => {
  const one = { key: key(1), value: new Uint8Array(6) };
  const two = { key: key(2), value: new Uint8Array(4) };
  expect(
    codeOf(() => guardCommit(capabilities, "p", { checks: [one], puts: [one, { ...two, value: key() }] })),
  ).toBe("taken");
  expect(codeOf(() => guardCommit(capabilities, "p", { checks: [one, two], puts: [one] }))).toBe("taken");
  expect(codeOf(() => guardCommit(capabilities, "p", { checks: [one, two], puts: [one, two] }))).toContain(
    "24 > 20",
  );
});

test("guardCommit() refuses a key that is there twice, in any list", () => {
  const put = { key: key(1), value: key() };
  for (const commit of [
    { puts: [put, put] },
    { puts: [put], deletes: [key(1)] },
    { deletes: [key(1), key(1)] },
    { checks: [put, { key: key(1), value: undefined }] },
  ]) {
    expect(() => guardCommit(capabilities, "p", commit)).toThrow(RangeError);
  }
});

test("guards refuse partitions and keys that cannot be", () => {
  expect(() => guardGet(capabilities, "", [])).toThrow(RangeError);
  expect(() => guardGet(capabilities, "\ud800", [])).toThrow(TypeError);
  expect(() => guardGet(capabilities, "p", [key()])).toThrow(RangeError);
  expect(codeOf(() => guardGet(capabilities, "é".repeat(PARTITION_BYTES_MAX / 2), []))).toBe("taken");
  expect(codeOf(() => guardGet(capabilities, `${"é".repeat(PARTITION_BYTES_MAX / 2)}.`, []))).toContain(
    "513 > 512",
  );
  expect(() => guardWatch("p", new Uint8Array(KEY_BYTES_MAX + 1))).toThrow(KvError);
});

test("guardScan() makes one pair of bounds of prefix, start and end", () => {
  const bounds = (range: Parameters<typeof guardScan>[2]) => {
    const { start, end } = guardScan(capabilities, "p", range);
    return [start, end].map((bound) => bound && Buffer.from(bound).toString("latin1"));
  };
  expect(bounds({})).toEqual(["", undefined]);
  expect(bounds({ prefix: text("ab") })).toEqual(["ab", "ac"]);
  expect(bounds({ prefix: key(0x61, 0xff) })).toEqual(["a\xff", "b"]);
  expect(bounds({ prefix: key(0xff) })).toEqual(["\xff", undefined]);
  expect(bounds({ prefix: text("ab"), start: text("abc"), end: text("abd") })).toEqual(["abc", "abd"]);
  expect(bounds({ prefix: text("ab"), start: text("a"), end: text("z") })).toEqual(["ab", "ac"]);
});

test("guardScan() holds a page to its limit", () => {
  for (const limit of [0, -1, 1.5, SCAN_ITEMS_MAX + 1, Number.NaN]) {
    expect(() => guardScan(capabilities, "p", { limit })).toThrow(RangeError);
  }
  expect(guardScan(capabilities, "p", { limit: SCAN_ITEMS_MAX }).limit).toBe(SCAN_ITEMS_MAX);
});

test("a store that cannot scan says so, and takes a get of one key", () => {
  const single = { ...capabilities, scan: false };
  expect(() => guardScan(single, "p", {})).toThrow(
    expect.objectContaining({ code: "KV_UNSUPPORTED", capability: "scan" }),
  );
  expect(() => guardGet(single, "p", [key(1), key(2)])).toThrow(KvError);
  expect(codeOf(() => guardGet(single, "p", [key(1)]))).toBe("taken");
});
