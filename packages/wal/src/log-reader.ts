import type { Hasher, LogId } from "@tidemark/core";
import { AheadReader } from "./ahead-reader.ts";
import { BATCH_HEADER_BYTES, decodeBatchHeader } from "./batch-header.ts";
import { decodeBatch, type WalBatch } from "./batch.ts";
import { WalError } from "./errors.ts";
import { BlockReader, findBatch, type Extent } from "./extent.ts";
import type { WalFile, WalFs } from "./file-system.ts";
import type { ReadOptions } from "./log.ts";
import type { RecentDigests } from "./recent-digests.ts";

/** What a {@link LogReader} reads: a log that is open, or one that was only scanned. */
export interface LogView {
  readonly id: LogId;
  readonly extents: readonly Extent[];
  readonly failed: WalError | undefined;
  /** The first LSN that is held. */
  readonly first: number;
  /** What is known of recent batches without reading. */
  readonly recent?: RecentDigests;
  whenChanged(wake: () => void): () => void;
  wakeAll(): void;
}

/** Reads what is durable of one log, in blocks: memory does not grow with the log. */
export class LogReader {
  readonly #tail: LogView;
  readonly #fs: WalFs;
  readonly #dir: string;
  readonly #hasher: Hasher;
  #closed = false;

  constructor(tail: LogView, fs: WalFs, dir: string, hasher: Hasher) {
    this.#tail = tail;
    this.#fs = fs;
    this.#dir = dir;
    this.#hasher = hasher;
  }

  /** Ends those who follow. */
  close(): void {
    this.#closed = true;
    this.#tail.wakeAll();
  }

