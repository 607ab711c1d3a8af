import { compareLogIds, formatLogId, logId, type Channel, type Hasher, type LogId } from "@tidemark/core";
import { BATCH_DIGEST_BYTES } from "./batch-header.ts";
import { WalError } from "./errors.ts";
import { Extent } from "./extent.ts";
import type { WalFs } from "./file-system.ts";
import { formatSegmentName, parseSegmentName, type SegmentName } from "./segment-name.ts";
import { findBatchAfter, scanSegment, type ChainEnd, type ScannedSegment } from "./segment-scan.ts";

/** The segment files of one log, by name. */
export interface StoredLog {
  readonly id: LogId;
  readonly dir: string;
  readonly segments: readonly SegmentName[];
}

/** Finds the logs of a channel directory. */
export async function listLogs(fs: WalFs, dir: string, channel: Channel): Promise<StoredLog[]> {
  const logs = new Map<string, { id: LogId; dir: string; segments: SegmentName[] }>();
  for (const text of (await fs.list(dir)).toSorted()) {
    const name = parseSegmentName(text);
    if (name === undefined) continue;
    const id = logId(name.region, name.shard, name.epoch, channel);
    const key = formatLogId(id);
    const log = logs.get(key) ?? { id, dir, segments: [] };
    log.segments.push(name);
    logs.set(key, log);
  }
  for (const log of logs.values()) log.segments.sort((a, b) => a.firstLsn - b.firstLsn);
  return [...logs.values()].toSorted((a, b) => compareLogIds(a.id, b.id));
}

/** How a scan goes about it. */
export interface ScanContext {
  readonly fs: WalFs;
  readonly hasher: Hasher;
  /** Segments wholly at or below this LSN need not be scanned. */
  readonly covered?: number;
  /** Called with the bytes scanned since the last call; what it throws ends the scan. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** A place where the log does not go on as it should. */
export interface FoundDamage {
  readonly segment: string;
  readonly offset: number;
  readonly error: WalError;
  /** The first LSN that is damaged or missing. */
  readonly lsn: number;
  /** Where good batches go on; `undefined` if none does. */
  nextLsn: number | undefined;
  /** LSNs are missing between two segments, or a segment begins inside of another: no byte is damaged. */
  readonly between: boolean;
}

/** The last segment file of a log. */
export interface ScannedTail {
  readonly name: string;
  /** Where its name says that it begins. */
  readonly firstLsn: number;
  /** Where its good batches end. */
  readonly end: number;
  readonly size: number;
}

/** What the segments of a log hold. */
export interface LogScan {
  readonly first: number;
  readonly extents: Extent[];
  /** In the order of the log. */
  readonly damages: readonly FoundDamage[];
  readonly tail: ScannedTail | undefined;
}

/** Verifies every batch of a log, and looks for good ones behind damage. Changes nothing. */
export async function scanLog(stored: StoredLog, context: ScanContext): Promise<LogScan> {
  const first = (stored.segments[0] as SegmentName).firstLsn;
  const scan = new LogScanner(stored, context, first);
  for (const [index, segment] of stored.segments.entries()) {
    // The last two are always scanned: an empty last one says nothing about the batch that it continues.
    const skippable = index + 2 < stored.segments.length;
    await scan.segment(segment, skippable ? stored.segments[index + 1] : undefined);
  }
  return { first, extents: scan.extents, damages: scan.damages, tail: scan.tail };
}

class LogScanner {
  readonly extents: Extent[] = [];
  damages: FoundDamage[] = [];
  tail: ScannedTail | undefined;
  readonly #stored: StoredLog;
  readonly #context: ScanContext;
  #chain: ChainEnd;

  constructor(stored: StoredLog, context: ScanContext, first: number) {
    this.#stored = stored;
    this.#context = context;
    this.#chain = { lsn: first - 1, digest: first === 1 ? new Uint8Array(BATCH_DIGEST_BYTES) : undefined };
  }

