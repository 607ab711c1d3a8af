import { formatLogId, type Hasher, type LogId } from "@tidemark/core";
import { BATCH_DIGEST_BYTES, equalBytes } from "./batch-header.ts";
import { decodeBatches, type WalBatch } from "./batch.ts";
import { WalError } from "./errors.ts";
import { Extent } from "./extent.ts";
import type { WalFs } from "./file-system.ts";
import { LogReader } from "./log-reader.ts";
import type { StoredLog } from "./log-scan.ts";
import { continuesDigest, sameLog, type LogPosition } from "./log.ts";
import { formatSegmentName, type SegmentName } from "./segment-name.ts";
import { SegmentRebuild, namesOf, type RebuiltSegment } from "./segment-rebuild.ts";

/**
 * Whole batches of the log that is repaired: at least the one that begins at `from`, nothing beyond `to`; or nothing
 * if that is not to be had. They are verified, whoever they come from.
 */
export type RepairFetch = (from: number, to: number) => Promise<Uint8Array | undefined>;

/** What a repair has done. */
export interface RepairResult {
  /** LSNs that were fetched. */
  readonly fetched: readonly { readonly from: number; readonly to: number }[];
  /** Segment files that were written anew. */
  readonly segments: readonly string[];
}

/** What is to be repaired, and how. */
export interface RepairPlan {
  readonly stored: StoredLog;
  readonly fs: WalFs;
  readonly hasher: Hasher;
  readonly segmentBytes: number;
  /** What is good, by the judgement of a scan, in order. */
  readonly extents: readonly Extent[];
  /** Segments that are written anew though their batches are good. */
  readonly suspect: (segment: string, lastLsn: number) => boolean;
  /** Where the log must end. */
  readonly target: { readonly lsn: number; readonly digest: Uint8Array | undefined };
  readonly fetch: RepairFetch;
  readonly signal: AbortSignal | undefined;
  /** Called before files are replaced, with the LSNs they hold. */
  readonly replacing: (lastLsn: number) => Promise<void>;
  /** Called when they were. */
  readonly replaced: (segments: readonly RebuiltSegment[], lastLsn: number) => void;
}

interface Position {
  readonly lsn: number;
  readonly digest: Uint8Array | undefined;
}

/**
 * Writes damaged or missing parts of a log anew: good batches are copied, the rest is fetched, and the chain must be
 * unbroken from end to end. Each segment is written under a temporary name, synced and renamed, so that a crash
 * leaves either the old file or the new one; what is done already is kept, and a repair can be begun again.
 *
 * @returns Where the log ends, and its last segment.
 * @throws {@link WalError} `WAL_CORRUPT` where `fetch` has nothing, `WAL_BAD_BATCH`, `WAL_NOT_CONTIGUOUS` for what it
 * gave: the segment concerned is as it was.
 */
export async function rebuildLog(plan: RepairPlan): Promise<RepairResult & { readonly end: LogPosition }> {
  const rebuild = new LogRebuild(plan);
  const { segments } = plan.stored;
  for (const [index, segment] of segments.entries()) {
    const next = segments[index + 1];
    await rebuild.gap(segment);
    const lastLsn = next === undefined ? plan.target.lsn : next.firstLsn - 1;
    await rebuild.segment(segment, lastLsn, next === undefined);
  }
  return rebuild.result();
}

class LogRebuild {
  readonly #plan: RepairPlan;
  readonly #fetched: { from: number; to: number }[] = [];
  readonly #segments: string[] = [];
  #position: Position;

  constructor(plan: RepairPlan) {
    this.#plan = plan;
    const first = (plan.stored.segments[0] as SegmentName).firstLsn;
    const [head] = plan.extents;
    // Of a trimmed log only its first batch knows the digest before it; if that one is lost, what follows must fit.
    const base = head?.firstLsn === first ? head.previous : undefined;
    this.#position = { lsn: first - 1, digest: first === 1 ? new Uint8Array(BATCH_DIGEST_BYTES) : base };
  }

