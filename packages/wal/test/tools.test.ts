import { logId, nobleHasher } from "@tidemark/core";
import {
  Vector,
  dumpLog,
  encodeWatermark,
  inspectDirectory,
  memoryFs,
  verifyDirectory,
  writeCheckpoint,
  type DirectoryVerification,
  type DumpOptions,
  type MemoryFs,
} from "@tidemark/wal";
import { expect, test } from "vitest";
import {
  OWN,
  SEGMENT,
  batches,
  body,
  fresh,
  image,
  open,
  outcome,
  own,
  patch,
  plant,
  reseal,
} from "./support.ts";

const FILE = SEGMENT.slice("wal/".length);
const hasher = nobleHasher;

/** Verifies, and checks that nothing on the disk has changed and that opening comes to the same. */
async function verify(fs: MemoryFs): Promise<DirectoryVerification> {
  const before = await image(fs);
  const found = await verifyDirectory(fs, "wal", { hasher });
  await inspectDirectory(fs, "wal", { hasher });
  expect(await image(fs)).toEqual(before);
  return found;
}

async function dump(fs: MemoryFs, options: Partial<DumpOptions> = {}, id = OWN): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const record of dumpLog(fs, "wal", id, { hasher, ...options })) found.push(record);
  return found;
}

test("WAL-16 the tools tell a path with nothing from a file, an empty directory and one of somebody else", async () => {
  const fs = memoryFs();
  const states = async (dir: string): Promise<unknown[]> => {
    const [inspected, verified] = [
      await inspectDirectory(fs, dir, { hasher }),
      await verifyDirectory(fs, dir, { hasher }),
    ];
    return [inspected.state, verified.state, verified.openable];
  };
  expect(await states("nowhere")).toEqual(["missing", "missing", false]);
  await fs.mkdir("empty");
  expect(await states("empty")).toEqual(["empty", "empty", false]);
  await plant(fs, "theirs/notes.txt", body("hello"));
  expect(await states("theirs")).toEqual(["foreign", "foreign", false]);
  expect((await inspectDirectory(fs, "theirs", { hasher })).unknown).toEqual(["notes.txt"]);
  expect((await inspectDirectory(fs, "theirs", { hasher, known: ["notes.txt"] })).state).toBe("empty");
  expect(await states("theirs/notes.txt")).toEqual(["file", "file", false]);
  // Looking at a path makes nothing there.
  expect(await fs.kindOf("nowhere")).toBeUndefined();
});

test("WAL-16 inspect lists logs, segments, LSN ranges, watermark, checkpoints, and what is not ours", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 1024 });
  for (let index = 0; index < 10; index++) await log.append(2, new Uint8Array(200));
  const copy = await wal.createLog(logId(2, 0, 5, "signals"), {
    after: { lsn: 40, digest: new Uint8Array(16).fill(7) },
  });
  await writeCheckpoint(fs, "wal", hasher, { vector: wal.vector(), body: body("state") });
  await wal.close();
  await plant(fs, "wal/sessions/readme", body("x"));
  await plant(fs, "wal/sessions/left.tmp", body("x"));
  const found = await inspectDirectory(fs, "wal", { hasher });
  expect(found).toMatchObject({
    state: "wal",
    holder: undefined,
    newerVersion: undefined,
    watermark: { durability: 0, clean: true },
    temporary: ["sessions/left.tmp"],
    unknown: ["sessions/readme"],
    checkpoints: [{ file: "checkpoint-00000000000000000001.tmcp", sequence: 1, version: 1 }],
  });
  expect(found.checkpoints[0]?.vector).toEqual(Vector.decode(wal.vector().encode()));
  const [signals, sessions] = found.logs;
  expect(signals).toMatchObject({ id: copy.id, first: 41, last: 40, watermark: { lsn: 40, ended: false } });
  expect(sessions).toMatchObject({ id: OWN, first: 1, last: 10, watermark: { lsn: 10 } });
  expect(sessions?.segments.map(({ file, firstLsn, lastLsn }) => [file, firstLsn, lastLsn])).toEqual(
    [1, 4, 7, 10].map((first) => [
      `sessions/r00001-s00000-e0000000010-${String(first).padStart(20, "0")}.wal`,
      first,
      Math.min(10, first + 2),
    ]),
  );
  expect(found.bytes).toBe(
    [...(sessions?.segments ?? []), ...(signals?.segments ?? []), ...found.checkpoints].reduce(
      (sum, each) => sum + each.bytes,
      0,
    ),
  );
});