  async *read(from: number, options: ReadOptions = {}): AsyncGenerator<WalBatch, void, undefined> {
    const { follow = false, signal, verify = true } = options;
    let next = from;
    let open: { segment: string; revision: number; file: WalFile } | undefined;
    try {
      for (;;) {
        signal?.throwIfAborted();
        const extent = this.#extentOf(next);
        if (extent === undefined) {
          if (!follow || this.#closed) return;
          if (this.#tail.failed !== undefined) throw this.#tail.failed;
          await this.#changed(signal);
          continue;
        }
        const { segment, revision } = extent;
        if (open?.segment !== segment || open.revision !== revision) {
          await open?.file.close();
          open = undefined;
          open = { segment, revision, file: await this.#open(extent, next) };
        }
        for await (const batch of this.#batches(open.file, extent, next, verify)) {
          signal?.throwIfAborted();
          // What is let go is not given out any more, though the open file still has it.
          if (batch.lastLsn < this.#tail.first) throw this.#notHeld(next);
          next = batch.lastLsn + 1;
          yield batch;
        }
      }
    } finally {
      await open?.file.close();
    }
  }

  async readBatches(from: number, to: number, bytesMax: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const batch of this.read(from)) {
      if (batch.firstLsn > to || (parts.length > 0 && bytes + batch.bytes.length > bytesMax)) break;
      parts.push(batch.bytes);
      bytes += batch.bytes.length;
      if (batch.lastLsn >= to) break;
    }
    if (parts.length === 1) return parts[0] as Uint8Array;
    const joined = new Uint8Array(bytes);
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  async digestAt(lsn: number): Promise<Uint8Array | undefined> {
    const { extents, first, recent } = this.#tail;
    if (lsn < first - 1) return undefined;
    const known = recent?.get(lsn);
    if (known !== undefined) return known ?? undefined;
    // The digest before the first batch is in that batch, and covered by its digest.
    if (lsn > 0 && lsn === first - 1) return this.#baseDigest();
    const extent = extents.find((each) => each.firstLsn <= lsn && lsn <= each.lastLsn);
    if (extent === undefined) return undefined;
    if (lsn === extent.lastLsn && extent.digest !== undefined) return extent.digest;
    const file = await this.#open(extent, lsn);
    try {
      const place = await findBatch(file, extent, lsn);
      return place?.lastLsn === lsn ? place.digest : undefined;
    } finally {
      await file.close();
    }
  }

  async #baseDigest(): Promise<Uint8Array | undefined> {
    const extent = this.#tail.extents[0];
    if (extent?.firstLsn !== this.#tail.first || extent.lastLsn < extent.firstLsn) return undefined;
    if (extent.previous !== undefined) return extent.previous;
    const file = await this.#open(extent, extent.firstLsn);
    try {
      return (await findBatch(file, extent, extent.firstLsn))?.previous;
    } finally {
      await file.close();
    }
  }

  /** The extent that holds `lsn`; `undefined` above everything. */
  #extentOf(lsn: number): Extent | undefined {
    const { extents, failed, id, first } = this.#tail;
    if (lsn < first) throw this.#notHeld(lsn);
    let low = 0;
    let high = extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((extents[middle] as Extent).lastLsn < lsn) low = middle + 1;
      else high = middle;
    }
    const extent = extents[low];
    if (extent === undefined || extent.lastLsn < extent.firstLsn) return undefined;
    if (lsn >= extent.firstLsn) return extent;
    if (
      failed?.code === "WAL_CORRUPT" &&
      failed.lsn !== undefined &&
      failed.lsn <= lsn &&
      lsn < (failed.nextLsn ?? 0)
    )
      throw failed;
    throw new WalError("WAL_CORRUPT", `Cannot read LSN ${lsn}: it is damaged or missing`, {
      log: id,
      lsn,
      segment: extent.segment,
      offset: extent.start,
      nextLsn: extent.firstLsn,
      cause: failed,
    });
  }

  /** Batches of one extent from the one that covers `from` up to what is in it now. */
  async *#batches(
    file: WalFile,
    extent: Extent,
    from: number,
    verify: boolean,
  ): AsyncGenerator<WalBatch, void, undefined> {
    const { end, lastLsn } = extent;
    const place = await this.#locate(file, extent, from);
    // Who does not verify replays everything: the next block is read meanwhile.
    const reader = verify ? new BlockReader(file, place, end) : new AheadReader(file, place, end);
    try {
      for (let lsn = from; lsn <= lastLsn;) {
        const batch = await this.#next(reader, extent, lsn, verify);
        lsn = batch.lastLsn + 1;
        yield batch;
      }
    } finally {
      if (reader instanceof AheadReader) await reader.idle();
    }
  }

  async #next(
    reader: BlockReader | AheadReader,
    extent: Extent,
    lsn: number,
    verify: boolean,
  ): Promise<WalBatch> {
    const offset = reader.offset;
    try {
      if (!(await reader.fill(BATCH_HEADER_BYTES)))
        throw new WalError("WAL_BAD_BATCH", "Cannot read a header");
      const header = decodeBatchHeader(reader.buffer, reader.at);
      if (!(await reader.fill(BATCH_HEADER_BYTES + header.payloadBytes))) {
        throw new WalError("WAL_BAD_BATCH", "Cannot read a whole batch");
      }
      const batch = decodeBatch(reader.buffer, reader.at, this.#hasher, { verify });
      reader.at += batch.bytes.length;
      return batch;
    } catch (error) {
      throw this.#damaged(error, extent, offset, lsn);
    }
  }

  async #locate(file: WalFile, extent: Extent, lsn: number): Promise<number> {
    try {
      const place = await findBatch(file, extent, lsn);
      if (place !== undefined) return place.offset;
      throw new WalError("WAL_BAD_BATCH", `Cannot find LSN ${lsn}`);
    } catch (error) {
      throw this.#damaged(error, extent, extent.seek(lsn), lsn);
    }
  }

  /** Bytes that were sound when they were written or recovered are not any more. */
  #damaged(error: unknown, extent: Extent, offset: number, lsn: number): unknown {
    if (!(error instanceof WalError) || error.code !== "WAL_BAD_BATCH") return error;
    return new WalError("WAL_CORRUPT", `Cannot trust ${extent.segment} at ${offset}: LSN ${lsn} is damaged`, {
      log: this.#tail.id,
      segment: extent.segment,
      offset,
      lsn,
      cause: error,
    });
  }

  #notHeld(lsn: number): WalError {
    const { id, first } = this.#tail;
    return new WalError("WAL_NOT_HELD", `Cannot read LSN ${lsn}: the log begins at ${first} here`, {
      log: id,
      lsn,
    });
  }

  async #open(extent: Extent, lsn: number): Promise<WalFile> {
    try {
      return await this.#fs.open(`${this.#dir}/${extent.segment}`, "read");
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ENOENT") throw error;
      if (lsn < this.#tail.first) throw this.#notHeld(lsn);
      throw new WalError("WAL_CORRUPT", `Cannot read LSN ${lsn}: ${extent.segment} is not there`, {
        log: this.#tail.id,
        segment: extent.segment,
        offset: 0,
        lsn,
        nextLsn: extent.lastLsn + 1,
        cause: error,
      });
    }
  }

  async #changed(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        stop();
        reject(signal?.reason);
      };
      const stop = this.#tail.whenChanged(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}
