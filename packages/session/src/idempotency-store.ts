import { guardUpTo } from "@tidemark/core";

/** Options of an {@link IdempotencyStore}. */
export interface IdempotencyStoreOptions {
  /** Entries kept; the least recently used one makes room. @defaultValue 100,000 */
  readonly entriesMax?: number;
}

const NONE = 0xffff_ffff;

/**
 * The latest effect ids with a number each: a bounded LRU in typed arrays, off the JavaScript heap, O(1).
 *
 * Only a cache in front of what is durable: losing every entry changes nothing but speed. Keys are hashes
 * already, so the first word is the hash; linear probing over at most half-full slots, deletion by moving back.
 */
export class IdempotencyStore {
  readonly entriesMax: number;
  readonly #words: Uint32Array;
  readonly #values: Uint32Array;
  /** Toward the more recently used. */
  readonly #newer: Uint32Array;
  /** Toward the less recently used. */
  readonly #older: Uint32Array;
  /** Entry + 1, or 0. */
  readonly #slots: Uint32Array;
  readonly #mask: number;
  #count: number = 0;
  #newest: number = NONE;
  #oldest: number = NONE;

  constructor(options: IdempotencyStoreOptions = {}) {
    const { entriesMax = 100_000 } = options;
    guardUpTo(entriesMax, "entriesMax", 0x3fff_ffff);
    if (entriesMax < 1) throw new RangeError("entriesMax must be at least 1");
    this.entriesMax = entriesMax;
    let slots = 2;
    while (slots < entriesMax * 2) slots *= 2;
    this.#mask = slots - 1;
    this.#slots = new Uint32Array(slots);
    this.#words = new Uint32Array(entriesMax * 4);
    this.#values = new Uint32Array(entriesMax);
    this.#newer = new Uint32Array(entriesMax);
    this.#older = new Uint32Array(entriesMax);
  }

  /** Entries held. */
  get size(): number {
    return this.#count;
  }

  /** Bytes of all arrays. */
  get byteLength(): number {
    return (
      this.#words.byteLength +
      this.#values.byteLength +
      this.#newer.byteLength +
      this.#older.byteLength +
      this.#slots.byteLength
    );
  }

  /** The number of a key of 16 bytes, which becomes the most recently used; `undefined` if it is not held. */
  get(key: Uint8Array, offset: number = 0): number | undefined {
    const entry = this.#find(
      word(key, offset),
      word(key, offset + 4),
      word(key, offset + 8),
      word(key, offset + 12),
    );
    if (entry === NONE) return undefined;
    this.#use(entry);
    return this.#values[entry];
  }

  /** Sets the number (u32) of a key of 16 bytes; the least recently used key makes room. */
  set(key: Uint8Array, value: number, offset: number = 0): void {
    const a = word(key, offset);
    const b = word(key, offset + 4);
    const c = word(key, offset + 8);
    const d = word(key, offset + 12);
    let entry = this.#find(a, b, c, d);
    if (entry !== NONE) {
      this.#values[entry] = value;
      this.#use(entry);
      return;
    }
    if (this.#count < this.entriesMax) {
      entry = this.#count++;
    } else {
      entry = this.#oldest;
      this.#unlink(entry);
      this.#removeSlot(entry);
    }
    const at = entry * 4;
    this.#words[at] = a;
    this.#words[at + 1] = b;
    this.#words[at + 2] = c;
    this.#words[at + 3] = d;
    this.#values[entry] = value;
    this.#link(entry);
    let slot = a & this.#mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = entry + 1;
  }

  /** Forgets everything. */
  clear(): void {
    this.#slots.fill(0);
    this.#count = 0;
    this.#newest = NONE;
    this.#oldest = NONE;
  }

  #find(a: number, b: number, c: number, d: number): number {
    const words = this.#words;
    const mask = this.#mask;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const held = this.#slots[slot] as number;
      if (held === 0) return NONE;
      const at = (held - 1) * 4;
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d)
        return held - 1;
    }
  }

  #use(entry: number): void {
    if (this.#newest === entry) return;
    this.#unlink(entry);
    this.#link(entry);
  }

  #link(entry: number): void {
    this.#newer[entry] = NONE;
    this.#older[entry] = this.#newest;
    if (this.#newest === NONE) this.#oldest = entry;
    else this.#newer[this.#newest] = entry;
    this.#newest = entry;
  }

  #unlink(entry: number): void {
    const newer = this.#newer[entry] as number;
    const older = this.#older[entry] as number;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
  }

  /** Moves later entries of the run back, so that no tombstone is left. */
  #removeSlot(entry: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = (this.#words[entry * 4] as number) & mask;
    while (slots[hole] !== entry + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const held = slots[slot] as number;
      if (held === 0) break;
      const home = (this.#words[(held - 1) * 4] as number) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots[hole] = held;
      hole = slot;
    }
    slots[hole] = 0;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}
