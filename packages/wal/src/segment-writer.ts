import { BATCH_HEADER_BYTES } from "./batch-header.ts";
import { Extent } from "./extent.ts";
import { writeFully, type WalFile, type WalFs } from "./file-system.ts";
import { formatSegmentName, logPrefix, type SegmentName } from "./segment-name.ts";

const STEP_BYTES_MIN = 64 * 1024;
const STEP_BYTES_MAX = 1024 * 1024;
/** From batches of this size on, writing everything twice costs more than the metadata commit it saves. */
const ZEROED_BATCH_BYTES_MAX = 48 * 1024;
const ZEROS: Uint8Array = new Uint8Array(STEP_BYTES_MAX);

/** What a {@link SegmentWriter} needs to know. */
export interface SegmentWriterOptions {
  readonly fs: WalFs;
  readonly dir: string;
  /** The name of the first segment it creates, but for the first LSN. */
  readonly name: Omit<SegmentName, "firstLsn" | "legacy">;
  readonly segmentBytes: number;
  /** A sync made for zeros failed: it may have swallowed the failure of a batch. */
  readonly onSyncError: (error: unknown) => void;
}

/**
 * The end of a log: one open segment, written in place over zeros.
 *
 * Overwriting zeros that are on disk already needs no metadata commit, so a sync of a small batch takes about two
 * thirds of the time. Zeros are laid ahead of need on the thread pool, 64 KiB at first and twice as much each time
 * up to 1 MiB, so a small log stays small. The next segment is made ready while the current one fills.
 */
export class SegmentWriter {
  /** Where the next batch goes. */
  offset = 0;
  /** Batches of the current segment. */
  extent: Extent;
  #file: WalFile;
  readonly #options: SegmentWriterOptions;
  /** Where zeros that are on disk end. */
  #zeroed: number;
  #step: number = STEP_BYTES_MIN;
  #zeroing: Promise<void> | undefined;
  #next: Promise<WalFile | undefined> | undefined;
  #lastBytes = 0;
  #closed = false;

  private constructor(options: SegmentWriterOptions, file: WalFile, extent: Extent, zeroed: number) {
    this.#options = options;
    this.#file = file;
    this.extent = extent;
    this.offset = extent.end;
    this.#zeroed = zeroed;
  }

  /** Makes a first segment, durable with its directory entry. */
  static async create(options: SegmentWriterOptions, firstLsn: number): Promise<SegmentWriter> {
    const name = formatSegmentName({ ...options.name, firstLsn });
    const path = `${options.dir}/${name}`;
    const file = await options.fs.open(path, "create");
    let zeroed: number;
    try {
      zeroed = await layZeros(file, 0, Math.min(STEP_BYTES_MIN, options.segmentBytes));
      await options.fs.syncDir(options.dir);
    } catch (error) {
      // The next attempt must not find it there.
      await file.close().catch(() => {});
      await options.fs.unlink(path).catch(() => {});
      throw error;
    }
    return new SegmentWriter(options, file, new Extent(name, firstLsn, 0), zeroed);
  }

  /** Goes on in a segment that recovery found sound; `size` bytes of it are on disk. */
  static async reopen(options: SegmentWriterOptions, extent: Extent, size: number): Promise<SegmentWriter> {
    const file = await options.fs.open(`${options.dir}/${extent.segment}`, "write");
    return new SegmentWriter(options, file, extent, size);
  }

  /** The open file, for readers of the current segment. */
  get file(): WalFile {
    return this.#file;
  }

