import { compareLogIds, formatLogId, logId, type LogId } from "@tidemark/core";
import { BATCH_DIGEST_BYTES, BATCH_HEADER_BYTES, BATCH_PAYLOAD_BYTES_MAX } from "./batch-header.ts";
import { RECORD_TYPE } from "./batch.ts";
import { CHANNELS } from "./directory.ts";
import { durabilityCode, syncDelayMs } from "./durability.ts";
import { encodeEpochOpen } from "./epoch-open.ts";
import { WalError } from "./errors.ts";
import { Extent } from "./extent.ts";
import type { WalLock } from "./file-system.ts";
import { LogTail, writeErrorCode, type LogTailState } from "./log-tail.ts";
import { beginAnew, begunLogs, dropBeginNote, writeBeginNote } from "./log-begin.ts";
import type { LogSegment, RepairOptions, RetentionResult } from "./log-keeping.ts";
import type { RepairFetch, RepairResult } from "./log-repair.ts";
import { listLogs, type StoredLog } from "./log-scan.ts";
import type { Log, LogPosition } from "./log.ts";
import {
  lastRun,
  recoverLog,
  type LogRecovery,
  type NotResumableReason,
  type RecoveredLog,
} from "./recovery.ts";
import { Vector } from "./vector.ts";
import { WalLog } from "./wal-log.ts";
import { readWatermark, writeWatermark, type WatermarkEntry } from "./watermark.ts";

import type { CreateLogOptions, EpochOptions, LogFloor, Wal, WalOptions } from "./wal.ts";

const WATERMARK_LAG_MS = 1000;
const DEFAULTS = {
  segmentBytes: 16 * 1024 * 1024,
  batchBytesMax: 1020 * 1024,
  queueBytesMax: 16 * 1024 * 1024,
  queueRecordsMax: 65_536,
  durability: "always",
} as const;

type FilledOptions = WalOptions & Required<Pick<WalOptions, keyof typeof DEFAULTS>>;