test("WAL-16 a directory that a live process holds can be looked at, and the holder is named", async () => {
  const { fs, wal, log } = await fresh();
  await log.append(2, body("a"));
  const release = fs.holdSyncs();
  const pending = [log.append(2, body("b")), log.append(2, body("c"))];
  await expect.poll(() => fs.heldSyncs).toBe(1);
  expect(await verify(fs)).toMatchObject({ holder: "this process", state: "wal", openable: true });
  expect((await inspectDirectory(fs, "wal", { hasher })).holder).toBe("this process");
  // Half a batch at the end is a write under way, as long as somebody is there to write it.
  const end = (await batches(log)).reduce((sum, batch) => sum + batch.bytes.length, 0);
  const bytes = (await fs.readFile(SEGMENT)) as Uint8Array;
  await patch(fs, SEGMENT, end + 64, new Uint8Array(6));
  expect((await verify(fs)).findings).toMatchObject([{ kind: "unfinished", blocks: false, from: 2 }]);
  await patch(fs, SEGMENT, 0, bytes);
  release();
  await Promise.all(pending);
  await wal.close();
  expect(await verify(fs)).toMatchObject({ holder: undefined, findings: [] });
});

test("WAL-16 segments that a live process lets go while they are looked at are no failure", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 1024 });
  for (let index = 0; index < 12; index++) await log.append(2, new Uint8Array(200));
  for (const look of [inspectDirectory, verifyDirectory]) {
    const opened = fs.open.bind(fs);
    let first = true;
    fs.open = async (path, mode) => {
      if (first && mode === "read") {
        first = false;
        await wal.retain([{ log: OWN, lsn: look === inspectDirectory ? 3 : 6 }]);
      }
      return opened(path, mode);
    };
    const found = await look(fs, "wal", { hasher });
    expect(found).toMatchObject({ holder: "this process", logs: [{ last: 12 }] });
    expect(found.logs[0]?.first).toBe(look === inspectDirectory ? 4 : 7);
    fs.open = opened;
  }
  await wal.close();
});

test("WAL-16 a sound directory has no findings, and each log says how far it goes", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 1024 });
  for (let index = 0; index < 10; index++) await log.append(2, new Uint8Array(200));
  await wal.close();
  expect(await verify(fs)).toMatchObject({
    state: "wal",
    openable: true,
    findings: [],
    logs: [{ id: OWN, first: 1, last: 10, verdict: "sound", reason: undefined }],
  });
});

test("WAL-16, scenario 3: a torn tail is told from corruption, with its place, and leaves the directory openable", async () => {
  const { fs, log } = await fresh();
  await log.append(2, body("kept"));
  const [batch] = await batches(log);
  const end = batch?.bytes.length as number;
  fs.kill();
  await patch(fs, SEGMENT, end, body("TMWL\u0000 then garbage"));
  expect(await verify(fs)).toMatchObject({
    openable: true,
    findings: [{ kind: "torn-tail", file: FILE, offset: end, bytes: 18, log: OWN, from: 2, blocks: false }],
    logs: [{ last: 1, verdict: "torn", reason: "tail-cut" }],
  });
  expect((await open(fs)).recovery[0]).toMatchObject({ cut: { offset: end, bytes: 18 } });
});