  /** Whether {@link write} may be called at once: no rotation is due and no zeros are on their way to that place. */
  ready(bytes: number): boolean {
    if (this.#rotates(bytes)) return false;
    return this.#zeroing === undefined || this.offset + bytes <= this.#zeroed;
  }

  /** Waits for zeros, or goes to the next segment. Returns whether there is a new one. */
  async prepare(bytes: number, firstLsn: number): Promise<boolean> {
    await this.#zeroing;
    if (!this.#rotates(bytes)) return false;
    const { fs, dir, name } = this.#options;
    const path = `${dir}/${formatSegmentName({ ...name, firstLsn })}`;
    const prepared = await this.#next;
    this.#next = undefined;
    let file: WalFile;
    let zeroed = 0;
    if (prepared !== undefined) {
      file = prepared;
      zeroed = await file.size();
      await fs.rename(this.#nextPath(), path);
    } else {
      file = await fs.open(path, "create");
    }
    await fs.syncDir(dir);
    const old = this.#file;
    this.#file = file;
    this.#zeroed = zeroed;
    this.offset = 0;
    this.extent = new Extent(formatSegmentName({ ...name, firstLsn }), firstLsn, 0);
    await old.close();
    return true;
  }

  /** Hands a batch to the page cache. */
  write(bytes: Uint8Array): void {
    writeFully(this.#file, bytes, this.offset);
    this.offset += bytes.length;
    this.#lastBytes = bytes.length;
  }

  /** Takes off the disk what was written behind the last batch that counts. */
  async cut(): Promise<void> {
    await this.#zeroing;
    await this.#file.truncate(this.extent.end);
    await this.#file.sync();
    this.#zeroed = this.extent.end;
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  syncNow(): void {
    this.#file.syncNow();
  }

  /** Lays zeros and prepares the next segment if either is due. Called when a batch is out of the way. */
  lookAhead(): void {
    if (this.#closed) return;
    const { segmentBytes } = this.#options;
    if (
      this.#lastBytes < ZEROED_BATCH_BYTES_MAX &&
      this.#zeroing === undefined &&
      this.#zeroed < segmentBytes &&
      this.#zeroed - this.offset < this.#step / 2
    ) {
      this.#zeroing = this.#layMore(Math.max(this.#zeroed, this.offset));
    }
    if (this.#next === undefined && this.offset > segmentBytes / 2) this.#next = this.#makeNext();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#zeroing;
    const next = await this.#next;
    if (next !== undefined) {
      await next.close();
      await this.#options.fs.unlink(this.#nextPath());
    }
    await this.#file.close();
  }

  #rotates(bytes: number): boolean {
    return this.offset >= BATCH_HEADER_BYTES && this.offset + bytes > this.#options.segmentBytes;
  }

  #nextPath(): string {
    return `${this.#options.dir}/${logPrefix(this.#options.name)}.next.tmp`;
  }

  async #layMore(from: number): Promise<void> {
    const bytes = Math.min(this.#step, this.#options.segmentBytes - from);
    this.#zeroed = from;
    this.#step = Math.min(this.#step * 2, STEP_BYTES_MAX);
    try {
      if (bytes > 0) this.#zeroed = await layZeros(this.#file, from, bytes, this.#options.onSyncError);
    } finally {
      this.#zeroing = undefined;
    }
  }

  /** A segment under a temporary name: its first LSN is not known yet. Without one, rotation makes it then. */
  async #makeNext(): Promise<WalFile | undefined> {
    const { fs, segmentBytes } = this.#options;
    try {
      await fs.unlink(this.#nextPath());
      const file = await fs.open(this.#nextPath(), "create");
      try {
        await layZeros(file, 0, Math.min(this.#step, segmentBytes));
        return file;
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch {
      return undefined;
    }
  }
}

/**
 * Writes zeros and syncs them; returns where those that are on disk end. A full disk is not a failure yet: the
 * batch that needs the room will say so.
 */
async function layZeros(
  file: WalFile,
  from: number,
  bytes: number,
  onSyncError?: (error: unknown) => void,
): Promise<number> {
  let wrote: number;
  try {
    wrote = await file.writeAsync(ZEROS.subarray(0, bytes), from);
  } catch {
    return from;
  }
  try {
    await file.sync();
  } catch (error) {
    if (onSyncError === undefined) throw error;
    onSyncError(error);
    return from;
  }
  return from + wrote;
}
