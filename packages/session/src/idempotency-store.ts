import { guardUpTo } from "@tidemark/core";

/** Options of an {@link IdempotencyStore}. */
export interface IdempotencyStoreOptions {
  /** Entries kept; the least recently used one makes room. @defaultValue 100,000 */
  readonly entriesMax?: number;
}

const NONE = 0xffff_ffff;
/** Entries that there is room for at first, and how many times as many each time they are not enough. */
const FIRST_ENTRIES = 1_024;
const GROWTH = 16;
/** Words of an entry: the key's four, its number, and the links. They lie together, because reading one touches all. */
const ENTRY_WORDS = 7;
const VALUE = 4;
/** Toward the more recently used. */
const NEWER = 5;
/** Toward the less recently used. */
const OLDER = 6;

/**
 * The latest effect ids with a number each: a bounded LRU in typed arrays, off the JavaScript heap, O(1).
 *
 * Only a cache in front of what is durable: losing every entry changes nothing but speed. Keys are hashes already, so
 * their first word is the hash; linear probing over at most half-full slots, deletion by moving back. A slot also has
 * bits of the key's second word, so that a key that is not held is nearly always told by its slot alone. The arrays grow
 * in few large steps: a shard that is hardly used has small ones.
 *
 * @example
 * ```ts
 * const store = new IdempotencyStore({ entriesMax: 2 });
 * const [a, b, c] = [1, 2, 3].map((byte) => new Uint8Array(16).fill(byte));
 * store.set(a, 10);
 * store.set(b, 20);
 * assert.equal(store.get(a), 10); // Used: b is the oldest now.
 * store.set(c, 30);
 * assert.equal(store.get(b), undefined);
 * ```
 */
export class IdempotencyStore {
  readonly entriesMax: number;
  #entries: Uint32Array = new Uint32Array(0);
  /** Entry + 1 in the low bits, bits of the key above; 0 is empty. */
  #slots: Uint32Array = new Uint32Array(0);
  #mask: number = 0;
  /** The bits of a slot that hold an entry: half as many entries as slots at most, so their numbers from 1 fit. */
  #entryMask: number = 0;
  /** Entries that the arrays have room for. */
  #room: number = 0;
  #count: number = 0;
  #newest: number = NONE;
  #oldest: number = NONE;

  constructor(options: IdempotencyStoreOptions = {}) {
    const { entriesMax = 100_000 } = options;
    guardUpTo(entriesMax, "entriesMax", 0x1fff_ffff);
    if (entriesMax < 1) throw new RangeError("entriesMax must be at least 1");
    this.entriesMax = entriesMax;
    this.#grow(Math.min(entriesMax, FIRST_ENTRIES));
  }

  /** Entries held. */
  get size(): number {
    return this.#count;
  }

  /** Bytes of all arrays. */
  get byteLength(): number {
    return this.#entries.byteLength + this.#slots.byteLength;
  }

  /** The number of a key of 16 bytes, which becomes the most recently used; `undefined` if it is not held. */
  get(key: Uint8Array, offset: number = 0): number | undefined {
    const at = this.#find(key, offset, word(key, offset), word(key, offset + 4));
    if (at === NONE) return undefined;
    this.#use(at);
    return this.#entries[at + VALUE];
  }

  /** Sets the number (u32) of a key of 16 bytes; the least recently used key makes room. */
  set(key: Uint8Array, value: number, offset: number = 0): void {
    const a = word(key, offset);
    const b = word(key, offset + 4);
    let at = this.#find(key, offset, a, b);
    if (at !== NONE) {
      this.#entries[at + VALUE] = value;
      this.#use(at);
      return;
    }
    if (this.#count === this.#room && this.#room < this.entriesMax)
      this.#grow(Math.min(this.entriesMax, this.#room * GROWTH));
    const entries = this.#entries;
    if (this.#count < this.entriesMax) {
      at = this.#count++ * ENTRY_WORDS;
    } else {
      at = this.#oldest;
      this.#unlink(at);
      this.#removeSlot(at);
    }
    entries[at] = a;
    entries[at + 1] = b;
    entries[at + 2] = word(key, offset + 8);
    entries[at + 3] = word(key, offset + 12);
    entries[at + VALUE] = value;
    this.#link(at);
    this.#addSlot(at, a, b);
  }

  /** Forgets everything. */
  clear(): void {
    this.#slots.fill(0);
    this.#count = 0;
    this.#newest = NONE;
    this.#oldest = NONE;
  }

  /** Offset of the entry of a key, or `NONE`. */
  #find(key: Uint8Array, offset: number, a: number, b: number): number {
    const mask = this.#mask;
    const entryMask = this.#entryMask;
    const entries = this.#entries;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const held = this.#slots[slot] as number;
      if (held === 0) return NONE;
      if (((held ^ b) & ~entryMask) !== 0) continue;
      const at = ((held & entryMask) - 1) * ENTRY_WORDS;
      if (
        entries[at] === a &&
        entries[at + 1] === b &&
        entries[at + 2] === word(key, offset + 8) &&
        entries[at + 3] === word(key, offset + 12)
      ) {
        return at;
      }
    }
  }

  #use(at: number): void {
    if (this.#newest === at) return;
    this.#unlink(at);
    this.#link(at);
  }

  #link(at: number): void {
    const entries = this.#entries;
    entries[at + NEWER] = NONE;
    entries[at + OLDER] = this.#newest;
    if (this.#newest === NONE) this.#oldest = at;
    else entries[this.#newest + NEWER] = at;
    this.#newest = at;
  }

  #unlink(at: number): void {
    const entries = this.#entries;
    const newer = entries[at + NEWER] as number;
    const older = entries[at + OLDER] as number;
    if (newer === NONE) this.#newest = older;
    else entries[newer + OLDER] = older;
    if (older === NONE) this.#oldest = newer;
    else entries[older + NEWER] = newer;
  }

  #addSlot(at: number, a: number, b: number): void {
    const mask = this.#mask;
    let slot = a & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = (b & ~this.#entryMask) | (at / ENTRY_WORDS + 1);
  }

  /** Makes room for so many entries; those that are held keep their places. */
  #grow(room: number): void {
    let slots = 2;
    while (slots < room * 2) slots *= 2;
    this.#room = room;
    this.#slots = new Uint32Array(slots);
    this.#mask = slots - 1;
    this.#entryMask = slots - 1;
    const entries = new Uint32Array(room * ENTRY_WORDS);
    entries.set(this.#entries);
    this.#entries = entries;
    for (let at = 0; at < this.#count * ENTRY_WORDS; at += ENTRY_WORDS)
      this.#addSlot(at, entries[at] as number, entries[at + 1] as number);
  }

  /** Moves later entries of the run back, so that no tombstone is left. */
  #removeSlot(at: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    const number = at / ENTRY_WORDS + 1;
    let hole = (this.#entries[at] as number) & mask;
    while (((slots[hole] as number) & this.#entryMask) !== number) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const held = slots[slot] as number;
      if (held === 0) break;
      const home = (this.#entries[((held & this.#entryMask) - 1) * ENTRY_WORDS] as number) & mask;
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