test("WAL-16, scenario 5, scenario 6: every damaged place has a finding with file, offset, log and LSNs", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 1024 });
  for (let index = 0; index < 12; index++) await log.append(2, new Uint8Array(200).fill(index));
  const length = (await batches(log))[0]?.bytes.length as number;
  await wal.close();
  // Batch 2 in the first segment, the whole third segment, and the last batch, which the watermark covers.
  fs.flipBit(SEGMENT, length + 100, 3);
  const name = (first: number): string =>
    `sessions/r00001-s00000-e0000000010-${String(first).padStart(20, "0")}.wal`;
  await fs.unlink(`wal/${name(7)}`);
  const last = await fs.open(`wal/${name(10)}`, "write");
  await last.truncate(2 * length + 10);
  const found = await verify(fs);
  expect(found.openable).toBe(false);
  expect(found.logs).toMatchObject([{ last: 1, verdict: "corrupt", reason: "corrupt" }]);
  expect(
    found.findings.map(({ kind, file, offset, from, to, blocks }) => ({
      kind,
      file,
      offset,
      from,
      to,
      blocks,
    })),
  ).toEqual([
    { kind: "corruption", file: FILE, offset: length, from: 2, to: 2, blocks: true },
    { kind: "gap", file: name(10), offset: 0, from: 7, to: 9, blocks: true },
    { kind: "corruption", file: name(10), offset: 2 * length, from: 12, to: 12, blocks: true },
  ]);
});

test("WAL-16 a last segment that lost its end below the watermark is a gap", async () => {
  const { fs, wal, log } = await fresh();
  for (const each of ["a", "b", "c"]) await log.append(2, body(each));
  const length = (await batches(log))[0]?.bytes.length as number;
  await wal.close();
  const file = await fs.open(SEGMENT, "write");
  await file.truncate(2 * length);
  expect(await verify(fs)).toMatchObject({
    openable: false,
    findings: [{ kind: "gap", file: FILE, offset: 2 * length, from: 3, to: 3, log: OWN }],
  });
});

test("WAL-11 the name of the next segment proves the batch before it, though the watermark lags and no batch follows", async () => {
  const { fs, log } = await fresh({ segmentBytes: 1024 });
  for (let index = 0; index < 4; index++) await log.append(2, new Uint8Array(200).fill(index));
  const length = (await batches(log))[0]?.bytes.length as number;
  fs.kill();
  await fs.unlink("wal/watermark");
  const second = "wal/sessions/r00001-s00000-e0000000010-00000000000000000004.wal";
  await patch(fs, second, 0, new Uint8Array(length));
  fs.flipBit(SEGMENT, 2 * length + 80, 0);
  expect((await verify(fs)).findings).toContainEqual(
    expect.objectContaining({ kind: "corruption", file: FILE, offset: 2 * length, from: 3, to: 3 }),
  );
  const wal = await open(fs);
  expect(own(wal).failed).toMatchObject({ code: "WAL_CORRUPT", lsn: 3 });
  expect(await outcome(own(wal).append(2, body("x")))).toBe("WAL_LOG_FAILED");
});

test("WAL-16 a directory of a newer version is refused by number, opened by nobody, and left alone", async () => {
  const { fs, wal, log } = await fresh();
  for (const each of ["a", "b"]) await log.append(2, body(each));
  const [, second] = await batches(log);
  await wal.close();
  const newer = Uint8Array.from(second?.bytes ?? []);
  newer[4] = 3;
  await patch(fs, SEGMENT, newer.length, reseal(newer));
  expect(await verify(fs)).toMatchObject({
    openable: false,
    findings: [{ kind: "newer-version", file: FILE, offset: second?.bytes.length, from: 2 }],
    logs: [{ verdict: "newer-version", reason: "unsupported-version", last: 1 }],
  });

  // The same in the watermark: the whole directory is newer.
  const bytes = encodeWatermark({ durability: 0, clean: true, entries: [] }, hasher);
  bytes[4] = 9;
  bytes.set(
    hasher.digest("tidemark 2026 watermark v1", bytes.subarray(0, bytes.length - 32)),
    bytes.length - 32,
  );
  await fs.unlink("wal/watermark");
  await plant(fs, "wal/watermark", bytes);
  expect((await inspectDirectory(fs, "wal", { hasher })).newerVersion).toBe(9);
  expect((await verify(fs)).findings).toContainEqual(
    expect.objectContaining({ kind: "newer-version", file: "watermark", blocks: true }),
  );
  const before = await image(fs);
  await expect(open(fs)).rejects.toMatchObject({ code: "WAL_VERSION_UNSUPPORTED", version: 9 });
  expect(await image(fs)).toEqual(before);
  // A version that only rotted is damage, and costs the epochs.
  bytes[20 % bytes.length] = (bytes[20 % bytes.length] as number) ^ 1;
  await patch(fs, "wal/watermark", 0, bytes);
  expect((await inspectDirectory(fs, "wal", { hasher })).newerVersion).toBeUndefined();
});

