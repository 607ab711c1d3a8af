import { compareBytes, EFFECT_ID_BYTES } from "@tidemark/core";

/** What is known of an operation. */
export type EffectKnown = "known" | "conflict" | undefined;

const WORDS = 4;
const FIRST_ENTRIES = 16;

/**
 * A set of effect ids, 16 bytes each: a tag of 8 that names an operation and a digest of 8 of what it asked for.
 *
 * Open addressing over typed arrays: 16 to 24 bytes an id and 5 to 11 for finding it, off the JavaScript heap.
 */
export class EffectIdSet {
  #count: number = 0;
  #words: Uint32Array = new Uint32Array(WORDS * FIRST_ENTRIES);
  /** Index + 1, or 0. */
  #slots: Uint32Array = new Uint32Array(2 * FIRST_ENTRIES);

  /** Whether the last search met the tag with another digest. */
  #tagSeen: boolean = false;

  get size(): number {
    return this.#count;
  }

  /** Bytes of all arrays. */
  get byteLength(): number {
    return this.#words.byteLength + this.#slots.byteLength;
  }

  /** Whether the id is known; `conflict` if only its tag is, with other digests. */
  find(id: Uint8Array, offset: number = 0): EffectKnown {
    const slot = this.#locate(id, offset);
    if (slot >= 0) return "known";
    return this.#tagSeen ? "conflict" : undefined;
  }

  /** Takes in an id and says what was known of it before. */
  add(id: Uint8Array, offset: number = 0): EffectKnown {
    if ((this.#count + 1) * 4 > this.#slots.length * 3) this.#growSlots();
    const found = this.#locate(id, offset);
    if (found >= 0) return "known";
    const at = this.#count * WORDS;
    if (at === this.#words.length) this.#growWords();
    for (let part = 0; part < WORDS; part++) this.#words[at + part] = word(id, offset + part * 4);
    this.#slots[-found - 1] = ++this.#count;
    return this.#tagSeen ? "conflict" : undefined;
  }

  /** Every id, ascending by its bytes. */
  sorted(): Uint8Array[] {
    const ids = Array.from({ length: this.#count }, (_, index) => {
      const id = new Uint8Array(EFFECT_ID_BYTES);
      const view = new DataView(id.buffer);
      for (let part = 0; part < WORDS; part++)
        view.setUint32(part * 4, this.#words[index * WORDS + part] as number, true);
      return id;
    });
    return ids.sort(compareBytes);
  }

  clear(): void {
    this.#count = 0;
    this.#words = new Uint32Array(WORDS * FIRST_ENTRIES);
    this.#slots = new Uint32Array(2 * FIRST_ENTRIES);
  }

  /** The slot of an id, or `-1 - slot` of the free one where it belongs. */
  #locate(id: Uint8Array, offset: number): number {
    const [a, b] = [word(id, offset), word(id, offset + 4)];
    const [c, d] = [word(id, offset + 8), word(id, offset + 12)];
    const words = this.#words;
    const mask = this.#slots.length - 1;
    this.#tagSeen = false;
    let slot = a & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = ((this.#slots[slot] as number) - 1) * WORDS;
      if (words[at] !== a || words[at + 1] !== b) continue;
      if (words[at + 2] === c && words[at + 3] === d) return slot;
      this.#tagSeen = true;
    }
    return -1 - slot;
  }

  #growWords(): void {
    const words = new Uint32Array(Math.ceil(this.#words.length / WORDS / 2) * 3 * WORDS);
    words.set(this.#words);
    this.#words = words;
  }

  #growSlots(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let index = 0; index < this.#count; index++) {
      let slot = (this.#words[index * WORDS] as number) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = index + 1;
    }
    this.#slots = slots;
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
