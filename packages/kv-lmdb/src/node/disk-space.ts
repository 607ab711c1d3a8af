import { statfsSync } from "node:fs";
import { KvError } from "@tidemark/kv";

/** What is kept free, besides what a transaction itself may need. */
const MARGIN_BYTES = 1_024 * 1_024;

/** LMDB copies the pages on the way to a row: the branches above it, and some of its free list. */
const BYTES_PER_ROW = 3 * 4_096;

/** How long an answer counts: others fill the disk too. */
const ANSWER_MS = 100;

/**
 * Refuses a transaction that the disk may have no room for, before it is begun. LMDB survives a full disk, but lmdb
 * 3.5.6 writes the message of a page that it could not write past the end of its memory.
 */
export class DiskSpace {
  readonly #dir: string;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #freeBytes = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws {@link KvError} `KV_UNAVAILABLE`, not committed */
  require(rows: number, bytes: number): void {
    const needed = 2 * bytes + rows * BYTES_PER_ROW;
    const nowMs = performance.now();
    // Asked again at once when it gets tight.
    if (nowMs - this.#askedAtMs > ANSWER_MS || this.#freeBytes - needed < MARGIN_BYTES) {
      this.#freeBytes = freeBytes(this.#dir);
      this.#askedAtMs = nowMs;
    }
    if (this.#freeBytes - needed < MARGIN_BYTES) {
      throw new KvError(
        "KV_UNAVAILABLE",
        `Cannot commit: the disk has ${this.#freeBytes} bytes left, ${needed + MARGIN_BYTES} are needed`,
        { committed: "no" },
      );
    }
    this.#freeBytes -= needed;
  }
}

function freeBytes(dir: string): number {
  const { blocks, bavail, bsize } = statfsSync(dir);
  // A file system that does not count its blocks.
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}
