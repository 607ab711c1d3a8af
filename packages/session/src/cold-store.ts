/**
 * Where the state of sessions lies that nobody has touched for long: opaque bytes under a number that the store gives
 * out. It is a scratch place and never the truth: a fold begins with an empty one.
 */
export interface ColdStore {
  /**
   * Keeps bytes, which are the caller's again afterwards.
   *
   * @returns The number to ask for them by, below 2^29; used again once it was let go of.
   * @throws What the medium throws; nothing is kept then, and the session stays where it is.
   */
  put(bytes: Uint8Array): number;
  /** The bytes of a number. @throws What the medium throws: then the state of the session cannot be had. */
  get(place: number): Uint8Array;
  /** Lets go of a number. */
  delete(place: number): void;
  /** Lets go of everything. */
  clear(): void;
}

/** A cold store in memory: off the heap of live objects, and a model for others. */
export class MemoryColdStore implements ColdStore {
  readonly #held: (Uint8Array | undefined)[] = [];
  readonly #free: number[] = [];
  #bytes: number = 0;

  /** Bytes kept. */
  get byteLength(): number {
    return this.#bytes;
  }

  put(bytes: Uint8Array): number {
    const place = this.#free.pop() ?? this.#held.length;
    this.#held[place] = bytes.slice();
    this.#bytes += bytes.length;
    return place;
  }

  get(place: number): Uint8Array {
    const bytes = this.#held[place];
    if (bytes === undefined) throw new RangeError(`Nothing is kept under ${place}`);
    return bytes;
  }

  delete(place: number): void {
    const bytes = this.#held[place];
    if (bytes === undefined) return;
    this.#held[place] = undefined;
    this.#free.push(place);
    this.#bytes -= bytes.length;
  }

  clear(): void {
    this.#held.length = 0;
    this.#free.length = 0;
    this.#bytes = 0;
  }
}
