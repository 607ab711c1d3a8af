import type { Hlc } from "@tidemark/core";

/** Where an operation stands: what orders operations of one session. */
export interface EffectPosition {
  readonly stamp: Hlc;
  /** A number of the owner's for (session, lane). */
  readonly lane: number;
  readonly seqno: number;
}

/** What {@link EffectTable.add} found. */
export interface EffectAdded {
  readonly index: number;
  /** The effect was not known: it is to be folded. */
  readonly isNew: boolean;
  /** The position is below the one known: the effect moves to it. */
  readonly lowered: boolean;
  /** The tag is known with another digest. */
  readonly conflict: boolean;
}

const EMPTY = 0;

/**
 * The state behind exactly-once: every effect that had an operationId, at the smallest position seen.
 *
 * Open addressing over typed arrays, about 55 bytes an effect and off the JavaScript heap: millions are fine. An index
 * stays the same while its effect is known. Nothing is evicted; the effects of one owner, linked to a chain, are
 * forgotten together, and their places used again.
 */
export class EffectTable {
  readonly #compareLanes: (a: number, b: number) => number;
  #count: number = 0;
  /** Places used so far, forgotten ones included. */
  #end: number = 0;
  /** The next of a chain, of effects or of free places: index + 1, or 0. */
  #next: Uint32Array = new Uint32Array(16);
  /** The first free place: index + 1, or 0. */
  #free: number = 0;
  /** Tag and digest: four words an effect. */
  #words: Uint32Array = new Uint32Array(4 * 16);
  #wallMs: Float64Array = new Float64Array(16);
  #seqnos: Float64Array = new Float64Array(16);
  /** Counter and clock id. */
  #ticks: Uint32Array = new Uint32Array(16);
  #lanes: Uint32Array = new Uint32Array(16);
  /** Index + 1, or 0. */
  #slots: Uint32Array = new Uint32Array(32);

  /** @param compareLanes - Orders the owner's numbers of lanes as positions need it. */
  constructor(compareLanes: (a: number, b: number) => number) {
    this.#compareLanes = compareLanes;
  }

  /** Effects known. */
  get size(): number {
    return this.#count;
  }

  /** Bytes of all arrays. */
  get byteLength(): number {
    return (
      this.#words.byteLength +
      this.#next.byteLength +
      this.#wallMs.byteLength +
      this.#seqnos.byteLength +
      this.#ticks.byteLength +
      this.#lanes.byteLength +
      this.#slots.byteLength
    );
  }

