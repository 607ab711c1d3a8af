import { guardText } from "./compare.ts";

/** The most bytes a key of an `LwwMap` takes as UTF-8: what a few bytes of an update can make a replica keep. */
export const LWW_KEY_BYTES_MAX = 255;

const utf8 = new TextEncoder();

/** One key under construction and the hash of each of its prefixes: a key that shares a prefix costs only the rest. */
export class LwwKey {
  readonly bytes: Uint8Array = new Uint8Array(LWW_KEY_BYTES_MAX + 1);
  length = 0;
  /** `#states[n]` is the hash state after n bytes. */
  readonly #states: Int32Array = new Int32Array(LWW_KEY_BYTES_MAX + 2);

  constructor(seed: number) {
    this.#states[0] = seed ^ 0x811c_9dc5;
  }

  /** Keeps the first `shared` bytes and takes `length` more. */
  extend(shared: number, from: Uint8Array, start: number, length: number): void {
    const { bytes } = this;
    const states = this.#states;
    let state = states[shared] as number;
    for (let index = 0; index < length; index++) {
      const byte = from[start + index] as number;
      bytes[shared + index] = byte;
      state = Math.imul(state ^ byte, 0x0100_0193);
      states[shared + index + 1] = state;
    }
    this.length = shared + length;
  }

  /** @throws `RangeError` past {@link LWW_KEY_BYTES_MAX}, `TypeError` for a lone surrogate. */
  setText(key: string): void {
    const { bytes } = this;
    const { read, written } = utf8.encodeInto(guardText(key, "key"), bytes);
    if (read < key.length || written > LWW_KEY_BYTES_MAX) {
      throw new RangeError(
        `key must have at most ${LWW_KEY_BYTES_MAX} bytes as UTF-8: ${key.slice(0, 40)}...`,
      );
    }
    this.extend(0, bytes, 0, written);
  }

  /** FNV-1a of the key, its high bits mixed into the low ones that pick a slot. */
  hash(): number {
    let hash = this.#states[this.length] as number;
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
    return hash ^ (hash >>> 13);
  }
}
