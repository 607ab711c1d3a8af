import { nobleHasher } from "@tidemark/core";
import { WalError, decodeBatch, memoryFs, verifyDirectory, type Log, type MemoryFs } from "@tidemark/wal";
import { expect, test } from "vitest";
import type { WalFile } from "../src/file-system.ts";
import { findBatchAfter, scanSegment, type ScannedSegment } from "../src/segment-scan.ts";
import { OWN, SEGMENT, fresh, open, own } from "./support.ts";

// `npm run bit-flips` goes through a segment of 1 MiB, `npm test` through a small one.
const ALL = process.env["BIT_FLIPS"] === "all";
const SEGMENT_BYTES = ALL ? 1024 * 1024 : 3 * 1024;
const TIMEOUT_MS = ALL ? 6 * 3_600_000 : 60_000;
const BODY_BYTES = 400;
// Header, length (two bytes from 127 on), type.
const OVERHEAD_BYTES = 64 + 3;

/** Where one batch of the sealed segment lies, and what it continues. */
interface Place {
  readonly start: number;
  readonly end: number;
  readonly lsn: number;
  readonly previous: Uint8Array;
}

test(
  "scenario 5, WAL-11: every single bit that flips in a sealed segment is detected, and repaired from a peer",
  { timeout: TIMEOUT_MS },
  async () => {
    const { peer, places } = await sealed();
    const member = await holding(peer);
    const whole = ((await member.readFile(SEGMENT)) as Uint8Array).slice();
    expect(whole.length).toBe(SEGMENT_BYTES);
    let detected = 0;
    let repairs = 0;
    for (const place of places) {
      // Up to this batch nothing has changed, and a scan comes here as it always did; behind it, the next must be found.
      detected += await flipEveryBit(whole, place);
      // Every flip leaves the same good batches on both sides, and nothing else goes into a repair: one goes all the way.
      await repairOne(member, peer, whole, place);
      repairs += 1;
    }
    expect(detected).toBe(SEGMENT_BYTES * 8);
    process.stdout.write(
      `${detected.toLocaleString("en")} bit flips in ${places.length} batches: all detected with the same finding for each batch, ${repairs} repaired whole\n`,
    );
  },
);

/** Flips each bit of one batch, and counts those that the decoder and the scan of a segment both find. */
async function flipEveryBit(whole: Uint8Array, place: Place): Promise<number> {
  const { start, end, lsn, previous } = place;
  const window = whole.slice(start, Math.min(whole.length, 2 * end - start + 2 * BODY_BYTES));
  const length = end - start;
  const file = memoryFileOf(window);
  const segment: ScannedSegment = {
    log: OWN,
    name: SEGMENT,
    file,
    size: window.length,
    hasher: nobleHasher,
  };
  const wanted = window.length > length ? length : undefined;
  let detected = 0;
  for (let bit = 0; bit < length * 8; bit++) {
    window[bit >>> 3] = (window[bit >>> 3] as number) ^ (1 << (bit & 7));
    if (!refused(window)) throw new Error(`LSN ${lsn}: the decoder accepts bit ${bit}`);
    const { extent, offset, damage, claim } = await scanSegment(segment, 0, {
      lsn: lsn - 1,
      digest: previous,
    });
    if (
      extent !== undefined ||
      offset !== 0 ||
      damage === undefined ||
      (damage.code !== "WAL_BAD_BATCH" && damage.code !== "WAL_NOT_CONTIGUOUS")
    )
      throw new Error(`LSN ${lsn}: the scan accepts bit ${bit}`, { cause: damage });
    if ((await findBatchAfter(segment, 1, lsn, claim)) !== wanted)
      throw new Error(`LSN ${lsn}: with bit ${bit} flipped, the next batch is not found`);
    window[bit >>> 3] = (window[bit >>> 3] as number) ^ (1 << (bit & 7));
    detected += 1;
  }
  return detected;
}

/** Flips one bit on the disk of a member, a different one for each batch, and follows it to the repaired file. */
async function repairOne(member: MemoryFs, peer: Log, whole: Uint8Array, place: Place): Promise<void> {
  const { start, end, lsn } = place;
  const disk = member.copy();
  const bit = (lsn * 7919) % ((end - start) * 8);
  disk.flipBit(SEGMENT, start + (bit >>> 3), bit & 7);
  const { findings } = await verifyDirectory(disk, "wal", { hasher: nobleHasher });
  expect(findings).toMatchObject([{ kind: "corruption", offset: start, from: lsn, to: lsn, blocks: true }]);
  const wal = await open(disk, { segmentBytes: SEGMENT_BYTES });
  expect(own(wal).failed).toMatchObject({ code: "WAL_CORRUPT", offset: start, lsn, nextLsn: lsn + 1 });
  const { fetched } = await wal.repair(OWN, (from, to) => peer.readBatches(from, to, 1 << 20));
  expect(fetched).toEqual([{ from: lsn, to: lsn }]);
  expect(own(wal).failed).toBe(undefined);
  await wal.close();
  expect(Buffer.compare((await disk.readFile(SEGMENT)) as Uint8Array, whole)).toBe(0);
}

function refused(bytes: Uint8Array): boolean {
  try {
    decodeBatch(bytes, 0, nobleHasher);
    return false;
  } catch (error) {
    if (error instanceof WalError) return true;
    throw error;
  }
}

/** A peer whose first segment is full to its last byte, and goes on in a second. */
async function sealed(): Promise<{ readonly peer: Log; readonly places: readonly Place[] }> {
  const { log } = await fresh({ segmentBytes: SEGMENT_BYTES });
  const places: Place[] = [];
  for (let start = 0, lsn = 1; start < SEGMENT_BYTES; lsn++) {
    const left = SEGMENT_BYTES - start;
    const bytes = left < 2 * (BODY_BYTES + OVERHEAD_BYTES) ? left - OVERHEAD_BYTES : BODY_BYTES;
    const end = start + OVERHEAD_BYTES + bytes;
    places.push({ start, end, lsn, previous: log.durable.digest });
    await log.append(2, bodyOf(lsn, bytes));
    start = end;
  }
  for (let more = 1; more <= 2; more++) await log.append(2, bodyOf(places.length + more, BODY_BYTES));
  return { peer: log, places };
}

/** A member that holds the same, batch by batch. */
async function holding(peer: Log): Promise<MemoryFs> {
  const disk = memoryFs();
  const wal = await open(disk, { segmentBytes: SEGMENT_BYTES });
  const log = await wal.createLog(OWN);
  for (let lsn = 1; lsn <= peer.durable.lsn; lsn++)
    await log.appendVerbatim(await peer.readBatches(lsn, lsn, 1));
  await wal.close();
  return disk;
}

function bodyOf(lsn: number, bytes: number): Uint8Array {
  return new Uint8Array(bytes).map((_, at) => Math.imul(at + lsn * 7919, 0x9e37_79b1) >>> 24);
}

/** Just enough of a file for a scan. */
function memoryFileOf(bytes: Uint8Array): WalFile {
  const readNow = (into: Uint8Array, position: number): number => {
    const view = bytes.subarray(position, position + into.length);
    into.set(view);
    return view.length;
  };
  const never = (): never => {
    throw new Error("A scan changes nothing");
  };
  return {
    size: async () => bytes.length,
    read: async (into, position) => readNow(into, position),
    readNow,
    write: never,
    writeAsync: never,
    sync: never,
    syncNow: never,
    truncate: never,
    close: async () => {},
  };
}
