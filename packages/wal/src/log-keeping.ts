import { formatLogId, type Hasher } from "@tidemark/core";
import { WalError } from "./errors.ts";
import { Extent } from "./extent.ts";
import type { WalFs } from "./file-system.ts";
import { beginAnew, dropBeginNote, writeBeginNote } from "./log-begin.ts";
import { rebuildLog, type RepairFetch, type RepairResult } from "./log-repair.ts";
import { LogReader } from "./log-reader.ts";
import { listLogs, scanLog, type StoredLog } from "./log-scan.ts";
import { writeErrorCode, type LogTail } from "./log-tail.ts";
import { sameLog, type LogPosition } from "./log.ts";
import { formatSegmentName, type SegmentName } from "./segment-name.ts";
import type { RebuiltSegment } from "./segment-rebuild.ts";
import type { WatermarkEntry } from "./watermark.ts";

/** A segment of an open log. */
export interface LogSegment {
  readonly name: string;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** Up to the end of its last batch. */
  readonly bytes: number;
}

/** What was let go. */
export interface RetentionResult {
  readonly segments: number;
  readonly bytes: number;
}

/** How a log is repaired. */
export interface RepairOptions {
  /** Where a reader met damage in a log that is not failed; only segments with these LSNs are looked at. */
  readonly from?: number;
  readonly to?: number;
  readonly signal?: AbortSignal;
}

/** What {@link LogKeeping} works with. */
export interface LogKeepingOptions {
  readonly fs: WalFs;
  readonly dir: string;
  readonly hasher: Hasher;
  readonly segmentBytes: number;
}

/**
 * What is done to the files of a log besides appending: old segments go, damaged ones are replaced, all of them are.
 * The caller sees to it that nothing is written meanwhile, but for {@link LogKeeping.retain}.
 */
export class LogKeeping {
  readonly #tail: LogTail;
  readonly #options: LogKeepingOptions;
  /** Let go, and not yet removed. */
  #doomed: LogSegment[] = [];
  #replacing = false;

  constructor(tail: LogTail, options: LogKeepingOptions) {
    this.#tail = tail;
    this.#options = options;
  }

  segments(): LogSegment[] {
    const segments: LogSegment[] = [];
    for (const { segment: name, firstLsn, lastLsn, end } of this.#tail.extents) {
      const last = segments.at(-1);
      // Damage splits a segment into several extents.
      if (last?.name === name) segments[segments.length - 1] = { ...last, lastLsn, bytes: end };
      else segments.push({ name, firstLsn, lastLsn, bytes: end });
    }
    return segments;
  }

  /**
   * Removes whole segments at or below an LSN. The one with the last batch stays: it proves where the log ends. So
   * does all of a log that is damaged, until it is repaired.
   */
  async retain(lsn: number): Promise<RetentionResult> {
    const tail = this.#tail;
    if (tail.failed?.code !== "WAL_CORRUPT" && tail.failed?.code !== "WAL_VERSION_UNSUPPORTED") {
      const held = tail.extents.filter((extent) => extent.lastLsn >= extent.firstLsn);
      let count = 0;
      while (count < held.length - 1 && (held[count] as Extent).lastLsn <= lsn) count += 1;
      const kept = held[count];
      if (kept !== undefined && count > 0) {
        this.#doomed.push(...this.segments().filter((segment) => segment.lastLsn < kept.firstLsn));
        // Readers are refused first: none begins with what is about to go.
        tail.first = kept.firstLsn;
        tail.extents = tail.extents.filter((extent) => extent.firstLsn >= kept.firstLsn);
      }
    }
    return this.#removeDoomed();
  }

