import { readFileSync } from "node:fs";
import { nobleHasher } from "@tidemark/core";
import {
  directorySource,
  encodeWatermark,
  memoryFs,
  repairDirectory,
  verifyDirectory,
  type MemoryFs,
} from "@tidemark/wal";
import { expect, test } from "vitest";
import { OWN, SEGMENT, batches, body, fresh, image, open, outcome, own, patch, plant } from "./support.ts";

const hasher = nobleHasher;
const SMALL = { segmentBytes: 1024 };
const name = (first: number): string =>
  `wal/sessions/r00001-s00000-e0000000010-${String(first).padStart(20, "0")}.wal`;

/** A closed directory of twelve records, and where a second copy of it is. */
async function pair(): Promise<{ fs: MemoryFs; copy: MemoryFs; length: number; size: number }> {
  const { fs, wal, log } = await fresh(SMALL);
  for (let index = 1; index <= 12; index++) await log.append(2, new Uint8Array(200).fill(index));
  const all = await batches(log);
  await wal.close();
  const copy = memoryFs();
  for (const [path, bytes] of Object.entries(await image(fs))) await plant(copy, path, bytes as Uint8Array);
  const size = all.slice(9).reduce((sum, batch) => sum + batch.bytes.length, 0);
  return { fs, copy, length: all[0]?.bytes.length as number, size };
}

test("WAL-16 repair cuts a torn tail, and a dry run says where and leaves everything as it is", async () => {
  const { fs, size } = await pair();
  // Behind the watermark, so that it can only be a torn write.
  await patch(fs, name(10), size, body("TMWL\u0000 garbag"));
  const before = await image(fs);
  const dry = await repairDirectory(fs, "wal", { hasher, dryRun: true });
  expect(dry).toMatchObject({
    changed: false,
    actions: [{ kind: "cut", file: name(10).slice(4), offset: size, bytes: 12, from: 13, log: OWN }],
    remaining: [{ kind: "torn-tail" }],
  });
  expect(await image(fs)).toEqual(before);
  const done = await repairDirectory(fs, "wal", { hasher });
  expect(done).toMatchObject({ changed: true, actions: dry.actions, remaining: [], failures: [] });
  expect((await open(fs)).recovery).toMatchObject([{ durable: { lsn: 12 }, resumable: false }]);
});

test("WAL-16, scenario 5, scenario 6: repair replaces damage from another directory, and only by what is verified", async () => {
  const { fs, copy, length } = await pair();
  fs.flipBit(SEGMENT, length + 90, 1);
  await fs.unlink(name(4));
  fs.flipBit(name(10), 2 * length + 90, 1);
  const before = await image(fs);
  const fetch = directorySource(copy, "wal", { hasher });
  const wanted = [
    { kind: "fetch", file: SEGMENT.slice(4), from: 2, to: 2, available: true },
    { kind: "fetch", file: name(7).slice(4), from: 4, to: 6, available: true },
    { kind: "fetch", file: name(10).slice(4), from: 12, to: 12, available: true },
  ];
  expect((await repairDirectory(fs, "wal", { hasher, dryRun: true, fetch })).actions).toMatchObject(wanted);
  expect(await image(fs)).toEqual(before);

  // Without a source nothing of the logs is touched.
  const alone = await repairDirectory(fs, "wal", { hasher });
  expect(alone.actions.map(({ available }) => available)).toEqual([false, false, false]);
  expect(alone.remaining.map(({ kind }) => kind)).toEqual(["corruption", "gap", "corruption"]);
  const segments = async (): Promise<unknown> =>
    Object.fromEntries(Object.entries(await image(fs)).filter(([path]) => path.endsWith(".wal")));
  const damaged = Object.fromEntries(Object.entries(before).filter(([path]) => path.endsWith(".wal")));
  expect(await segments()).toEqual(damaged);

  // A source that is damaged at the same place does not help there.
  copy.flipBit(SEGMENT, length + 90, 2);
  const refused = await repairDirectory(fs, "wal", {
    hasher,
    fetch: directorySource(copy, "wal", { hasher }),
  });
  expect(refused).toMatchObject({ changed: true, failures: [{ log: OWN, error: { code: "WAL_CORRUPT" } }] });
  expect(refused.remaining[0]).toMatchObject({ kind: "corruption", from: 2 });
  copy.flipBit(SEGMENT, length + 90, 2);

  const held = await image(copy);
  const done = await repairDirectory(fs, "wal", { hasher, fetch: directorySource(copy, "wal", { hasher }) });
  expect(done).toMatchObject({ changed: true, remaining: [], failures: [] });
  expect(await image(copy)).toEqual(held);
  expect(await batches(own(await open(fs)))).toEqual(await batches(own(await open(copy))));
});

