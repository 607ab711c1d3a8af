import { compareLogIds, formatLogId, logId, type Channel, type Hasher, type LogId } from "@tidemark/core";
import { BATCH_DIGEST_BYTES } from "./batch-header.ts";
import { WalError } from "./errors.ts";
import { Extent } from "./extent.ts";
import { writeFully, type WalFs } from "./file-system.ts";
import type { LogPosition } from "./log.ts";
import { readRunIntent } from "./run-intent.ts";
import { formatSegmentName, parseSegmentName, type SegmentName } from "./segment-name.ts";
import { findBatchAfter, scanSegment, type ChainEnd, type ScannedSegment } from "./segment-scan.ts";
import type { Vector } from "./vector.ts";
import type { WatermarkEntry } from "./watermark.ts";

/** A torn tail that was cut. */
export interface TornTail {
  readonly segment: string;
  /** Where the cut was made. */
  readonly offset: number;
  /** Bytes that were no whole batch (up to the last that was not zero). */
  readonly bytes: number;
}

/** Damage that is not a torn tail. Nothing was changed. */
export interface Corruption {
  readonly segment: string;
  readonly offset: number;
  /** The first LSN that is damaged or missing. */
  readonly lsn: number;
  /** Where good batches go on, if they do. */
  readonly nextLsn?: number;
}

/** Why an epoch cannot be continued by its owner. */
export type NotResumableReason =
  | "tail-cut"
  | "corrupt"
  | "unsupported-version"
  | "weak-durability"
  | "watermark-lost"
  | "ended"
  | "legacy";

/** What opening found of one log. */
export interface LogRecovery {
  readonly id: LogId;
  readonly first: number;
  readonly durable: LogPosition;
  readonly cut?: TornTail;
  readonly corrupt?: Corruption;
  /** Whether the owner may go on in this epoch. A foreign log is continued by fetching, whatever this says. */
  readonly resumable: boolean;
  readonly reason?: NotResumableReason;
}

/** The segment files of one log, by name. */
export interface StoredLog {
  readonly id: LogId;
  readonly dir: string;
  readonly segments: readonly SegmentName[];
}

/** What is known about the run before. */
export interface RecoveryContext {
  readonly fs: WalFs;
  readonly hasher: Hasher;
  readonly watermark: WatermarkEntry | undefined;
  /** The last run was weaker than `always` and did not close: its last writes may be gone in any order. */
  readonly weak: boolean;
  readonly watermarkLost: boolean;
  /** What a checkpoint covers need not be scanned. */
  readonly scanFrom: Vector | undefined;
}

