/** Bytes that reach the disk whole or not at all. */
export const SECTOR_BYTES = 512;

/**
 * The bytes of one file twice: as processes see them, and as the disk holds them. What differs by sector is what a
 * crash decides about.
 */
export class MemoryFile {
  /** The page cache. */
  bytes: Uint8Array = new Uint8Array(0);
  length = 0;
  /** The platter. */
  #stored: Uint8Array = new Uint8Array(0);
  #storedLength = 0;
  readonly #dirty = new Set<number>();

  /** The same bytes, unsynced where these are. */
  copy(): MemoryFile {
    const copy = new MemoryFile();
    copy.bytes = this.bytes.slice(0, this.length);
    copy.length = this.length;
    copy.#stored = this.#stored.slice(0, this.#storedLength);
    copy.#storedLength = this.#storedLength;
    for (const sector of this.#dirty) copy.#dirty.add(sector);
    return copy;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#grow(position + bytes.length);
    this.bytes.set(bytes, position);
    // A gap before the position is zeros, and its sectors are as unsynced as the rest.
    const from = Math.min(position, this.length);
    this.length = Math.max(this.length, position + bytes.length);
    this.#mark(from, position + bytes.length);
  }

  truncate(length: number): void {
    this.#grow(length);
    const from = Math.min(length, this.length);
    this.bytes.fill(0, from, Math.max(length, this.length));
    const to = Math.max(length, this.length);
    this.length = length;
    this.#mark(from, to);
  }

  /** A sync that worked: it writes what is dirty, and nothing else. */
  sync(): void {
    if (this.#stored.length < this.length) {
      const grown = new Uint8Array(this.bytes.length);
      grown.set(this.#stored.subarray(0, this.#storedLength));
      this.#stored = grown;
    }
    for (const sector of this.#dirty) {
      const from = sector * SECTOR_BYTES;
      this.#stored.set(
        this.bytes.subarray(from, Math.min(this.length, from + SECTOR_BYTES)),
        Math.min(from, this.length),
      );
    }
    if (this.#storedLength > this.length) this.#stored.fill(0, this.length, this.#storedLength);
    this.#storedLength = this.length;
    this.#dirty.clear();
  }

  /** A sync that failed: the page cache keeps the bytes and calls them clean, the disk does not have them. */
  forgetDirty(): void {
    this.#dirty.clear();
  }

  /** What a crash leaves: of the unsynced sectors those that `survives` names. */
  crash(survives: () => boolean): void {
    let length = this.#storedLength;
    const kept: number[] = [];
    for (const sector of [...this.#dirty].toSorted((a, b) => a - b)) {
      if (!survives()) continue;
      kept.push(sector);
      length = Math.max(length, Math.min(this.length, (sector + 1) * SECTOR_BYTES));
    }
    // A shorter file is metadata, which survives or not like everything else.
    if (this.length < this.#storedLength && this.#dirty.size > 0 && survives()) length = this.length;
    const bytes = new Uint8Array(length);
    bytes.set(this.#stored.subarray(0, Math.min(length, this.#storedLength)));
    for (const sector of kept) {
      const from = sector * SECTOR_BYTES;
      const to = Math.min(length, from + SECTOR_BYTES);
      if (from < to) bytes.set(this.bytes.subarray(from, to), from);
    }
    this.bytes = bytes;
    this.length = length;
    this.#stored = bytes.slice();
    this.#storedLength = length;
    this.#dirty.clear();
  }

  /** Rot: on the platter and, as after a reboot, in what processes see. */
  flipBit(offset: number, bit: number): void {
    if (offset >= this.length)
      throw new RangeError(`Cannot flip a bit at ${offset}: the file ends at ${this.length}`);
    this.bytes[offset] = (this.bytes[offset] as number) ^ (1 << bit);
    if (offset < this.#storedLength) this.#stored[offset] = (this.#stored[offset] as number) ^ (1 << bit);
  }

  #grow(length: number): void {
    if (length <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(length, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  #mark(from: number, to: number): void {
    for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++)
      this.#dirty.add(sector);
  }
}