test("WAL-16 repair touches nothing that is missing, foreign, locked, newer, or sound", async () => {
  const fs = memoryFs();
  expect(await repairDirectory(fs, "wal", { hasher })).toMatchObject({ state: "missing", changed: false });
  expect(await fs.kindOf("wal")).toBeUndefined();
  await plant(fs, "theirs/notes.txt", body("x"));
  expect(await repairDirectory(fs, "theirs", { hasher })).toMatchObject({ state: "foreign", changed: false });
  expect(await fs.list("theirs")).toEqual(["notes.txt"]);

  const sound = await pair();
  const before = await image(sound.fs);
  expect(await repairDirectory(sound.fs, "wal", { hasher })).toMatchObject({
    state: "wal",
    changed: false,
    actions: [],
    remaining: [],
  });
  expect(await image(sound.fs)).toEqual(before);

  const held = await pair();
  held.fs.flipBit(SEGMENT, held.length + 90, 1);
  const wal = await open(held.fs, SMALL);
  expect(await outcome(repairDirectory(held.fs, "wal", { hasher }))).toBe("WAL_LOCKED");
  expect((await repairDirectory(held.fs, "wal", { hasher, dryRun: true })).holder).toBe("this process");
  await wal.close();

  const newer = await pair();
  const watermark = encodeWatermark({ durability: 0, clean: true, entries: [] }, hasher);
  watermark[4] = 2;
  const end = watermark.length - 32;
  watermark.set(hasher.digest("tidemark 2026 watermark v1", watermark.subarray(0, end)), end);
  await newer.fs.unlink("wal/watermark");
  await plant(newer.fs, "wal/watermark", watermark);
  newer.fs.flipBit(SEGMENT, newer.length + 90, 1);
  const kept = await image(newer.fs);
  const fetch = directorySource(newer.copy, "wal", { hasher });
  const refused = await repairDirectory(newer.fs, "wal", { hasher, fetch });
  expect(refused).toMatchObject({ changed: false, actions: [] });
  expect(refused.remaining.map(({ kind }) => kind)).toContain("newer-version");
  expect(await image(newer.fs)).toEqual(kept);
});

test("WAL-3, WAL-16 the single-node layout is verified and repaired under its own names", async () => {
  const golden = new Uint8Array(readFileSync(new URL("golden/v1-two-batches.wal", import.meta.url)));
  const path = "wal/sessions/wal-00000000000000000001.wal";
  const [fs, copy] = [memoryFs(), memoryFs()];
  for (const disk of [fs, copy]) {
    await (await open(disk)).close();
    await plant(disk, path, golden);
    // Opened once, so that the watermark covers it.
    await (await open(disk)).close();
  }
  expect((await verifyDirectory(fs, "wal", { hasher })).logs).toMatchObject([
    { id: { region: 0, shard: 0, epoch: 0 }, first: 1, verdict: "sound" },
  ]);
  fs.flipBit(path, 70, 1);
  expect((await verifyDirectory(fs, "wal", { hasher })).findings).toMatchObject([
    { kind: "corruption", from: 1 },
  ]);
  const fetch = directorySource(copy, "wal", { hasher });
  expect(await repairDirectory(fs, "wal", { hasher, fetch })).toMatchObject({ remaining: [], failures: [] });
  expect((await fs.readFile(path))?.subarray(0, golden.length)).toEqual(golden);
});

test("WAL-16 repair writes a lost watermark anew and says that every epoch has ended", async () => {
  const { fs } = await pair();
  await fs.unlink("wal/watermark");
  const done = await repairDirectory(fs, "wal", { hasher });
  expect(done).toMatchObject({ changed: true, actions: [{ kind: "write-watermark" }], remaining: [] });
  expect((await verifyDirectory(fs, "wal", { hasher })).logs).toMatchObject([{ reason: "ended" }]);
});
