import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeKey, KEY_BYTES_MAX, type KvItem, openMemoryKv, PARTITION_BYTES_MAX } from "@tidemark/kv";
import fc from "fast-check";
import { open } from "lmdb";
import { expect, test } from "vitest";
import { LMDB_STORE_VERSION, openLmdbKv } from "../src/index.ts";
import { rowKey, rowPrefix } from "../src/row-key.ts";
import { bytes, contentOf, newDirectory, openFor, textOf } from "./support.ts";

test("a disk is durable, memory is not: capabilities say what the directory lies on (RUN-11)", async () => {
  const disk = await openFor(newDirectory({ disk: true }));
  expect(disk.capabilities).toEqual({
    name: "lmdb",
    durability: "disk",
    sharedBy: "machine",
    keysPerCommitMax: 10_000,
    valueBytesMax: 8 * 1_024 * 1_024,
    commitBytesMax: 32 * 1_024 * 1_024,
    scan: true,
    watch: true,
  });
  const memory = newDirectory();
  if (memory.startsWith("/dev/shm")) {
    expect((await openFor(memory)).capabilities.durability).toBe("process");
  }
});

test("a row has the length of its partition's name, the name, the key", () => {
  const row = rowKey(rowPrefix("é/1"), bytes("k"));
  expect(Buffer.from(row).toString("hex")).toBe("0004c3a92f316b");
  expect(Buffer.from(rowPrefix("x".repeat(300))).toString("hex", 0, 3)).toBe("012c78");
});

test("partitions and keys of the longest allowed length are kept apart from near misses", async () => {
  const kv = await openFor(newDirectory());
  const long = "p".repeat(PARTITION_BYTES_MAX);
  const key = new Uint8Array(KEY_BYTES_MAX).fill(0xff);
  const near = ["p", "pp", `${long.slice(1)}q`, long.slice(1), "é", "\u{10ffff}", "\0", "\0\0"];
  for (const [index, partition] of [long, ...near].entries()) {
    await kv.commit(partition, {
      puts: [
        { key, value: Uint8Array.of(index) },
        { key: Uint8Array.of(0), value: Uint8Array.of(index, 0) },
      ],
    });
  }
  for (const [index, partition] of [long, ...near].entries()) {
    const items = [
      { key: Uint8Array.of(0), value: Uint8Array.of(index, 0) },
      { key, value: Uint8Array.of(index) },
    ];
    expect(await kv.scan(partition, {})).toEqual({ items });
    expect(await kv.scan(partition, { reverse: true })).toEqual({ items: items.toReversed() });
    expect(await kv.get(partition, [key])).toEqual([Uint8Array.of(index)]);
  }
});

test("scans give what the store in memory gives, whatever the bounds", async () => {
  const kv = await openFor(newDirectory());
  const memory = openMemoryKv();
  const byte = fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xfe, 0xff);
  const key = fc
    .uint8Array({ minLength: 1, maxLength: 4 })
    .chain((raw) =>
      fc
        .array(byte, { minLength: 1, maxLength: 4 })
        .map((few) => (raw[0]! % 4 === 0 ? raw : Uint8Array.from(few))),
    );
  const partition = fc.constantFrom("a", "b", "ab", "a\0");
  for (const one of fc.sample(
    fc.tuple(partition, fc.uniqueArray(key, { maxLength: 40, selector: String })),
    30,
  )) {
    const [name, keys] = one;
    const puts = keys.map((each): KvItem => ({ key: each, value: each }));
    const commit = { puts, deletes: [] };
    expect(await kv.commit(name, commit)).toEqual(await memory.commit(name, commit));
  }
  await fc.assert(
    fc.asyncProperty(
      partition,
      fc.record(
        { prefix: key, start: key, end: key, reverse: fc.boolean(), limit: fc.integer({ min: 1, max: 9 }) },
        { requiredKeys: [] },
      ),
      async (name, range) => {
        expect(await kv.scan(name, range)).toEqual(await memory.scan(name, range));
      },
    ),
    { numRuns: 400 },
  );
});

test("what is read belongs to the reader, and what was given may be changed afterwards", async () => {
  const kv = await openFor(newDirectory());
  const key = bytes("k");
  const value = bytes("value");
  const committed = kv.commit("p", { puts: [{ key, value }] });
  key.fill(0);
  value.fill(0);
  await committed;
  const [first] = await kv.get("p", [bytes("k")]);
  const [item] = (await kv.scan("p", {})).items;
  expect([textOf(first), textOf(item!.value)]).toEqual(["value", "value"]);
  expect(first!.constructor).toBe(Uint8Array);
  expect(first!.buffer.byteLength).toBe(5);
  await kv.commit("p", { puts: [{ key: bytes("k"), value: bytes("other") }] });
  await kv.get("p", [bytes("k")]);
  expect([textOf(first), textOf(item!.value), textOf(item!.key)]).toEqual(["value", "value", "k"]);
});