  /** Oldest first, each durably: after a crash the log begins somewhere later, and has no hole. */
  async #removeDoomed(): Promise<RetentionResult> {
    const { fs, dir } = this.#options;
    const result = { segments: 0, bytes: 0 };
    for (let segment = this.#doomed[0]; segment !== undefined; segment = this.#doomed[0]) {
      await fs.unlink(`${dir}/${segment.name}`);
      await fs.syncDir(dir);
      this.#doomed.shift();
      result.segments += 1;
      result.bytes += segment.bytes;
    }
    return result;
  }

  /** Drops everything that is stored, and begins behind `after`. `remember` keeps that position when files are gone. */
  async replace(after: LogPosition, remember: () => Promise<void>): Promise<void> {
    const { fs, dir, hasher } = this.#options;
    const { id } = this.#tail;
    await this.#tail.release();
    this.#replacing = true;
    try {
      await writeBeginNote(fs, dir, id, after, hasher);
      const first = after.lsn + 1;
      const name = await beginAnew(fs, dir, id, after);
      this.#doomed = [];
      const segment = { extent: new Extent(name, first, 0), size: 0 };
      this.#tail.install({ first, extents: [], durable: after, failed: undefined, segment });
      await remember();
      await dropBeginNote(fs, dir, id);
    } catch (error) {
      // Whether the old log or the new one is there, only the next attempt or the next opening tells.
      const cause = error instanceof Error ? error.message : String(error);
      const message = `Cannot begin ${formatLogId(id)} anew: ${cause}`;
      const failed = new WalError(writeErrorCode(error), message, { log: id, cause: error });
      this.#tail.extents = [];
      this.#tail.failed = failed;
      throw failed;
    }
    this.#replacing = false;
  }

  /** Replaces damaged parts, see `rebuildLog`; afterwards the log is not failed any more. */
  async repair(
    fetch: RepairFetch,
    known: WatermarkEntry | undefined,
    options: RepairOptions,
  ): Promise<RepairResult> {
    const tail = this.#tail;
    const { failed } = tail;
    if (failed?.code === "WAL_VERSION_UNSUPPORTED" || (failed !== undefined && this.#replacing)) throw failed;
    await this.#removeDoomed();
    const stored = await this.#stored();
    if (stored === undefined) {
      if (failed !== undefined) throw failed;
      return { fetched: [], segments: [] };
    }
    const plan = await this.#plan(stored, known, options);
    let last: RebuiltSegment | undefined;
    let open = false;
    try {
      const { end, ...result } = await rebuildLog({
        ...this.#options,
        ...plan,
        stored,
        fetch,
        signal: options.signal,
        replacing: async (lastLsn) => {
          open = lastLsn === plan.target.lsn;
          if (open) await tail.release();
        },
        replaced: (segments) => {
          if (open) last = segments.at(-1);
          open = false;
          this.#putInPlace(segments);
        },
      });
      await this.#goOn(end, last);
      return result;
    } catch (error) {
      // The segment in use may be the old file or the new one.
      if (open) tail.fail(error, writeErrorCode(error));
      throw error;
    }
  }

  async #stored(): Promise<StoredLog | undefined> {
    const { fs, dir } = this.#options;
    const { id } = this.#tail;
    return (await listLogs(fs, dir, id.channel)).find((log) => sameLog(log.id, id));
  }

  async #plan(
    stored: StoredLog,
    known: WatermarkEntry | undefined,
    { from = 1, to = Number.MAX_SAFE_INTEGER }: RepairOptions,
  ): Promise<{
    extents: readonly Extent[];
    suspect: (segment: string, lastLsn: number) => boolean;
    target: { lsn: number; digest: Uint8Array | undefined };
  }> {
    const { fs, hasher } = this.#options;
    const { failed, durable, extents } = this.#tail;
    const corrupt = failed?.code === "WAL_CORRUPT";
    if (failed !== undefined && !corrupt) {
      // Nothing is read from what a failed write or sync left behind the last good position.
      return { extents, suspect: (_, lastLsn) => lastLsn >= durable.lsn, target: durable };
    }
    const names = stored.segments.map((segment) => formatSegmentName(segment));
    const wanted = stored.segments.filter((segment, index) => {
      const next = stored.segments[index + 1];
      const lastLsn = next === undefined ? durable.lsn : next.firstLsn - 1;
      if (!corrupt) return segment.firstLsn <= to && lastLsn >= from;
      const of = extents.filter((extent) => extent.segment === names[index]);
      return next === undefined || of.length !== 1 || of[0]?.start !== 0 || of[0].lastLsn !== lastLsn;
    });
    if (wanted.length === 0) return { extents, suspect: () => false, target: durable };
    const scan = await scanLog({ ...stored, segments: wanted }, { fs, hasher });
    const scanned = new Set(wanted.map((segment) => formatSegmentName(segment)));
    const all = [...extents.filter((extent) => !scanned.has(extent.segment)), ...scan.extents];
    all.sort((a, b) => a.firstLsn - b.firstLsn);
    const damaged = new Set(scan.damages.filter((damage) => !damage.between).map((damage) => damage.segment));
    if (!corrupt) return { extents: all, suspect: (segment) => damaged.has(segment), target: durable };
    const proven = (stored.segments.at(-1) as SegmentName).firstLsn - 1;
    const lsn = Math.max(all.at(-1)?.lastLsn ?? 0, known?.lsn ?? 0, proven);
    const digest = known?.lsn === lsn ? known.digest : undefined;
    // The last one is written anew in any case: whether something lies behind its batches is not known here.
    const suspect = (segment: string): boolean => damaged.has(segment) || segment === names.at(-1);
    return { extents: all, suspect, target: { lsn, digest } };
  }

  #putInPlace(segments: readonly RebuiltSegment[]): void {
    const names = new Set(segments.map(({ extent }) => extent.segment));
    const rest = this.#tail.extents.filter((extent) => !names.has(extent.segment));
    const before = this.#tail.extents.find((extent) => names.has(extent.segment));
    for (const { extent } of segments) {
      extent.revision = (before?.revision ?? 0) + 1;
      if (extent.lastLsn >= extent.firstLsn) rest.push(extent);
    }
    this.#tail.extents = rest.toSorted((a, b) => a.firstLsn - b.firstLsn);
  }

  /** Takes up the log where the repair left it, and tells what is durable now and was not before. */
  async #goOn(end: LogPosition, last: RebuiltSegment | undefined): Promise<void> {
    const tail = this.#tail;
    const { first, extents, durable, failed } = tail;
    if (last === undefined && failed === undefined) return;
    const segment = last ?? undefined;
    tail.install({ first, extents, durable, failed: undefined, segment });
    if (end.lsn > durable.lsn) {
      const { fs, dir, hasher } = this.#options;
      for await (const batch of new LogReader(tail, fs, dir, hasher).read(durable.lsn + 1)) {
        const { lastLsn: lsn, digest } = batch;
        tail.recent.add(lsn, digest);
        tail.durable = { lsn, digest };
        tail.written = tail.durable;
        tail.tell(batch);
      }
    }
    tail.wakeAll();
  }
}
