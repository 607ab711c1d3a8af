import { BATCH_DIGEST_BYTES } from "./batch-header.ts";

const CAPACITY = 1024;

/**
 * The ends and digests of the last batches of a log: peers name recent positions all the time, and asking the disk
 * for each would cost a read. 24 KiB once something was committed.
 */
export class RecentDigests {
  #lsns: Float64Array | undefined;
  #digests: Uint8Array = new Uint8Array(0);
  #count = 0;

  /** Takes in the next batch; the oldest goes. */
  add(lastLsn: number, digest: Uint8Array): void {
    if (this.#lsns === undefined) {
      this.#lsns = new Float64Array(CAPACITY);
      this.#digests = new Uint8Array(CAPACITY * BATCH_DIGEST_BYTES);
    }
    const slot = this.#count % CAPACITY;
    this.#lsns[slot] = lastLsn;
    this.#digests.set(digest, slot * BATCH_DIGEST_BYTES);
    this.#count += 1;
  }

  /** The digest of the batch that ends at `lsn`; `null` if none does; `undefined` if it is not among the recent. */
  get(lsn: number): Uint8Array | null | undefined {
    const lsns = this.#lsns;
    if (lsns === undefined || this.#count === 0) return undefined;
    const oldest = Math.max(0, this.#count - CAPACITY);
    if (lsn < (lsns[oldest % CAPACITY] as number)) return undefined;
    let low = oldest;
    let high = this.#count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((lsns[middle % CAPACITY] as number) < lsn) low = middle + 1;
      else high = middle;
    }
    if (low === this.#count) return undefined;
    const slot = low % CAPACITY;
    if (lsns[slot] !== lsn) return null;
    return this.#digests.slice(slot * BATCH_DIGEST_BYTES, (slot + 1) * BATCH_DIGEST_BYTES);
  }

  /** Forgets everything: the log goes on from elsewhere. */
  clear(): void {
    this.#count = 0;
  }
}
