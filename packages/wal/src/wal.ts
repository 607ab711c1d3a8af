import type { Channel, Hasher, LogId } from "@tidemark/core";
import { DirectoryWal } from "./directory-wal.ts";
import type { Durability } from "./durability.ts";
import type { EpochEnd } from "./epoch-open.ts";
import type { WalFs } from "./file-system.ts";
import type { LogSegment, RepairOptions, RetentionResult } from "./log-keeping.ts";
import type { RepairFetch, RepairResult } from "./log-repair.ts";
import type { Log, LogPosition } from "./log.ts";
import type { Logger } from "./logger.ts";
import type { LogRecovery } from "./recovery.ts";
import type { Timers } from "./timers.ts";
import type { Vector } from "./vector.ts";

/** Options of {@link openWal}. */
export interface WalOptions {
  readonly fs: WalFs;
  /** The directory; made if it does not exist. */
  readonly dir: string;
  readonly hasher: Hasher;
  /** Where segments rotate. @defaultValue 16 MiB */
  readonly segmentBytes?: number;
  /** The largest batch, header included. @defaultValue 1 MiB less 4 KiB: one fits a frame of 1 MiB */
  readonly batchBytesMax?: number;
  /** @defaultValue 16 MiB */
  readonly queueBytesMax?: number;
  /** @defaultValue 65,536 */
  readonly queueRecordsMax?: number;
  /** @defaultValue "always" */
  readonly durability?: Durability;
  /** Needed for deadlines, for the weaker durabilities, and to write the watermark when idle. */
  readonly timers?: Timers;
  readonly logger?: Logger;
  /** What a checkpoint covers: segments wholly below are not scanned. */
  readonly scanFrom?: Vector;
}

/** What {@link Wal.openEpoch} opens. */
export interface EpochOptions {
  readonly region: number;
  readonly shard: number;
  readonly channel: Channel;
  /** Above every epoch of this region, shard and channel that is held here. */
  readonly epoch: number;
  /** Up to where the epoch before is held. */
  readonly previous?: EpochEnd;
}

/** Where a log begins that does not begin at LSN 1: after a snapshot. */
export interface CreateLogOptions {
  /** The position the first batch must continue; 8 bytes of digest will do. */
  readonly after?: LogPosition;
}

/** Up to where a log may be let go. */
export interface LogFloor {
  readonly log: LogId;
  readonly lsn: number;
}

/** All logs of one directory. */
export interface Wal {
  /** What opening found, one for each stored log. */
  readonly recovery: readonly LogRecovery[];
  logs(): readonly Log[];
  log(id: LogId): Log | undefined;
  /** Adds a log that this directory has not held yet. @throws `WalError` `WAL_LOG_EXISTS`. */
  createLog(id: LogId, options?: CreateLogOptions): Promise<Log>;
  /** Creates an own log and makes its first record durable, which names the epoch before it. */
  openEpoch(options: EpochOptions): Promise<Log>;
  /** How far every log is durable here; logs that are empty are left out. */
  vector(): Vector;
  segmentCount(): number;
  /** What the batches held here weigh; zeros laid ahead of them are left out. */
  byteCount(): number;
  /** The same of one log; 0 if it is not held. */
  bytesOf(id: LogId): number;
  /** The segments of a log, oldest first. */
  segments(id: LogId): readonly LogSegment[];
  /**
   * Removes whole segments at or below a floor, a log that is not named keeps everything. The segment with the last
   * batch of a log always stays, and so does all of a log that is damaged. Readers below get `WAL_NOT_HELD`.
   */
  retain(floor: Vector | Iterable<LogFloor>): Promise<RetentionResult>;
  /**
   * Replaces what is damaged or missing of a log by verified batches from elsewhere, and lets a log go on whose write
   * or sync has failed: its last segment is given up for a copy of what was durable, and nothing behind that is read.
   * What becomes durable so is told to those who listen for commits. What is done survives a crash, and a repair that
   * was broken off can be called again. An epoch that its owner had to give up stays ended.
   *
   * @throws {@link WalError} `WAL_CORRUPT` where `fetch` has nothing, `WAL_BAD_BATCH` or `WAL_NOT_CONTIGUOUS` for what
   * it gave, `WAL_NOT_HELD` for a log that is not here.
   */
  repair(id: LogId, fetch: RepairFetch, options?: RepairOptions): Promise<RepairResult>;
  /**
   * Drops what is stored of another region's log and begins it anew behind a position, as if `createLog` had made it:
   * for when a snapshot has replaced the state. A crash leaves the old log or the new one. The {@link Log} stays the
   * same object.
   *
   * @throws TypeError for a log that this run opened as its own.
   */
  replaceLog(id: LogId, options: { readonly after: LogPosition }): Promise<Log>;
  /** Writes what is queued, notes that this run ended in order, and lets others open the directory. */
  close(): Promise<void>;
}

/**
 * Opens the logs of a directory: takes the lock, recovers every log, makes durable what it keeps.
 *
 * A log that recovery refuses does not stop the others: it is there with `failed` set, and what is good in it can be
 * read.
 *
 * @throws {@link WalError} `WAL_LOCKED` with the holder.
 */
export async function openWal(options: WalOptions): Promise<Wal> {
  const wal = new DirectoryWal(options);
  await wal.open();
  return wal;
}