  async segment(segmentName: SegmentName, next: SegmentName | undefined): Promise<void> {
    const { fs, hasher, onBytes, covered = 0 } = this.#context;
    const name = formatSegmentName(segmentName);
    const file = await fs.open(`${this.#stored.dir}/${name}`, "read");
    try {
      const size = await file.size();
      const { firstLsn } = segmentName;
      if (next !== undefined && next.firstLsn - 1 <= covered && this.#chain.lsn === firstLsn - 1) {
        this.#skip(name, firstLsn, next.firstLsn - 1, size);
        return;
      }
      if (firstLsn <= this.#chain.lsn) {
        this.#between(name, firstLsn, "Cannot accept a segment that begins inside of another");
        return;
      }
      let expected: ChainEnd | undefined = this.#chain;
      if (firstLsn !== this.#chain.lsn + 1) {
        // A segment that begins elsewhere than where the one before ended stands behind a hole.
        if (!this.#open)
          this.#between(name, this.#chain.lsn + 1, "Cannot join two segments: LSNs are missing between them");
        expected = { lsn: firstLsn - 1, digest: undefined };
      } else {
        // The name proves that the log was whole up to here: what lies behind the last batch before is no part of it.
        this.damages = this.damages.filter((damage) => damage.nextLsn !== undefined);
      }
      const segment: ScannedSegment = { log: this.#stored.id, name, file, size, hasher, onBytes };
      await this.#scan(segment, firstLsn, expected);
    } finally {
      await file.close();
    }
  }

  /** Whether there is damage that no good batch has followed so far. */
  get #open(): boolean {
    const last = this.damages.at(-1);
    return last !== undefined && last.nextLsn === undefined;
  }

  async #scan(segment: ScannedSegment, firstLsn: number, after: ChainEnd): Promise<void> {
    let offset = 0;
    let expected: ChainEnd | undefined = after;
    for (;;) {
      const result = await scanSegment(segment, offset, expected);
      if (result.extent !== undefined) {
        for (const damage of this.damages) damage.nextLsn ??= result.extent.firstLsn;
        this.extents.push(result.extent);
        this.#chain = { lsn: result.extent.lastLsn, digest: result.extent.digest };
      }
      this.tail = { name: segment.name, firstLsn, end: result.offset, size: segment.size };
      if (result.damage === undefined) return;
      const lsn = Math.max(this.#chain.lsn, firstLsn - 1) + 1;
      const { offset: at, damage: error } = result;
      this.damages.push({
        segment: segment.name,
        offset: at,
        error,
        lsn,
        nextLsn: undefined,
        between: false,
      });
      const found = await findBatchAfter(segment, result.offset + 1, lsn, result.claim);
      if (found === undefined) return;
      offset = found;
      expected = undefined;
    }
  }

  #skip(name: string, firstLsn: number, lastLsn: number, size: number): void {
    const extent = new Extent(name, firstLsn, 0);
    extent.lastLsn = lastLsn;
    extent.end = size;
    this.extents.push(extent);
    this.#chain = { lsn: lastLsn, digest: undefined };
    this.#context.onBytes?.(size);
  }

  #between(segment: string, lsn: number, message: string): void {
    const error = new WalError("WAL_NOT_CONTIGUOUS", message);
    this.damages.push({ segment, offset: 0, error, lsn, nextLsn: undefined, between: true });
  }
}

/** The first extent that does not continue what is before it. */
export function holeOf(extents: readonly Extent[], first: number): number | undefined {
  let next = first;
  for (const [index, extent] of extents.entries()) {
    if (extent.firstLsn !== next) return index;
    next = extent.lastLsn + 1;
  }
  return undefined;
}

/** Bytes of a segment from `offset` to the last that is not zero. */
export async function garbageBytes(fs: WalFs, path: string, offset: number): Promise<number> {
  const file = await fs.open(path, "read");
  try {
    const size = await file.size();
    const block = new Uint8Array(64 * 1024);
    let bytes = 0;
    for (let at = offset; at < size;) {
      const read = await file.read(block, at);
      if (read === 0) break;
      const last = block.subarray(0, read).findLastIndex((byte) => byte !== 0);
      if (last >= 0) bytes = at + last + 1 - offset;
      at += read;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
