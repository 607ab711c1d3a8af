import { BATCH_HEADER_BYTES } from "./batch-header.ts";
import type { WalFile } from "./file-system.ts";

const BLOCK_BYTES = 1024 * 1024;

/**
 * Reads a file forward from a place to its end, and reads the next block while the caller works on this one: a scan
 * then takes as long as its hashing. Two blocks of 1 MiB, each with room before it for what is left of the one
 * before, so that nothing is copied but that rest.
 */
export class AheadReader {
  /** The bytes read so far; the next one is at `at`. Free to be rearranged and put back. */
  buffer: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Where what was read ends in the buffer. */
  filled = 0;
  readonly #file: WalFile;
  readonly #end: number;
  readonly #onBytes: ((bytes: number) => void) | undefined;
  readonly #headroom: number;
  readonly #blockBytes: number;
  #position: number;
  #spare: Uint8Array | undefined;
  #ahead: Promise<number> | undefined;

  constructor(file: WalFile, position: number, end: number, onBytes?: (bytes: number) => void) {
    this.#file = file;
    this.#end = end;
    this.#position = position;
    this.#onBytes = onBytes;
    this.#blockBytes = Math.max(BATCH_HEADER_BYTES, Math.min(BLOCK_BYTES, end - position));
    // What fits in one block has no rest to carry over.
    this.#headroom = end - position > BLOCK_BYTES ? BLOCK_BYTES : 0;
  }

  get available(): number {
    return this.filled - this.at;
  }

  /** Where in the file `at` is. */
  get offset(): number {
    return this.#position - this.available;
  }

  /** Tries to have `count` bytes at `at`; false at the end of the range. */
  async fill(count: number): Promise<boolean> {
    while (this.available < count) {
      if (this.#ahead === undefined) this.#readAhead();
      const read = await (this.#ahead as unknown as Promise<number>);
      this.#ahead = undefined;
      if (read === 0) return false;
      this.#take(read);
      this.#readAhead();
      this.#onBytes?.(read);
    }
    return true;
  }

  /** Waits for the read under way, if there is one: the file may be closed then. */
  async idle(): Promise<void> {
    await this.#ahead?.catch(() => {});
  }

  #readAhead(): void {
    const bytes = Math.min(this.#blockBytes, this.#end - this.#position);
    if (bytes <= 0) {
      this.#ahead = Promise.resolve(0);
      return;
    }
    this.#spare ??= new Uint8Array(this.#headroom + this.#blockBytes);
    const into = this.#spare.subarray(this.#headroom, this.#headroom + bytes);
    this.#ahead = this.#file.read(into, this.#position);
    // It may never be waited for.
    this.#ahead.catch(() => {});
  }

  /** Puts what is left before the block that was read. */
  #take(read: number): void {
    const block = this.#spare as Uint8Array;
    const before = this.buffer;
    const rest = before.subarray(this.at, this.filled);
    this.#position += read;
    if (rest.length <= this.#headroom) {
      block.set(rest, this.#headroom - rest.length);
      this.buffer = block;
      this.at = this.#headroom - rest.length;
      this.filled = this.#headroom + read;
      this.#spare = before.length === block.length ? before : undefined;
    } else {
      const grown = new Uint8Array(rest.length + read);
      grown.set(rest);
      grown.set(block.subarray(this.#headroom, this.#headroom + read), rest.length);
      this.buffer = grown;
      this.at = 0;
      this.filled = grown.length;
    }
  }
}
