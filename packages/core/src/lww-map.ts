import { HLC_COUNTER_MAX, HLC_WALL_MS_MAX, type Hlc } from "./hlc.ts";
import { LwwKey } from "./lww-key.ts";
import { LwwTable, REMOVED } from "./lww-table.ts";
import { applyLwwUpdate, encodeLwwUpdate } from "./lww-update.ts";
import { guardUpTo } from "./safe-integer.ts";

/** One write of a map. */
export interface LwwMapWrite {
  /** At most {@link LWW_KEY_BYTES_MAX} bytes as UTF-8. */
  readonly key: string;
  /** Absent: the key is removed. */
  readonly value?: Uint8Array;
  readonly stamp: Hlc;
}

/** Options of an {@link LwwMap}. */
export interface LwwMapOptions {
  /** A random u32 of the process: give one if strangers choose the keys, so that they cannot make them collide. @defaultValue 0 */
  readonly seed?: number;
}

const NOTHING: Uint8Array = new Uint8Array(0);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A map of last-writer-wins registers, by key: the rule of `LWWRegister`, in typed arrays, without an object a key.
 *
 * Values are bytes. A removal is a write as well and is kept, or an older write would bring the key back. An update is
 * a small map: what {@link LwwMap.encode} writes of one, {@link LwwMap.apply} takes in anywhere, in any order, twice or
 * not at all where something later is known.
 *
 * @example
 * ```ts
 * const here = new LwwMap();
 * const there = new LwwMap();
 * const stamp = { wallMs: 5, counter: 0, clockId: 1 };
 * const update = here.encodeUpdate([{ key: "color", value: Uint8Array.of(7), stamp }]);
 * assert.equal(there.apply(update), 1);
 * assert.equal(there.apply(update), 0); // Twice is once.
 * assert.deepEqual(there.get("color"), Uint8Array.of(7));
 * ```
 */
export class LwwMap {
  readonly #table: LwwTable = new LwwTable();
  readonly #key: LwwKey;
  /** Sorts and thins out the writes of an update. */
  #batch: LwwMap | undefined;

  constructor(options: LwwMapOptions = {}) {
    const { seed = 0 } = options;
    this.#key = new LwwKey(guardUpTo(seed, "seed", 0xffff_ffff));
  }

  /** Keys that hold a value. */
  get size(): number {
    return this.#table.live;
  }

  /** Writes a value; returns whether it took effect. */
  set(key: string, value: Uint8Array, stamp: Hlc): boolean {
    return this.#put(key, stamp, value, value.length);
  }

  /** Removes a key; returns whether it took effect. */
  delete(key: string, stamp: Hlc): boolean {
    return this.#put(key, stamp, NOTHING, REMOVED);
  }

  /** A copy of the value, or `undefined`. */
  get(key: string): Uint8Array | undefined {
    const entry = this.#find(key);
    return entry < 0 ? undefined : this.#valueAt(entry);
  }

  has(key: string): boolean {
    const entry = this.#find(key);
    return entry >= 0 && this.#table.valueLengths[entry] !== REMOVED;
  }

  /** The stamp of the latest write, removals too, or `undefined` if there was none. */
  stampOf(key: string): Hlc | undefined {
    const entry = this.#find(key);
    if (entry < 0) return undefined;
    const tail = this.#table.tails[entry] as number;
    return { wallMs: this.#table.walls[entry] as number, counter: tail >>> 16, clockId: tail & 0xffff };
  }

  /** Keys and values as they are now, by the bytes of the key. */
  *entries(): Generator<[key: string, value: Uint8Array]> {
    const table = this.#table;
    for (const entry of table.sorted()) {
      const value = this.#valueAt(entry);
      if (value === undefined) continue;
      const start = table.keyStarts[entry] as number;
      yield [utf8.decode(table.keys.subarray(start, start + (table.keyLengths[entry] as number))), value];
    }
  }

  /** The canonical update that carries these writes, the latest of each key. Changes nothing in this map. */
  encodeUpdate(writes: Iterable<LwwMapWrite>): Uint8Array {
    const batch = (this.#batch ??= new LwwMap());
    batch.#table.clear();
    for (const { key, value, stamp } of writes) {
      if (value === undefined) batch.delete(key, stamp);
      else batch.set(key, value, stamp);
    }
    return batch.encode();
  }

  /**
   * Takes in an update, all of it or, if it is malformed, nothing; returns how many writes took effect.
   *
   * @throws {@link CoreError} `DECODE_FAILED`.
   */
  apply(update: Uint8Array): number {
    return applyLwwUpdate(update, this.#key, this.#table);
  }

  /** Takes in all the other map holds; returns whether it changed anything. */
  merge(other: LwwMap): boolean {
    return applyLwwUpdate(other.encode(), this.#key, this.#table) > 0;
  }

  /**
   * Canonical bytes: equal states, equal bytes. The whole map as an update.
   *
   * | type   | field      | notes                                                                     |
   * | :----- | :--------- | :------------------------------------------------------------------------ |
   * | u8     | version    | 1                                                                         |
   * | varint | count      | of writes, one a key; nothing follows a zero                              |
   * | varint | clocks     | how many clock ids, u16 each, strictly ascending, each of them used       |
   * | varint | base       | the smallest `wallMs`                                                     |
   *
   * Then each write, by the bytes of its key, strictly ascending:
   *
   * | type   | field      | notes                                                                     |
   * | :----- | :--------- | :------------------------------------------------------------------------ |
   * | u8     | head       | high nibble: bytes shared with the key before, all that are; low: the rest |
   * | varint | more       | if a nibble is 15: what goes beyond 15; shared first                      |
   * | bytes  | key        | the rest; the whole key is strict UTF-8 of at most 255 bytes              |
   * | varint | `wallMs`   | less the base                                                             |
   * | varint | `counter`  |                                                                           |
   * | varint | clock      | index into the clocks; left out if there is one                           |
   * | varint | value      | 0: removed; length + 1, then the value                                    |
   */
  encode(): Uint8Array {
    return encodeLwwUpdate(this.#table);
  }

  /** The map that {@link LwwMap.encode} wrote. @throws {@link CoreError} `DECODE_FAILED`. */
  static decode(bytes: Uint8Array, options: LwwMapOptions = {}): LwwMap {
    const map = new LwwMap(options);
    map.apply(bytes);
    return map;
  }

  #put(key: string, stamp: Hlc, value: Uint8Array, length: number): boolean {
    const wallMs = guardUpTo(stamp.wallMs, "wallMs", HLC_WALL_MS_MAX);
    const counter = guardUpTo(stamp.counter, "counter", HLC_COUNTER_MAX);
    const tail = counter * 0x1_0000 + guardUpTo(stamp.clockId, "clockId", 0xffff);
    this.#key.setText(key);
    return this.#table.put(
      this.#key.bytes,
      this.#key.length,
      this.#key.hash(),
      wallMs,
      tail,
      value,
      0,
      length,
    );
  }

  #find(key: string): number {
    this.#key.setText(key);
    return this.#table.find(this.#key.bytes, this.#key.length, this.#key.hash());
  }

  #valueAt(entry: number): Uint8Array | undefined {
    const length = this.#table.valueLengths[entry] as number;
    if (length === REMOVED) return undefined;
    const start = this.#table.valueStarts[entry] as number;
    return this.#table.values.slice(start, start + length);
  }
}
