import { compareUtf8 } from "./compare.ts";

const HASH_BYTES = 32;

/** The hashes of the objects of one slot, in the order of (id bytes, kind) and end to end: about 50 bytes an object. */
export class DigestSlot {
  readonly #ids: string[] = [];
  readonly #kinds: number[] = [];
  #hashes: Uint8Array = new Uint8Array(HASH_BYTES);

  get size(): number {
    return this.#ids.length;
  }

  /** All hashes in order: a view. */
  get bytes(): Uint8Array {
    return this.#hashes.subarray(0, this.#ids.length * HASH_BYTES);
  }

  /** The objects in order. */
  entries(): { readonly kind: number; readonly id: string; readonly digest: Uint8Array }[] {
    return this.#ids.map((id, at) => ({
      kind: this.#kinds[at] as number,
      id,
      digest: this.#hashes.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES),
    }));
  }

  /** Sets the hash of an object. */
  set(kind: number, id: string, hash: Uint8Array): void {
    const { at, found } = this.#find(kind, id);
    if (!found) {
      const end = this.#ids.length * HASH_BYTES;
      if (end === this.#hashes.length) {
        const grown = new Uint8Array(HASH_BYTES * Math.ceil((this.#ids.length + 1) * 1.25));
        grown.set(this.#hashes);
        this.#hashes = grown;
      }
      this.#hashes.copyWithin((at + 1) * HASH_BYTES, at * HASH_BYTES, end);
      this.#ids.splice(at, 0, id);
      this.#kinds.splice(at, 0, kind);
    }
    this.#hashes.set(hash, at * HASH_BYTES);
  }

  /** Forgets an object. */
  delete(kind: number, id: string): void {
    const { at, found } = this.#find(kind, id);
    if (!found) return;
    this.#hashes.copyWithin(at * HASH_BYTES, (at + 1) * HASH_BYTES, this.#ids.length * HASH_BYTES);
    this.#ids.splice(at, 1);
    this.#kinds.splice(at, 1);
  }

  #find(kind: number, id: string): { readonly at: number; readonly found: boolean } {
    let [low, high] = [0, this.#ids.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = compareUtf8(this.#ids[middle] as string, id) || (this.#kinds[middle] as number) - kind;
      if (order === 0) return { at: middle, found: true };
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return { at: low, found: false };
  }
}