  result(): RepairResult & { readonly end: LogPosition } {
    const { lsn, digest } = this.#position;
    const end = { lsn, digest: digest ?? new Uint8Array(BATCH_DIGEST_BYTES) };
    return { fetched: this.#fetched, segments: this.#segments, end };
  }

  /** Fills what is missing before a segment, in segments of the usual size. */
  async gap(next: SegmentName): Promise<void> {
    const from = this.#position.lsn + 1;
    if (next.firstLsn === from) return;
    if (next.firstLsn < from) {
      const name = formatSegmentName(next);
      throw this.#corrupt(`Cannot repair: ${name} begins inside of another segment`, next.firstLsn);
    }
    await this.#write(from, next.firstLsn - 1, next, this.#plan.segmentBytes);
  }

  async segment(name: SegmentName, lastLsn: number, last: boolean): Promise<void> {
    const file = formatSegmentName(name);
    const extents = this.#plan.extents.filter((extent) => extent.segment === file);
    const [only] = extents;
    const empty = only === undefined && lastLsn < name.firstLsn;
    const sound = extents.length === 1 && only?.start === 0 && this.#continues(only);
    // One that is good as far as it goes is left alone: what is missing before the next gets segments of its own.
    const whole = sound && (only.lastLsn === lastLsn || (!last && only.lastLsn < lastLsn));
    if ((empty || whole) && !this.#plan.suspect(file, lastLsn)) {
      if (whole) this.#position = { lsn: only.lastLsn, digest: only.digest };
      return;
    }
    await this.#write(name.firstLsn, lastLsn, name, undefined);
  }

  async #write(
    firstLsn: number,
    lastLsn: number,
    name: SegmentName,
    segmentBytes: number | undefined,
  ): Promise<void> {
    const { fs, stored, replacing, replaced, target } = this.#plan;
    const options = {
      fs,
      dir: stored.dir,
      name: namesOf(stored.id, name),
      ...(segmentBytes && { segmentBytes }),
    };
    const before = this.#position;
    const rebuild = await SegmentRebuild.begin(options, firstLsn);
    try {
      while (this.#position.lsn < lastLsn) await this.#fill(rebuild, lastLsn);
      if (lastLsn === target.lsn) this.#checkJoin(target.digest, lastLsn);
      await replacing(lastLsn);
      const done = await rebuild.finish();
      for (const { extent } of done) this.#segments.push(extent.segment);
      replaced(done, lastLsn);
    } catch (error) {
      this.#position = before;
      await rebuild.abandon().catch(() => {});
      throw error;
    }
  }

  /** Copies what is good from here on, or fetches up to where something good goes on. */
  async #fill(rebuild: SegmentRebuild, lastLsn: number): Promise<void> {
    const next = this.#position.lsn + 1;
    const good = this.#plan.extents.find((extent) => extent.lastLsn >= next);
    if (good?.firstLsn === next) {
      await this.#copy(rebuild, good, Math.min(good.lastLsn, lastLsn));
      return;
    }
    if (good !== undefined && good.firstLsn < next) {
      throw this.#corrupt(`Cannot repair LSN ${next}: batches overlap there`, next);
    }
    const to = Math.min(lastLsn, (good?.firstLsn ?? Number.POSITIVE_INFINITY) - 1);
    await this.#fetch(rebuild, to);
    // What goes on may lie behind the end of this segment: then more is fetched before the two can join.
    if (good !== undefined && this.#position.lsn === good.firstLsn - 1) this.#checkJoin(good.previous, to);
  }

  async #copy(rebuild: SegmentRebuild, extent: Extent, to: number): Promise<void> {
    const { fs, stored, hasher } = this.#plan;
    const nothing = (): void => {};
    const view = {
      id: stored.id,
      extents: [extent],
      failed: undefined,
      first: extent.firstLsn,
      whenChanged: () => nothing,
      wakeAll: nothing,
    };
    for await (const batch of new LogReader(view, fs, stored.dir, hasher).read(extent.firstLsn)) {
      if (batch.firstLsn > to) return;
      await this.#add(rebuild, batch, to);
      if (batch.lastLsn >= to) return;
    }
  }

  async #fetch(rebuild: SegmentRebuild, to: number): Promise<void> {
    const { fetch, hasher, signal } = this.#plan;
    const from = this.#position.lsn + 1;
    signal?.throwIfAborted();
    const bytes = await fetch(from, to);
    signal?.throwIfAborted();
    for (const batch of decodeBatches(bytes ?? new Uint8Array(0), hasher)) {
      // More than was asked for is no harm.
      if (batch.firstLsn > to) break;
      await this.#add(rebuild, batch, to);
    }
    const last = this.#position.lsn;
    if (last < from) throw this.#corrupt(`Cannot repair LSN ${from}: nobody has it`, from);
    const before = this.#fetched.at(-1);
    if (before?.to === from - 1) before.to = last;
    else this.#fetched.push({ from, to: last });
  }

  async #add(rebuild: SegmentRebuild, batch: WalBatch, to: number): Promise<void> {
    this.#plan.signal?.throwIfAborted();
    const { lsn, digest } = this.#position;
    const continues =
      sameLog(batch.log, this.#id) &&
      batch.firstLsn === lsn + 1 &&
      batch.lastLsn <= to &&
      (digest === undefined || continuesDigest(batch, lsn, digest));
    if (!continues) throw this.#notContiguous(lsn);
    await rebuild.add(batch);
    this.#position = { lsn: batch.lastLsn, digest: batch.digest.slice() };
  }

  #continues(extent: Extent): boolean {
    const { lsn, digest } = this.#position;
    if (extent.firstLsn !== lsn + 1) return false;
    return (
      digest === undefined ||
      extent.previous === undefined ||
      equalBytes(extent.previous, digest) ||
      lsn === 0
    );
  }

  /** What was fetched must be what the good batches behind it, or the watermark, know of. */
  #checkJoin(wanted: Uint8Array | undefined, lsn: number): void {
    const { digest } = this.#position;
    if (wanted === undefined || digest === undefined || equalBytes(wanted, digest)) return;
    // Zeros stand for a digest that nobody remembers, and for the chain of version 1.
    if (wanted.length !== BATCH_DIGEST_BYTES || wanted.every((byte) => byte === 0)) return;
    throw this.#notContiguous(lsn);
  }

  get #id(): LogId {
    return this.#plan.stored.id;
  }

  #notContiguous(lsn: number): WalError {
    return new WalError("WAL_NOT_CONTIGUOUS", `Cannot repair behind LSN ${lsn}: another history was given`, {
      log: this.#id,
      lsn,
    });
  }

  #corrupt(message: string, lsn: number): WalError {
    const text = `${message} (${formatLogId(this.#id)})`;
    return new WalError("WAL_CORRUPT", text, { log: this.#id, lsn });
  }
}