/** The logs of a directory, behind its lock. */
export class DirectoryWal implements Wal {
  recovery: readonly LogRecovery[] = [];
  readonly #options: FilledOptions;
  readonly #logs = new Map<string, WalLog>();
  readonly #tails = new Map<string, LogTail>();
  /** Never lowered, also for logs that recovery refused. */
  readonly #watermark = new Map<string, WatermarkEntry>();
  readonly #own = new Set<string>();
  #lock: WalLock | undefined;
  #saving: Promise<void> = Promise.resolve();
  #cancelSave: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(given: WalOptions) {
    const options = { ...DEFAULTS, ...given };
    const { durability, timers, batchBytesMax } = options;
    if (durability !== "always" && timers === undefined)
      throw new TypeError("A weak durability needs timers");
    if (batchBytesMax <= BATCH_HEADER_BYTES || batchBytesMax > BATCH_PAYLOAD_BYTES_MAX) {
      throw new RangeError(
        `batchBytesMax must be above 64 and at most ${BATCH_PAYLOAD_BYTES_MAX}: ${batchBytesMax}`,
      );
    }
    this.#options = options;
  }

  async open(): Promise<void> {
    const { fs, dir } = this.#options;
    await fs.mkdir(dir);
    this.#lock = await fs.lock(dir);
    try {
      await this.#recover();
    } catch (error) {
      await this.#lock.release();
      throw error;
    }
  }

  logs(): readonly Log[] {
    return [...this.#logs.values()].toSorted((a, b) => compareLogIds(a.id, b.id));
  }

  log(id: LogId): Log | undefined {
    return this.#logs.get(formatLogId(id));
  }

  async createLog(id: LogId, options: CreateLogOptions = {}): Promise<Log> {
    this.#checkOpen();
    const key = formatLogId(id);
    if (this.#logs.has(key))
      throw new WalError("WAL_LOG_EXISTS", `Cannot create ${key}: it exists`, { log: id });
    const durable = options.after ?? { lsn: 0, digest: new Uint8Array(BATCH_DIGEST_BYTES) };
    const first = durable.lsn + 1;
    const state = { id, first, extents: [], durable, failed: undefined, segment: undefined };
    const log = this.#add(state, undefined);
    const { fs, dir, hasher } = this.#options;
    const logDir = `${dir}/${id.channel}`;
    const tail = this.#tails.get(key) as LogTail;
    try {
      // A base above zero is nowhere else until the first batch comes.
      if (durable.lsn > 0) await writeBeginNote(fs, logDir, id, durable, hasher);
      await tail.open();
      if (durable.lsn > 0) await this.#save(false).then(() => dropBeginNote(fs, logDir, id));
    } catch (error) {
      this.#logs.delete(key);
      this.#tails.delete(key);
      const segment = tail.segment?.extent.segment;
      await tail.release();
      // The next attempt must find nothing; where that fails too, opening sorts it out.
      if (segment !== undefined) await fs.unlink(`${logDir}/${segment}`).catch(() => {});
      if (durable.lsn > 0) await dropBeginNote(fs, logDir, id).catch(() => {});
      throw new WalError(writeErrorCode(error), `Cannot create ${key}`, { log: id, cause: error });
    }
    return log;
  }

  async openEpoch(options: EpochOptions): Promise<Log> {
    const { region, shard, channel, epoch, previous } = options;
    const earlier = [...this.#logs.values()].filter(
      ({ id }) => id.region === region && id.shard === shard && id.channel === channel,
    );
    for (const { id } of earlier) {
      if (id.epoch >= epoch) {
        throw new WalError("WAL_LOG_EXISTS", `Cannot open epoch ${epoch}: epoch ${id.epoch} is held`, {
          log: id,
        });
      }
    }
    // What failed there is written again here, under other numbers.
    for (const log of earlier) await log.cutFailed();
    const log = await this.createLog(logId(region, shard, epoch, channel));
    this.#own.add(formatLogId(log.id));
    await log.append(RECORD_TYPE.epochOpen, encodeEpochOpen(previous));
    return log;
  }

  vector(): Vector {
    const held = [...this.#logs.values()].filter((log) => log.durable.lsn > 0);
    return Vector.of(held.map((log) => ({ log: log.id, lsn: log.durable.lsn, digest: log.durable.digest })));
  }

  segmentCount(): number {
    let count = 0;
    for (const tail of this.#tails.values())
      count += new Set(tail.extents.map((extent) => extent.segment)).size;
    return count;
  }

  byteCount(): number {
    let bytes = 0;
    for (const { id } of this.#logs.values()) bytes += this.bytesOf(id);
    return bytes;
  }

  bytesOf(id: LogId): number {
    return this.segments(id).reduce((bytes, segment) => bytes + segment.bytes, 0);
  }

  segments(id: LogId): readonly LogSegment[] {
    return this.#logs.get(formatLogId(id))?.segments() ?? [];
  }

  async retain(floor: Vector | Iterable<LogFloor>): Promise<RetentionResult> {
    this.#checkOpen();
    const floors = floor instanceof Vector ? floor.entries() : [...floor];
    const result = { segments: 0, bytes: 0 };
    // Side by side: a log that is being repaired keeps only itself waiting.
    await Promise.all(
      floors.map(async ({ log, lsn }) => {
        const gone = await this.#logs.get(formatLogId(log))?.retain(lsn);
        result.segments += gone?.segments ?? 0;
        result.bytes += gone?.bytes ?? 0;
      }),
    );
    return result;
  }

  async repair(id: LogId, fetch: RepairFetch, options: RepairOptions = {}): Promise<RepairResult> {
    this.#checkOpen();
    const key = formatLogId(id);
    const log = this.#logs.get(key);
    if (log === undefined)
      throw new WalError("WAL_NOT_HELD", `Cannot repair ${key}: it is not held`, { log: id });
    const result = await log.repair(fetch, this.#watermark.get(key), options);
    await this.#save(false);
    return result;
  }

  async replaceLog(id: LogId, options: { readonly after: LogPosition }): Promise<Log> {
    this.#checkOpen();
    const key = formatLogId(id);
    const { after } = options;
    const log = this.#logs.get(key);
    if (log === undefined) return this.createLog(id, { after });
    if (this.#own.has(key)) throw new TypeError(`Cannot begin ${key} anew: it was opened as its own log`);
    await log.replace(after, () => {
      this.#watermark.set(key, baseEntry(id, after));
      return this.#save(false);
    });
    return log;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#cancelSave?.();
    this.#cancelSave = undefined;
    try {
      await Promise.all([...this.#logs.values()].map((log) => log.close()));
      await this.#save(true);
    } finally {
      await this.#lock?.release();
    }
  }

  async #recover(): Promise<void> {
    const { fs, dir, hasher, scanFrom } = this.#options;
    const watermark = await readWatermark(fs, dir, hasher);
    const known = watermark === undefined || watermark === "damaged" ? [] : watermark.entries;
    for (const entry of known) this.#watermark.set(formatLogId(entry.log), entry);
    const run = lastRun(watermark);
    const recovered: RecoveredLog[] = [];
    const begun: StoredLog[] = [];
    for (const channel of CHANNELS) {
      const channelDir = `${dir}/${channel}`;
      await fs.mkdir(channelDir);
      for (const name of await fs.list(channelDir)) {
        if (name.endsWith(".tmp")) await fs.unlink(`${channelDir}/${name}`);
      }
      for (const log of await begunLogs(fs, channelDir, channel, hasher)) {
        await beginAnew(fs, channelDir, log.id, log.after);
        this.#watermark.set(formatLogId(log.id), baseEntry(log.id, log.after));
        begun.push({ id: log.id, dir: channelDir, segments: [] });
      }
      for (const stored of await listLogs(fs, channelDir, channel)) {
        const entry = this.#watermark.get(formatLogId(stored.id));
        recovered.push(await recoverLog(stored, { fs, hasher, watermark: entry, ...run, scanFrom }));
      }
      await fs.syncDir(channelDir);
    }
    await fs.syncDir(dir);
    for (const log of recovered) this.#addRecovered(log);
    // The end of an epoch is on disk before the bytes go that gave the reason.
    await this.#save(false);
    for (const log of begun) await dropBeginNote(fs, log.dir, log.id);
    for (const log of recovered) await log.settle();
    this.recovery = recovered.map((log) => log.recovery);
  }

  #addRecovered(log: RecoveredLog): void {
    const { recovery, extents, failed, tail } = log;
    let segment: LogTailState["segment"];
    if (tail !== undefined && failed === undefined) {
      const last = extents.at(-1);
      const extent = last?.segment === tail.name ? last : new Extent(tail.name, recovery.durable.lsn + 1, 0);
      segment = { extent, size: tail.size };
    }
    const { id, first, durable } = recovery;
    this.#add({ id, first, extents, durable, failed, segment }, recovery.reason);
  }

  #add(state: LogTailState, ended: NotResumableReason | undefined): WalLog {
    const { fs, dir, segmentBytes, durability, logger, hasher } = this.#options;
    const logDir = `${dir}/${state.id.channel}`;
    const key = formatLogId(state.id);
    const tail = new LogTail(state, { fs, dir: logDir, segmentBytes }, logger);
    const { batchBytesMax, timers, queueBytesMax, queueRecordsMax } = this.#options;
    const log = new WalLog(tail, {
      fs,
      dir: logDir,
      segmentBytes,
      ended,
      hasher,
      timers,
      batchBytesMax,
      queueBytesMax,
      queueRecordsMax,
      syncDelayMs: syncDelayMs(durability),
    });
    tail.onFailed = (error) => {
      logger?.error("A log has failed: a new epoch is needed", { log: key, error });
      log.onFailed();
      this.#saveQuietly();
    };
    tail.onDurable = () => this.#saveLater();
    tail.onRotated = () => this.#saveQuietly();
    this.#logs.set(key, log);
    this.#tails.set(key, tail);
    return log;
  }

  #saveLater(): void {
    const { timers } = this.#options;
    if (timers === undefined || this.#cancelSave !== undefined || this.#closing !== undefined) return;
    this.#cancelSave = timers.setTimer(WATERMARK_LAG_MS, () => {
      this.#cancelSave = undefined;
      this.#saveQuietly();
    });
  }

  /** The watermark may lag: that it could not be written harms nobody yet. */
  #saveQuietly(): void {
    this.#save(false).catch((error: unknown) => {
      this.#options.logger?.warn("Cannot write the watermark", { error });
    });
  }

  #save(clean: boolean): Promise<void> {
    const saved = this.#saving.then(() => {
      const { fs, dir, hasher, durability } = this.#options;
      for (const [key, log] of this.#logs) {
        const before = this.#watermark.get(key);
        const lower = before !== undefined && before.lsn > log.durable.lsn;
        const entry = baseEntry(log.id, lower ? before : log.durable);
        this.#watermark.set(key, { ...entry, ended: log.ended });
      }
      const entries = [...this.#watermark.values()];
      return writeWatermark(fs, dir, hasher, { durability: durabilityCode(durability), clean, entries });
    });
    this.#saving = saved.catch(() => {});
    return saved;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new WalError("WAL_CLOSED", "Cannot use a closed WAL");
  }
}

/** Of a base known by 8 bytes the rest is unknown: zeros stand for a digest that nobody remembers. */
function baseEntry(log: LogId, { lsn, digest }: LogPosition): WatermarkEntry {
  const known = digest.length === BATCH_DIGEST_BYTES ? digest : new Uint8Array(BATCH_DIGEST_BYTES);
  return { log, lsn, digest: known, ended: false };
}
