/** Below it memory of its own costs less than looking for some. */
const COPY_BYTES_MIN = 4 * 1024;
/** Memory kept for copies to come. */
const KEPT_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Copies of frames, in memory that is used again.
 *
 * Memory outside of the heap for every frame, and the collections it brings about, cost several times as much as copying.
 */
export class FrameCopies {
  /** By their size, a power of two. */
  readonly #kept: Map<number, ArrayBuffer[]> = new Map();
  #keptBytes: number = 0;

  /** The bytes as they are now. */
  copy(frame: Uint8Array): Uint8Array {
    if (frame.length < COPY_BYTES_MIN) return new Uint8Array(frame);
    const size = 2 ** Math.ceil(Math.log2(frame.length));
    const kept = this.#kept.get(size)?.pop();
    if (kept !== undefined) this.#keptBytes -= size;
    const copy = new Uint8Array(kept ?? new ArrayBuffer(size), 0, frame.length);
    copy.set(frame);
    return copy;
  }

  /** Takes the memory of a copy back, which nobody may look at from now on. */
  giveBack(copy: Uint8Array): void {
    const memory = copy.buffer;
    const size = memory.byteLength;
    if (copy.length < COPY_BYTES_MIN || !(memory instanceof ArrayBuffer)) return;
    if (this.#keptBytes + size > KEPT_BYTES_MAX) return;
    const kept = this.#kept.get(size);
    if (kept === undefined) this.#kept.set(size, [memory]);
    else kept.push(memory);
    this.#keptBytes += size;
  }
}