test("WAL-16 verify reads watermark and checkpoints, and says what their damage costs", async () => {
  const { fs, wal, log } = await fresh();
  await log.append(2, body("a"));
  const checkpoint = { vector: wal.vector(), body: body("state") };
  await writeCheckpoint(fs, "wal", hasher, checkpoint);
  await writeCheckpoint(fs, "wal", hasher, checkpoint);
  await wal.close();
  fs.flipBit("wal/watermark", 20, 1);
  fs.flipBit("wal/checkpoint-00000000000000000001.tmcp", 30, 1);
  expect(await verify(fs)).toMatchObject({
    openable: true,
    findings: [
      { kind: "watermark-damaged", file: "watermark", blocks: false },
      { kind: "checkpoint-damaged", file: "checkpoint-00000000000000000001.tmcp", blocks: false },
    ],
    logs: [{ verdict: "sound", reason: "watermark-lost" }],
  });
});

test("WAL-16 verify tells its progress up to the end, and can be aborted", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 4 << 20 });
  for (let index = 0; index < 6; index++) await log.append(2, new Uint8Array(700_000).fill(index));
  await wal.close();
  const seen: number[] = [];
  const found = await verifyDirectory(fs, "wal", {
    hasher,
    onProgress: ({ bytesDone, bytesTotal }) => seen.push(bytesDone / bytesTotal),
  });
  expect(seen.length).toBeGreaterThan(3);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect([seen.at(-1), found.openable]).toEqual([1, true]);
  const stop = new AbortController();
  const reason = new Error("enough");
  const aborted = verifyDirectory(fs, "wal", {
    hasher,
    signal: stop.signal,
    onProgress: () => stop.abort(reason),
  });
  expect(await outcome(aborted)).toBe(reason);
});

test("WAL-16 dump gives plain records between two LSNs, and stops at damage with the place to go on from", async () => {
  const { fs, wal, log } = await fresh({ segmentBytes: 1024 });
  for (let index = 0; index < 6; index++)
    await log.appendMany(
      [0, 1].map((part) => ({ type: 0x80 + part, body: new Uint8Array(100).fill(index) })),
    );
  const all = await batches(log);
  const digests = all.map((batch) => Buffer.from(batch.digest).toString("hex"));
  await wal.close();
  const before = await image(fs);
  expect(await dump(fs, { from: 4, to: 6, body: "hex" })).toEqual(
    [
      {
        log: "1/0:10:sessions",
        lsn: 4,
        batch: { firstLsn: 3, lastLsn: 4, digest: digests[1] },
        type: 0x81,
        bytes: 100,
        hex: "01".repeat(100),
      },
      {
        log: "1/0:10:sessions",
        lsn: 5,
        batch: { firstLsn: 5, lastLsn: 6, digest: digests[2] },
        type: 0x80,
        bytes: 100,
        hex: "02".repeat(100),
      },
      {
        log: "1/0:10:sessions",
        lsn: 6,
        batch: { firstLsn: 5, lastLsn: 6, digest: digests[2] },
        type: 0x81,
        bytes: 100,
        hex: "02".repeat(100),
      },
    ].map((each) => expect.objectContaining({ ...each, log: expect.any(String) as string })),
  );
  expect(JSON.parse(JSON.stringify(await dump(fs)))).toHaveLength(12);
  expect(await image(fs)).toEqual(before);
  fs.flipBit(SEGMENT, (all[0]?.bytes.length as number) + 90, 0);
  await expect(dump(fs)).rejects.toMatchObject({ code: "WAL_CORRUPT", lsn: 3, nextLsn: 5 });
  expect(await dump(fs, { from: 5 })).toHaveLength(8);
  await expect(dump(fs, {}, logId(9, 0, 1, "sessions"))).rejects.toMatchObject({ code: "WAL_NOT_HELD" });
});
