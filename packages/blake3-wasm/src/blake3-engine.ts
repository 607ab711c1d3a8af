import { type Blake3Kernel, IV, KEY_AT, LANES_AT } from "./blake3-kernel.ts";

/** Modes of BLAKE3, as the flags that go with every block (§2.2). */
export const MODE: { readonly keyed: 16; readonly deriveContext: 32; readonly deriveMaterial: 64 } = {
  keyed: 16,
  deriveContext: 32,
  deriveMaterial: 64,
};
/** Bytes of a key. */
export const KEY_BYTES = 32;
/** The longest input the engine takes: 256 MiB. */
export const ENGINE_BYTES_MAX: number = 4096 * 65_536;

const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;
const CHUNK_BYTES = 1024;
const PIECE_BYTES = 65_536;
const DIGEST_BYTES = 32;
/** Records of a batch that are hashed before their digests are copied out. */
const RECORDS_MAX = 2048;

// Addresses in the kernel's memory: chaining values of the chunks of one piece, of the pieces, the input with the
// room a lane reads into behind it while another one is longer, the digests of a batch.
const CHUNKS_AT = 0x1000;
const PIECES_AT = 0x2000;
const INPUT_AT = 0x2_2000;
const DIGESTS_AT: number = INPUT_AT + PIECE_BYTES + 2 * CHUNK_BYTES;

/** Pages of 64 KiB the kernel needs. */
export const ENGINE_PAGES: number = Math.ceil((DIGESTS_AT + RECORDS_MAX * DIGEST_BYTES) / 65_536);

/**
 * BLAKE3 over the kernel: owns its memory, and so runs one call at a time. The tree of an input is reduced piece
 * by piece, a piece being 64 chunks, so that memory does not grow with the input.
 */
export class Blake3Engine {
  readonly #kernel: Blake3Kernel;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  /** The context key the kernel holds. */
  #key: Uint8Array | undefined;

  /** @param kernel - With {@link ENGINE_PAGES} of memory, and used by nobody else. */
  constructor(kernel: Blake3Kernel) {
    this.#kernel = kernel;
    this.#bytes = new Uint8Array(this.#kernel.memory.buffer);
    this.#words = new Int32Array(this.#kernel.memory.buffer);
  }

  /** The key that stands for a `derive_key` context. */
  contextKey(context: Uint8Array): Uint8Array {
    const iv = new Uint8Array(KEY_BYTES);
    const view = new DataView(iv.buffer);
    IV.forEach((word, index) => view.setUint32(4 * index, word, true));
    return this.digest(iv, MODE.deriveContext, context, KEY_BYTES);
  }