/** A log as it stands after recovery. */
export interface RecoveredLog {
  readonly recovery: LogRecovery;
  readonly extents: Extent[];
  readonly failed: WalError | undefined;
  /** The last segment file, where writing goes on. */
  readonly tail: { readonly name: string; readonly end: number; readonly size: number } | undefined;
  /** What has to happen on disk before anything is readable, after the end of the epoch was noted. */
  readonly settle: () => Promise<void>;
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

/** Verifies one log and tells a torn tail from corruption. Changes nothing until `settle` is called. */
export async function recoverLog(stored: StoredLog, context: RecoveryContext): Promise<RecoveredLog> {
  const scan = await scanLog(stored, context);
  const { extents, damage } = scan;
  const first = (stored.segments[0] as SegmentName).firstLsn;
  const watermark = context.watermark;
  // Without a batch the base is what the watermark remembers of it (a log that begins after a snapshot).
  const base: LogPosition = {
    lsn: first - 1,
    digest:
      (watermark?.lsn === first - 1 ? watermark.digest : undefined) ?? new Uint8Array(BATCH_DIGEST_BYTES),
  };
  const hole = holeOf(extents, first);
  const sound = hole === undefined ? extents : extents.slice(0, hole);
  const last = sound.at(-1);
  const durable: LogPosition =
    last === undefined
      ? base
      : { lsn: last.lastLsn, digest: last.digest ?? new Uint8Array(BATCH_DIGEST_BYTES) };
  const tail = scan.tail;
  const intent = await readRunIntent(context.fs, stored.dir, stored.id, context.hasher);
  const below = (watermark?.lsn ?? 0) > durable.lsn;
  const lastKnown = extents.at(-1)?.lastLsn ?? first - 1;
  // Only the last write can be torn. It is one batch, but for a fetched run and for the weaker modes.
  const withinRun = intent !== undefined && intent.from <= durable.lsn + 1 && lastKnown <= intent.to;
  const inTail = damage !== undefined && damage.segment === tail?.name;
  const torn = !below && inTail && (hole === undefined || withinRun || context.weak);
  const legacy = stored.segments.some((segment) => segment.legacy);

  if ((damage !== undefined && !torn && (hole !== undefined || inTail)) || hole !== undefined || below) {
    if (!torn) {
      const place = damage ?? { segment: tail?.name ?? "", offset: tail?.end ?? 0, error: undefined };
      const nextLsn = hole === undefined ? undefined : (extents[hole] as Extent).firstLsn;
      return refused(stored, { extents, durable, first, place, nextLsn, tail });
    }
  }
  if (torn && damage.error.code === "WAL_VERSION_UNSUPPORTED" && hole === undefined) {
    return refused(stored, { extents, durable, first, place: damage, nextLsn: undefined, tail });
  }
  const cutAt = torn ? damage.offset : undefined;
  const kept = torn ? sound : extents;
  const cut =
    torn && tail !== undefined
      ? { segment: tail.name, offset: damage.offset, bytes: scan.garbageBytes }
      : undefined;
  const reason = cut
    ? "tail-cut"
    : context.weak
      ? "weak-durability"
      : context.watermarkLost
        ? "watermark-lost"
        : watermark?.ended
          ? "ended"
          : legacy
            ? "legacy"
            : undefined;
  const keptEnd = tail && cutAt === undefined ? tail.end : (cutAt ?? 0);
  return {
    recovery: {
      id: stored.id,
      first,
      durable,
      ...(cut && { cut }),
      resumable: reason === undefined,
      ...(reason && { reason }),
    },
    extents: kept,
    failed: undefined,
    tail: tail && { name: tail.name, end: keptEnd, size: cutAt ?? tail.size },
    settle: async () => {
      const wide = context.weak || (intent !== undefined && intent.to >= durable.lsn);
      if (tail)
        await settleTail(context.fs, `${stored.dir}/${tail.name}`, tail.name, kept.at(-1), wide, cutAt);
    },
  };
}

interface FoundDamage {
  readonly segment: string;
  readonly offset: number;
  readonly error: WalError;
}

interface LogScan {
  readonly extents: Extent[];
  /** The first that counts. */
  readonly damage: FoundDamage | undefined;
  readonly garbageBytes: number;
  readonly tail: { readonly name: string; readonly end: number; readonly size: number } | undefined;
}

async function scanLog(stored: StoredLog, context: RecoveryContext): Promise<LogScan> {
  const extents: Extent[] = [];
  const covered = context.scanFrom?.lsnOf(stored.id) ?? 0;
  const first = (stored.segments[0] as SegmentName).firstLsn;
  let chain: ChainEnd | undefined =
    first === 1
      ? { lsn: 0, digest: new Uint8Array(BATCH_DIGEST_BYTES) }
      : { lsn: first - 1, digest: undefined };
  let damage: FoundDamage | undefined;
  let garbageBytes = 0;
  let tail: LogScan["tail"];
  for (const [index, segmentName] of stored.segments.entries()) {
    const name = formatSegmentName(segmentName);
    const next = stored.segments[index + 1];
    const file = await context.fs.open(`${stored.dir}/${name}`, "read");
    try {
      const size = await file.size();
      if (next !== undefined && next.firstLsn - 1 <= covered && chain?.lsn === segmentName.firstLsn - 1) {
        const extent = new Extent(name, segmentName.firstLsn, 0);
        extent.lastLsn = next.firstLsn - 1;
        extent.end = size;
        extents.push(extent);
        chain = { lsn: extent.lastLsn, digest: undefined };
        continue;
      }
      const segment: ScannedSegment = { log: stored.id, name, file, size, hasher: context.hasher };
      let offset = 0;
      let expected: ChainEnd | undefined = chain;
      // A segment that begins elsewhere than where the one before ended stands behind a hole.
      if (chain !== undefined && segmentName.firstLsn !== chain.lsn + 1) {
        const error = new WalError("WAL_NOT_CONTIGUOUS", "Cannot join two segments");
        damage ??= { segment: name, offset: 0, error };
        if (segmentName.firstLsn <= chain.lsn) continue;
        expected = { lsn: segmentName.firstLsn - 1, digest: undefined };
      } else if (holeOf(extents, first) === undefined) {
        // The name proves that the log was whole up to here: what lies behind the last batch before is no part of it.
        damage = undefined;
      }
      for (;;) {
        const result = await scanSegment(segment, offset, expected);
        if (result.extent !== undefined) {
          extents.push(result.extent);
          chain = { lsn: result.extent.lastLsn, digest: result.extent.digest };
        }
        tail = { name, end: result.offset, size };
        if (result.damage === undefined) break;
        damage ??= { segment: name, offset: result.offset, error: result.damage };
        garbageBytes = await garbage(segment, damage.segment === name ? damage.offset : 0);
        const found = await findBatchAfter(segment, result.offset + 1, (chain?.lsn ?? 0) + 1, result.claim);
        if (found === undefined) break;
        offset = found;
        expected = undefined;
      }
    } finally {
      await file.close();
    }
  }
  return { extents, damage, garbageBytes, tail };
}

/** The first extent that does not continue what is before it. */
function holeOf(extents: readonly Extent[], first: number): number | undefined {
  let next = first;
  for (const [index, extent] of extents.entries()) {
    if (extent.firstLsn !== next) return index;
    next = extent.lastLsn + 1;
  }
  return undefined;
}

interface Refusal {
  readonly extents: Extent[];
  readonly durable: LogPosition;
  readonly first: number;
  readonly place: { readonly segment: string; readonly offset: number; readonly error: WalError | undefined };
  readonly nextLsn: number | undefined;
  readonly tail: RecoveredLog["tail"];
}

function refused(stored: StoredLog, refusal: Refusal): RecoveredLog {
  const { extents, durable, first, place, nextLsn, tail } = refusal;
  const lsn = durable.lsn + 1;
  const unsupported = place.error?.code === "WAL_VERSION_UNSUPPORTED" && nextLsn === undefined;
  const where = { log: stored.id, segment: place.segment, offset: place.offset, lsn };
  const failed = unsupported
    ? new WalError(
        "WAL_VERSION_UNSUPPORTED",
        `${place.error?.message}: ${place.segment} at ${place.offset}`,
        {
          ...where,
          ...(place.error?.version !== undefined && { version: place.error.version }),
        },
      )
    : new WalError(
        "WAL_CORRUPT",
        `Cannot trust ${place.segment} at ${place.offset}: LSN ${lsn} is damaged or missing`,
        {
          ...where,
          ...(nextLsn !== undefined && { nextLsn }),
          ...(place.error && { cause: place.error }),
        },
      );
  const corrupt = {
    segment: place.segment,
    offset: place.offset,
    lsn,
    ...(nextLsn !== undefined && { nextLsn }),
  };
  return {
    recovery: {
      id: stored.id,
      first,
      durable,
      corrupt,
      resumable: false,
      reason: unsupported ? "unsupported-version" : "corrupt",
    },
    extents,
    failed,
    tail,
    settle: async () => {},
  };
}

/** Bytes from `offset` to the last that is not zero. */
async function garbage(segment: ScannedSegment, offset: number): Promise<number> {
  const block = new Uint8Array(64 * 1024);
  let bytes = 0;
  for (let at = offset; at < segment.size;) {
    const read = await segment.file.read(block, at);
    if (read === 0) break;
    for (let index = read - 1; index >= 0; index--) {
      if (block[index] !== 0) {
        bytes = at + index + 1 - offset;
        break;
      }
    }
    at += read;
  }
  return bytes;
}

/**
 * Cuts, and makes sure of what is kept. After a failed sync the page cache may hold bytes that the disk does not,
 * and call them clean: what the last write stored is therefore written once more before the sync.
 */
async function settleTail(
  fs: WalFs,
  path: string,
  segment: string,
  extent: Extent | undefined,
  wide: boolean,
  cutAt: number | undefined,
): Promise<void> {
  const file = await fs.open(path, "write");
  try {
    if (cutAt !== undefined) await file.truncate(cutAt);
    if (extent?.segment === segment) {
      const from = wide ? extent.start : extent.lastStart;
      const block = new Uint8Array(Math.min(extent.end - from, 1024 * 1024));
      for (let at = from; at < extent.end;) {
        const read = await file.read(block.subarray(0, Math.min(block.length, extent.end - at)), at);
        if (read === 0) break;
        writeFully(file, block.subarray(0, read), at);
        at += read;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