test("values up to the largest come back whole, before and after the store is opened again", async () => {
  const dir = newDirectory();
  const lengths = [0, 1, 4_095, 4_096, 70_000, 1_048_577, 8 * 1_024 * 1_024];
  const value = (length: number): Uint8Array => new Uint8Array(length).fill(length % 251);
  for (let opened = 0; opened < 3; opened++) {
    const kv = await openLmdbKv({ dir });
    for (const length of lengths) {
      const key = encodeKey([length]);
      const before = opened === 0 ? undefined : value(length);
      const commit = { checks: [{ key, value: before }], puts: [{ key, value: value(length) }] };
      expect(await kv.commit("p", commit)).toEqual({ committed: true });
    }
    const read = await kv.get(
      "p",
      lengths.map((length) => encodeKey([length])),
    );
    expect(read.map((each) => each!.length)).toEqual(lengths);
    expect(read.every((each) => each!.every((byte) => byte === each!.length % 251))).toBe(true);
    expect((await kv.scan("p", {})).items.map((item) => item.value.length)).toEqual(lengths);
    await kv.close();
  }
});

test("the map grows with the store, for every process and handle that has it open", async () => {
  const dir = newDirectory();
  const small = { mapBytes: 1_048_576 };
  const [writer, reader] = [await openFor(dir, small), await openFor(dir, small)];
  const value = new Uint8Array(1_048_576).fill(9);
  const count = 12;
  for (let index = 0; index < count; index++) {
    await writer.commit("p", { puts: [{ key: encodeKey([index]), value }] });
    expect(Buffer.compare((await reader.get("p", [encodeKey([index])]))[0]!, value)).toBe(0);
  }
  const again = await openFor(dir, small);
  for (let index = 0; index < count; index++) {
    expect(Buffer.compare((await again.get("p", [encodeKey([index])]))[0]!, value)).toBe(0);
  }
});

test("a directory may have a dot in its name, and parents that are missing", async () => {
  const dir = `${newDirectory()}/a.b/store.mdb`;
  await (await openFor(dir)).commit("p", { puts: [{ key: bytes("k"), value: bytes("v") }] });
  expect(await contentOf(await openFor(dir), "p")).toEqual([["k", "v"]]);
});

test("C-11 a store that is not empty and has no version, or another, is refused and left as it is", async () => {
  const dir = newDirectory();
  const rows = (): ReturnType<typeof open<Uint8Array, Uint8Array>> =>
    open<Uint8Array, Uint8Array>({
      path: dir,
      encoding: "binary",
      keyEncoding: "binary",
      overlappingSync: false,
    });
  const foreign = rows();
  foreign.putSync(bytes("somebody's"), bytes("data"));
  await foreign.close();
  await expect(openLmdbKv({ dir })).rejects.toMatchObject({
    code: "KV_STORE_VERSION",
    actual: 0,
    expected: LMDB_STORE_VERSION,
  });
  const later = rows();
  expect(later.getKeysCount()).toBe(1);
  later.putSync(Uint8Array.of(0, 0, ...bytes("version")), Uint8Array.of(...bytes("TKV"), 2));
  await later.close();
  await expect(openLmdbKv({ dir })).rejects.toMatchObject({
    code: "KV_STORE_VERSION",
    actual: 2,
    expected: 1,
  });
  await expect(openLmdbKv({ dir })).rejects.toThrow("version 2, this program reads 1");
});

test("handles of one process are closed one by one", async () => {
  const dir = newDirectory();
  const [first, second] = [await openFor(dir), await openFor(dir)];
  await first.commit("p", { puts: [{ key: bytes("a"), value: bytes("1") }] });
  await first.close();
  await first.close();
  await expect(first.get("p", [bytes("a")])).rejects.toMatchObject({ code: "KV_CLOSED" });
  await second.commit("p", { puts: [{ key: bytes("b"), value: bytes("2") }] });
  expect(await contentOf(second, "p")).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
});

test("watch() wakes at once for what touches the prefix, and for other handles within a poll", async () => {
  const dir = newDirectory();
  const [kv, other] = [await openFor(dir, { watchPollMs: 60_000 }), await openFor(dir)];
  const watch = kv.watch!("p", bytes("a"))[Symbol.asyncIterator]();
  await watch.next();
  let rang = 0;
  const next = watch.next().then(() => (rang += 1));
  await kv.commit("p", { puts: [{ key: bytes("b"), value: bytes("1") }] });
  await kv.commit("q", { puts: [{ key: bytes("a"), value: bytes("1") }] });
  expect(rang).toBe(0);
  await kv.commit("p", { deletes: [bytes("ab")] });
  await next;
  await watch.return!();

  const quick = (await openFor(dir, { watchPollMs: 1 })).watch!("p", bytes("a"))[Symbol.asyncIterator]();
  await quick.next();
  await other.commit("p", { puts: [{ key: bytes("a"), value: bytes("2") }] });
  await quick.next();
  await quick.return!();
});

test("options are checked", async () => {
  const dir = newDirectory();
  await expect(openLmdbKv({ dir: "" })).rejects.toThrow(RangeError);
  await expect(openLmdbKv({ dir: 1 as never })).rejects.toThrow(TypeError);
  await expect(openLmdbKv({ dir, watchPollMs: 0 })).rejects.toThrow("from 1 to 60000");
  await expect(openLmdbKv({ dir, mapBytes: 1_000 })).rejects.toThrow(RangeError);
  const kv = await openFor(dir, { nowMs: () => 42 });
  expect(await kv.nowMs()).toBe(42);
});

test("what other starts of the machine left is removed when the store is opened", async () => {
  const dir = newDirectory();
  await (await openFor(dir)).close();
  const before = readdirSync(dir);
  for (const name of ["gate-0f-1.mdb", "gate-0f-1.mdb-lock"]) writeFileSync(join(dir, name), "half");
  await openFor(dir);
  expect(readdirSync(dir)).toEqual(before);
});
