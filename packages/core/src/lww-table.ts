/** `valueLengths` of a key that was removed. */
export const REMOVED = 0xffff_ffff;
const CAPACITY_MIN = 8;

/**
 * The storage of an `LwwMap`: open addressing into parallel typed arrays, with keys and values packed into two byte
 * arrays. No object per key and none per operation; an entry is numbered by when its key was first seen.
 */
export class LwwTable {
  /** Entries, removed ones too. */
  count = 0;
  /** Entries that hold a value. */
  live = 0;
  walls: Float64Array = new Float64Array(CAPACITY_MIN);
  /** Counter in the high half, clock id in the low: ordered like the pair. */
  tails: Uint32Array = new Uint32Array(CAPACITY_MIN);
  keyStarts: Uint32Array = new Uint32Array(CAPACITY_MIN);
  keyLengths: Uint16Array = new Uint16Array(CAPACITY_MIN);
  valueStarts: Uint32Array = new Uint32Array(CAPACITY_MIN);
  valueLengths: Uint32Array = new Uint32Array(CAPACITY_MIN);
  keys: Uint8Array = new Uint8Array(CAPACITY_MIN * 8);
  values: Uint8Array = new Uint8Array(CAPACITY_MIN * 8);
  #hashes: Int32Array = new Int32Array(CAPACITY_MIN);
  /** Entry number plus one, zero where free; a power of two, at least half of it free. */
  #slots: Int32Array = new Int32Array(CAPACITY_MIN * 2);
  #keysEnd = 0;
  #valuesEnd = 0;
  /** Bytes of `values` that no entry points at. */
  #wasted = 0;

  /** Forgets everything and keeps the arrays. */
  clear(): void {
    this.#slots.fill(0);
    this.count = this.live = this.#keysEnd = this.#valuesEnd = this.#wasted = 0;
  }