  /** The first `length` <= 32 bytes of a digest. A context key must not change after its first use. */
  digest(key: Uint8Array, mode: number, input: Uint8Array, length: number): Uint8Array {
    this.#setKey(key, mode);
    const bytes = input.length;
    if (bytes <= CHUNK_BYTES) {
      this.#bytes.set(input, INPUT_AT);
      this.#kernel.one(INPUT_AT, bytes, CHUNKS_AT, 0, mode, CHUNK_START, CHUNK_END | ROOT);
      return this.#bytes.slice(CHUNKS_AT, CHUNKS_AT + length);
    }
    if (bytes <= PIECE_BYTES) {
      const chunks = this.#hashPiece(mode, input, 0);
      this.#reduce(CHUNKS_AT, chunks, mode, ROOT);
      return this.#bytes.slice(CHUNKS_AT, CHUNKS_AT + length);
    }
    const pieces = Math.ceil(bytes / PIECE_BYTES);
    for (let piece = 0; piece < pieces; piece++) {
      const from = piece * PIECE_BYTES;
      const chunks = this.#hashPiece(
        mode,
        input.subarray(from, from + PIECE_BYTES),
        piece * (PIECE_BYTES / CHUNK_BYTES),
      );
      this.#reduce(CHUNKS_AT, chunks, mode, 0);
      this.#bytes.copyWithin(PIECES_AT + piece * DIGEST_BYTES, CHUNKS_AT, CHUNKS_AT + DIGEST_BYTES);
    }
    this.#reduce(PIECES_AT, pieces, mode, ROOT);
    return this.#bytes.slice(PIECES_AT, PIECES_AT + length);
  }

  /**
   * The first `length` <= 32 bytes of the digest of each record, one after the other. Record i begins at
   * `offsets[i]` and ends at `offsets[i + 1]`. Four records of at most 1024 bytes are hashed at once.
   */
  digestMany(
    key: Uint8Array,
    mode: number,
    bytes: Uint8Array,
    offsets: ArrayLike<number>,
    count: number,
    length: number,
  ): Uint8Array {
    const out = new Uint8Array(count * length);
    let record = 0;
    while (record < count) {
      const start = offsets[record] as number;
      let end = record;
      while (
        end < count &&
        end - record < RECORDS_MAX &&
        (offsets[end + 1] as number) - start <= PIECE_BYTES &&
        (offsets[end + 1] as number) - (offsets[end] as number) <= CHUNK_BYTES
      ) {
        end += 1;
      }
      if (end === record) {
        out.set(this.digest(key, mode, bytes.subarray(start, offsets[record + 1]), length), record * length);
        record += 1;
        continue;
      }
      this.#setKey(key, mode);
      this.#bytes.set(bytes.subarray(start, offsets[end]), INPUT_AT);
      this.#hashRecords(mode, offsets, record, end);
      this.#copyDigests(out, record, end, length);
      record = end;
    }
    return out;
  }

  /** Records [first, end), which lie at the input, to the digests. */
  #hashRecords(mode: number, offsets: ArrayLike<number>, first: number, end: number): void {
    const words = this.#words;
    const kernel = this.#kernel;
    const shift = INPUT_AT - (offsets[first] as number);
    for (let lane = 0; lane < 4; lane++) words[LANES_AT / 4 + 8 + lane] = 0;
    let out = DIGESTS_AT;
    let record = first;
    let from = offsets[first] as number;
    for (; record + 4 <= end; record += 4) {
      for (let lane = 0; lane < 4; lane++) {
        const to = offsets[record + lane + 1] as number;
        words[lane] = from + shift;
        words[4 + lane] = to - from;
        from = to;
      }
      kernel.four(out, mode, CHUNK_START, CHUNK_END | ROOT);
      out += 4 * DIGEST_BYTES;
    }
    for (; record < end; record++) {
      const to = offsets[record + 1] as number;
      kernel.one(from + shift, to - from, out, 0, mode, CHUNK_START, CHUNK_END | ROOT);
      from = to;
      out += DIGEST_BYTES;
    }
  }

  #copyDigests(out: Uint8Array, first: number, end: number, length: number): void {
    if (length === DIGEST_BYTES) {
      out.set(this.#bytes.subarray(DIGESTS_AT, DIGESTS_AT + (end - first) * DIGEST_BYTES), first * length);
      return;
    }
    if (length % 4 === 0) {
      const target = new Int32Array(out.buffer);
      const words = length / 4;
      let to = first * words;
      for (let from = DIGESTS_AT / 4; to < end * words; from += DIGEST_BYTES / 4) {
        for (let word = 0; word < words; word++) target[to++] = this.#words[from + word] as number;
      }
      return;
    }
    for (let record = first; record < end; record++) {
      const from = DIGESTS_AT + (record - first) * DIGEST_BYTES;
      out.set(this.#bytes.subarray(from, from + length), record * length);
    }
  }

  /** Chaining values of up to 64 chunks to {@link CHUNKS_AT}; gives how many. */
  #hashPiece(mode: number, input: Uint8Array, firstChunk: number): number {
    const words = this.#words;
    const full = Math.floor(input.length / CHUNK_BYTES);
    const chunks = Math.ceil(input.length / CHUNK_BYTES);
    this.#bytes.set(input, INPUT_AT);
    let chunk = 0;
    for (; chunk + 4 <= full; chunk += 4) {
      for (let lane = 0; lane < 4; lane++) {
        words[lane] = INPUT_AT + (chunk + lane) * CHUNK_BYTES;
        words[4 + lane] = CHUNK_BYTES;
        words[8 + lane] = firstChunk + chunk + lane;
      }
      this.#kernel.four(CHUNKS_AT + chunk * DIGEST_BYTES, mode, CHUNK_START, CHUNK_END);
    }
    for (; chunk < chunks; chunk++) {
      const from = chunk * CHUNK_BYTES;
      const bytes = Math.min(CHUNK_BYTES, input.length - from);
      const out = CHUNKS_AT + chunk * DIGEST_BYTES;
      this.#kernel.one(INPUT_AT + from, bytes, out, firstChunk + chunk, mode, CHUNK_START, CHUNK_END);
    }
    return chunks;
  }

  /**
   * Reduces chaining values to one in place, level by level; an odd one out moves up as it is. That is the tree
   * of BLAKE3 §2.1, whose left subtrees are full.
   */
  #reduce(at: number, count: number, mode: number, root: number): void {
    const words = this.#words;
    let left = count;
    while (left > 1) {
      const pairs = left >> 1;
      const last = left === 2 ? root : 0;
      let pair = 0;
      for (; pair + 4 <= pairs; pair += 4) {
        for (let lane = 0; lane < 4; lane++) {
          words[lane] = at + (pair + lane) * 2 * DIGEST_BYTES;
          words[4 + lane] = 2 * DIGEST_BYTES;
          words[8 + lane] = 0;
        }
        this.#kernel.four(at + pair * DIGEST_BYTES, mode | PARENT, 0, 0);
      }
      for (; pair < pairs; pair++) {
        const from = at + pair * 2 * DIGEST_BYTES;
        this.#kernel.one(from, 2 * DIGEST_BYTES, at + pair * DIGEST_BYTES, 0, mode | PARENT, 0, last);
      }
      if (left % 2 === 1) {
        const from = at + (left - 1) * DIGEST_BYTES;
        this.#bytes.copyWithin(at + pairs * DIGEST_BYTES, from, from + DIGEST_BYTES);
      }
      left = pairs + (left % 2);
    }
  }

  #setKey(key: Uint8Array, mode: number): void {
    if (this.#key === key) return;
    this.#bytes.set(key, KEY_AT);
    // The owner of any other key may overwrite its array.
    this.#key = mode === MODE.deriveMaterial ? key : undefined;
  }
}
