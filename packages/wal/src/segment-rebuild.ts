import type { LogId } from "@tidemark/core";
import type { WalBatch } from "./batch.ts";
import { Extent } from "./extent.ts";
import { writeFully, type WalFile, type WalFs } from "./file-system.ts";
import { formatSegmentName, type SegmentName } from "./segment-name.ts";

/** A segment file that was written anew. */
export interface RebuiltSegment {
  readonly extent: Extent;
  readonly size: number;
}

/**
 * Writes segments under temporary names and puts them in place when all is verified: until then the directory is
 * as it was, and a crash leaves files that opening removes.
 */
export class SegmentRebuild {
  readonly #fs: WalFs;
  readonly #dir: string;
  readonly #name: Omit<SegmentName, "firstLsn">;
  readonly #segmentBytes: number;
  readonly #done: RebuiltSegment[] = [];
  #file: WalFile | undefined;
  #extent: Extent;

  /**
   * @param segmentBytes - Where another segment is begun. A segment that replaces one is never split: a crash
   * between two renames would lose its end.
   */
  private constructor(options: RebuildOptions, firstLsn: number) {
    this.#fs = options.fs;
    this.#dir = options.dir;
    this.#name = options.name;
    this.#segmentBytes = options.segmentBytes ?? Number.POSITIVE_INFINITY;
    this.#extent = new Extent(this.#nameOf(firstLsn), firstLsn, 0);
  }

  static async begin(options: RebuildOptions, firstLsn: number): Promise<SegmentRebuild> {
    const rebuild = new SegmentRebuild(options, firstLsn);
    await rebuild.#begin();
    return rebuild;
  }

  async add(batch: WalBatch): Promise<void> {
    const extent = this.#extent;
    if (extent.end > 0 && extent.end + batch.bytes.length > this.#segmentBytes) {
      await this.#seal();
      this.#extent = new Extent(this.#nameOf(batch.firstLsn), batch.firstLsn, 0);
      await this.#begin();
    }
    writeFully(this.#file as WalFile, batch.bytes, this.#extent.end);
    this.#extent.previous ??= batch.previous.slice();
    this.#extent.add(batch.lastLsn, batch.bytes.length);
    this.#extent.digest = batch.digest.slice();
  }

  /** Syncs what is written, then puts it in place, a file at a time. */
  async finish(): Promise<readonly RebuiltSegment[]> {
    await this.#seal();
    for (const { extent } of this.#done) {
      const path = `${this.#dir}/${extent.segment}`;
      await this.#fs.rename(`${path}.tmp`, path);
      await this.#fs.syncDir(this.#dir);
    }
    return this.#done;
  }

  /** Lets go of everything that is not in place. */
  async abandon(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    for (const segment of [...this.#done.map(({ extent }) => extent.segment), this.#extent.segment])
      await this.#fs.unlink(`${this.#dir}/${segment}.tmp`);
  }

  async #begin(): Promise<void> {
    const path = `${this.#dir}/${this.#extent.segment}.tmp`;
    await this.#fs.unlink(path);
    this.#file = await this.#fs.open(path, "create");
  }

  async #seal(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    await file.sync();
    await file.close();
    this.#file = undefined;
    this.#done.push({ extent: this.#extent, size: this.#extent.end });
  }

  #nameOf(firstLsn: number): string {
    return formatSegmentName({ ...this.#name, firstLsn });
  }
}

/** Where a {@link SegmentRebuild} writes. */
export interface RebuildOptions {
  readonly fs: WalFs;
  readonly dir: string;
  readonly name: Omit<SegmentName, "firstLsn">;
  readonly segmentBytes?: number;
}

/** What segment names of a log have in common, legacy ones included. */
export function namesOf(id: LogId, segment: SegmentName | undefined): Omit<SegmentName, "firstLsn"> {
  return { region: id.region, shard: id.shard, epoch: id.epoch, ...(segment?.legacy && { legacy: true }) };
}