  /** Takes in an effect of 16 bytes (tag, digest) at a position. */
  add(id: Uint8Array, offset: number, position: EffectPosition): EffectAdded {
    if ((this.#count + 1) * 4 > this.#slots.length * 3) this.#growSlots();
    const a = word(id, offset);
    const b = word(id, offset + 4);
    const c = word(id, offset + 8);
    const d = word(id, offset + 12);
    const words = this.#words;
    const mask = this.#slots.length - 1;
    let conflict = false;
    let slot = a & mask;
    for (; this.#slots[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const index = (this.#slots[slot] as number) - 1;
      const at = index * 4;
      if (words[at] !== a || words[at + 1] !== b) continue;
      if (words[at + 2] === c && words[at + 3] === d) {
        const lowered = this.#compare(index, position) > 0;
        if (lowered) this.#place(index, position);
        return { index, isNew: false, lowered, conflict: false };
      }
      conflict = true;
    }
    const index = this.#take();
    this.#words.set([a, b, c, d], index * 4);
    this.#place(index, position);
    this.#slots[slot] = index + 1;
    return { index, isNew: true, lowered: false, conflict };
  }

  /**
   * The effect of a tag: its index if the digest is the same, `conflict` if only others are known, else `undefined`.
   */
  find(tag: Uint8Array, digest: Uint8Array): number | "conflict" | undefined {
    const a = word(tag, 0);
    const b = word(tag, 4);
    const c = word(digest, 0);
    const d = word(digest, 4);
    const mask = this.#slots.length - 1;
    let conflict = false;
    for (let slot = a & mask; this.#slots[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const index = (this.#slots[slot] as number) - 1;
      const at = index * 4;
      if (this.#words[at] !== a || this.#words[at + 1] !== b) continue;
      if (this.#words[at + 2] === c && this.#words[at + 3] === d) return index;
      conflict = true;
    }
    return conflict ? "conflict" : undefined;
  }

  /** An effect of a tag, whatever its digest; `undefined` if none is known. */
  findTag(tag: Uint8Array): number | undefined {
    const a = word(tag, 0);
    const b = word(tag, 4);
    const mask = this.#slots.length - 1;
    for (let slot = a & mask; this.#slots[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const index = (this.#slots[slot] as number) - 1;
      if (this.#words[index * 4] === a && this.#words[index * 4 + 1] === b) return index;
    }
    return undefined;
  }

  /** The smallest position seen of an effect. */
  positionOf(index: number): EffectPosition {
    const tick = this.#ticks[index] as number;
    return {
      stamp: { wallMs: this.#wallMs[index] as number, counter: tick >>> 16, clockId: tick & 0xffff },
      lane: this.#lanes[index] as number,
      seqno: this.#seqnos[index] as number,
    };
  }

  /** The 16 bytes of an effect. */
  idOf(index: number): Uint8Array {
    const id = new Uint8Array(16);
    const view = new DataView(id.buffer);
    for (let part = 0; part < 4; part++)
      view.setUint32(part * 4, this.#words[index * 4 + part] as number, true);
    return id;
  }

  /** Above every index in use. */
  get end(): number {
    return this.#end;
  }

  /** Puts an effect in front of a chain; returns the new head of the chain. @param head - -1 for none. */
  link(index: number, head: number): number {
    this.#next[index] = head + 1;
    return index;
  }

  /** The effects of a chain. */
  *chain(head: number): Iterable<number> {
    for (let index = head; index >= 0; index = (this.#next[index] as number) - 1) yield index;
  }

  /** Forgets the effects of a chain: their indices may name others from now on. */
  forget(head: number): void {
    for (let index = head; index >= 0;) {
      const next = (this.#next[index] as number) - 1;
      this.#removeSlot(index);
      this.#words.fill(0, index * 4, index * 4 + 4);
      this.#next[index] = this.#free;
      this.#free = index + 1;
      this.#count -= 1;
      index = next;
    }
  }

  /** Forgets every effect. */
  clear(): void {
    this.#count = 0;
    this.#end = 0;
    this.#free = 0;
    this.#slots.fill(EMPTY);
  }

  #take(): number {
    this.#count += 1;
    const free = this.#free - 1;
    if (free >= 0) {
      this.#free = this.#next[free] as number;
      this.#next[free] = 0;
      return free;
    }
    if (this.#end === this.#lanes.length) this.#growEntries();
    return this.#end++;
  }

  /** Moves later entries of the run back, so that a search never ends at a hole. */
  #removeSlot(index: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = (this.#words[index * 4] as number) & mask;
    while (slots[hole] !== index + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; slots[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const home = (this.#words[((slots[slot] as number) - 1) * 4] as number) & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      slots[hole] = slots[slot] as number;
      hole = slot;
    }
    slots[hole] = EMPTY;
  }

  #compare(index: number, position: EffectPosition): number {
    const { stamp } = position;
    const tick = ((stamp.counter << 16) | stamp.clockId) >>> 0;
    return (
      (this.#wallMs[index] as number) - stamp.wallMs ||
      (this.#ticks[index] as number) - tick ||
      this.#compareLanes(this.#lanes[index] as number, position.lane) ||
      (this.#seqnos[index] as number) - position.seqno
    );
  }

  #place(index: number, position: EffectPosition): void {
    const { stamp } = position;
    this.#wallMs[index] = stamp.wallMs;
    this.#ticks[index] = (stamp.counter << 16) | stamp.clockId;
    this.#lanes[index] = position.lane;
    this.#seqnos[index] = position.seqno;
  }

  #growEntries(): void {
    const length = Math.ceil(this.#lanes.length * 1.5);
    this.#words = grown(this.#words, new Uint32Array(length * 4));
    this.#next = grown(this.#next, new Uint32Array(length));
    this.#wallMs = grown(this.#wallMs, new Float64Array(length));
    this.#seqnos = grown(this.#seqnos, new Float64Array(length));
    this.#ticks = grown(this.#ticks, new Uint32Array(length));
    this.#lanes = grown(this.#lanes, new Uint32Array(length));
  }

  #growSlots(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (const held of this.#slots) {
      if (held === EMPTY) continue;
      const index = held - 1;
      let slot = (this.#words[index * 4] as number) & mask;
      while (slots[slot] !== EMPTY) slot = (slot + 1) & mask;
      slots[slot] = index + 1;
    }
    this.#slots = slots;
  }
}

function grown<Cells extends Uint32Array | Float64Array>(from: Cells, to: Cells): Cells {
  to.set(from);
  return to;
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