  /** The entry of `key[0, length)`, or -1. */
  find(key: Uint8Array, length: number, hash: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = (slots[slot] as number) - 1;
      if (entry < 0 || (this.#hashes[entry] === hash && this.#isKey(entry, key, length))) return entry;
    }
  }

  /** Writes `from[start, start + length)`, or a removal, unless what is there is as late; returns whether it took effect. */
  put(
    key: Uint8Array,
    keyLength: number,
    hash: number,
    wallMs: number,
    tail: number,
    from: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    const entry = this.find(key, keyLength, hash);
    if (entry < 0) {
      this.#insert(key, keyLength, hash, wallMs, tail, from, start, length);
      return true;
    }
    const order = wallMs - (this.walls[entry] as number) || tail - (this.tails[entry] as number);
    if (order < 0 || (order === 0 && this.#compareValue(entry, from, start, length) >= 0)) return false;
    this.walls[entry] = wallMs;
    this.tails[entry] = tail;
    this.#replaceValue(entry, from, start, length);
    return true;
  }

  /** Entry numbers by the bytes of their keys. */
  sorted(): number[] {
    return Array.from({ length: this.count }, (_, entry) => entry).sort((a, b) => this.#compareKeys(a, b));
  }

  #isKey(entry: number, key: Uint8Array, length: number): boolean {
    if (this.keyLengths[entry] !== length) return false;
    const { keys } = this;
    const start = this.keyStarts[entry] as number;
    // From the end: keys that share a slot tend to share a prefix.
    for (let index = length - 1; index >= 0; index--) {
      if (keys[start + index] !== key[index]) return false;
    }
    return true;
  }

  #insert(
    key: Uint8Array,
    keyLength: number,
    hash: number,
    wallMs: number,
    tail: number,
    from: Uint8Array,
    start: number,
    length: number,
  ): void {
    if (this.count === this.walls.length) this.#grow();
    const entry = this.count++;
    this.keys = roomFor(this.keys, this.#keysEnd, keyLength);
    this.keyStarts[entry] = this.#keysEnd;
    this.keyLengths[entry] = keyLength;
    copy(key, 0, keyLength, this.keys, this.#keysEnd);
    this.#keysEnd += keyLength;
    this.#hashes[entry] = hash;
    this.walls[entry] = wallMs;
    this.tails[entry] = tail;
    this.valueLengths[entry] = REMOVED;
    this.#replaceValue(entry, from, start, length);
    this.#place(entry);
  }

  #replaceValue(entry: number, from: Uint8Array, start: number, length: number): void {
    const before = this.valueLengths[entry] as number;
    const room = before === REMOVED ? 0 : before;
    const wanted = length === REMOVED ? 0 : length;
    this.live += Number(length !== REMOVED) - Number(before !== REMOVED);
    if (wanted > room) {
      // The old bytes are given up before the new ones are placed, so that packing skips them.
      this.#wasted += room;
      this.valueLengths[entry] = REMOVED;
      if (this.#wasted > 1_024 && this.#wasted > this.#valuesEnd >> 1) this.#packValues();
      this.values = roomFor(this.values, this.#valuesEnd, wanted);
      this.valueStarts[entry] = this.#valuesEnd;
      this.#valuesEnd += wanted;
    } else {
      this.#wasted += room - wanted;
    }
    copy(from, start, wanted, this.values, this.valueStarts[entry] as number);
    this.valueLengths[entry] = length;
  }

  #packValues(): void {
    const packed = new Uint8Array(this.values.length);
    let end = 0;
    for (let entry = 0; entry < this.count; entry++) {
      const length = this.valueLengths[entry] as number;
      if (length === REMOVED) continue;
      copy(this.values, this.valueStarts[entry] as number, length, packed, end);
      this.valueStarts[entry] = end;
      end += length;
    }
    this.values = packed;
    this.#valuesEnd = end;
    this.#wasted = 0;
  }

  #grow(): void {
    const capacity = this.walls.length * 2;
    this.walls = enlarged(this.walls, new Float64Array(capacity));
    this.tails = enlarged(this.tails, new Uint32Array(capacity));
    this.keyStarts = enlarged(this.keyStarts, new Uint32Array(capacity));
    this.keyLengths = enlarged(this.keyLengths, new Uint16Array(capacity));
    this.valueStarts = enlarged(this.valueStarts, new Uint32Array(capacity));
    this.valueLengths = enlarged(this.valueLengths, new Uint32Array(capacity));
    this.#hashes = enlarged(this.#hashes, new Int32Array(capacity));
    this.#slots = new Int32Array(capacity * 2);
    for (let entry = 0; entry < this.count; entry++) this.#place(entry);
  }

  #place(entry: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (this.#hashes[entry] as number) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = entry + 1;
  }

  /** A removal sorts before every value. */
  #compareValue(entry: number, from: Uint8Array, start: number, length: number): number {
    const own = this.valueLengths[entry] as number;
    if (own === REMOVED || length === REMOVED) return Number(length === REMOVED) - Number(own === REMOVED);
    return compareParts(this.values, this.valueStarts[entry] as number, own, from, start, length);
  }

  #compareKeys(a: number, b: number): number {
    const { keys, keyStarts, keyLengths } = this;
    return compareParts(
      keys,
      keyStarts[a] as number,
      keyLengths[a] as number,
      keys,
      keyStarts[b] as number,
      keyLengths[b] as number,
    );
  }
}

function compareParts(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): number {
  const length = Math.min(aLength, bLength);
  for (let index = 0; index < length; index++) {
    const difference = (a[aStart + index] as number) - (b[bStart + index] as number);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** A loop beats a call into `set` and a view for the short runs of bytes that keys and values are. */
function copy(from: Uint8Array, start: number, length: number, to: Uint8Array, at: number): void {
  if (length > 64) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  for (let index = 0; index < length; index++) to[at + index] = from[start + index] as number;
}

function roomFor(bytes: Uint8Array, end: number, more: number): Uint8Array {
  if (end + more <= bytes.length) return bytes;
  return enlarged(bytes, new Uint8Array(Math.max(end + more, bytes.length + (bytes.length >> 1))));
}

function enlarged<A extends Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array>(
  from: A,
  to: A,
): A {
  to.set(from);
  return to;
}
