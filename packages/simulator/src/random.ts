/**
 * Everything random in a simulated run, drawn from one seed: the same seed gives the same draws everywhere.
 *
 * Source: xoshiro128** by Blackman and Vigna, seeded by way of FNV-1a and SplitMix32.
 *
 * @example
 * ```ts
 * const random = new Random(7);
 * assert.equal(new Random(7).next(), random.next());
 * ```
 */
export class Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number | string) {
    this.#seed = String(seed);
    const mix = mixerOf(this.#seed);
    this.#a = mix();
    this.#b = mix();
    this.#c = mix();
    // All zero is the one state that the generator never leaves.
    this.#d = mix() | 1;
  }

  /** A number from 0 up to 1, without 1. */
  next(): number {
    return this.#draw() / 0x1_0000_0000;
  }

  /** A whole number from 0 up to `below`, without it. */
  integer(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.integer(high - low + 1);
  }

  /** True with the probability `probability`, 0 to 1. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError("Cannot pick from an empty list");
    return list[this.integer(list.length)] as T;
  }

  /** The same things in another order; the list itself stays as it is. */
  shuffle<T>(list: readonly T[]): T[] {
    const shuffled = [...list];
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
    }
    return shuffled;
  }

  /** That many bytes. */
  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index++) bytes[index] = this.#draw() & 0xff;
    return bytes;
  }

  /**
   * An independent stream for one consumer, the same for the same label whatever was drawn here: a consumer that is new
   * shifts nobody else's draws.
   */
  fork(label: string): Random {
    return new Random(`${this.#seed}/${label}`);
  }

  #draw(): number {
    const result = Math.imul(rotated(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotated(this.#d, 11);
    return result >>> 0;
  }
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** FNV-1a over the text, then SplitMix32: neighbouring seeds give streams that have nothing in common. */
function mixerOf(text: string): () => number {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}
