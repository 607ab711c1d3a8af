/** Types a local can have. */
export type WasmType = "i32" | "v128";

const TYPE_CODE: { readonly i32: 0x7f; readonly v128: 0x7b } = { i32: 0x7f, v128: 0x7b };

/** SIMD opcodes, behind the prefix 0xfd. WebAssembly 2.0, appendix "Index of Instructions". */
const SIMD = {
  load: 0,
  load32Splat: 9,
  store: 11,
  constant: 12,
  shuffle: 13,
  splat8: 15,
  splat32: 17,
  replaceLane32: 28,
  greater8: 39,
  greater32: 59,
  or: 80,
  and: 78,
  xor: 81,
  bitselect: 82,
  anyTrue: 83,
  shiftLeft32: 171,
  shiftRight32: 173,
  add32: 174,
  subtract32: 177,
  min32: 182,
  max32: 184,
} as const;

/**
 * The body of one function under construction: each method appends one instruction. Just what the BLAKE3 kernel
 * needs, so that its bytes are made of readable source instead of being shipped as a blob.
 */
export class WasmCode {
  readonly #params: number;
  readonly #locals: WasmType[] = [];
  readonly #bytes: number[] = [];

  /** @param params - How many i32 parameters the function takes: locals 0 to `params - 1`. */
  constructor(params: number) {
    this.#params = params;
  }

  /** Declares a local and gives its index. */
  local(type: WasmType): number {
    return this.#params + this.#locals.push(type) - 1;
  }

  /** Declares `count` locals. */
  localArray(type: WasmType, count: number): number[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  get(local: number): this {
    return this.#put(0x20, ...leb(local));
  }

  set(local: number): this {
    return this.#put(0x21, ...leb(local));
  }

  tee(local: number): this {
    return this.#put(0x22, ...leb(local));
  }

  i32(value: number): this {
    return this.#put(0x41, ...signedLeb(value));
  }

  /** Loads an i32 from a constant address. */
  load32(address: number): this {
    return this.i32(0).#put(0x28, 2, ...leb(address));
  }

  i32Add(): this {
    return this.#put(0x6a);
  }

  i32Subtract(): this {
    return this.#put(0x6b);
  }

  i32Or(): this {
    return this.#put(0x72);
  }

  i32Xor(): this {
    return this.#put(0x73);
  }

  i32RotateLeft(): this {
    return this.#put(0x77);
  }

  /** Loads an i32 from the address on the stack plus `offset`. */
  loadWord(offset: number): this {
    return this.#put(0x28, 2, ...leb(offset));
  }

  /** Stores an i32 to the address below plus `offset`. */
  storeWord(offset: number): this {
    return this.#put(0x36, 2, ...leb(offset));
  }

  i32Less(): this {
    return this.#put(0x48);
  }

  i32Greater(): this {
    return this.#put(0x4a);
  }

  /** Of the two below: the first if the i32 on top is not 0. */
  select(): this {
    return this.#put(0x1b);
  }

  /** Repeats `body` while it leaves something other than 0. */
  repeat(body: () => void): this {
    this.#put(0x03, 0x40);
    body();
    return this.#put(0x0d, 0, 0x0b);
  }

  /** Runs `body` if the i32 on the stack is not 0. */
  when(body: () => void): this {
    this.#put(0x04, 0x40);
    body();
    return this.#put(0x0b);
  }

  /** Loads 16 bytes from the address on the stack plus `offset`. */
  load(offset: number): this {
    return this.#simd(SIMD.load, 0, ...leb(offset));
  }

  /** Loads 4 bytes from a constant address into every lane. */
  load32Splat(address: number): this {
    return this.i32(0).#simd(SIMD.load32Splat, 2, ...leb(address));
  }

  /** Stores 16 bytes to the address below plus `offset`. */
  store(offset: number): this {
    return this.#simd(SIMD.store, 0, ...leb(offset));
  }

  constant(bytes: readonly number[]): this {
    return this.#simd(SIMD.constant, ...bytes);
  }

  /** The same word in every lane. */
  constantWord(word: number): this {
    return this.constantWords([word, word, word, word]);
  }

  constantWords(words: readonly number[]): this {
    return this.constant(
      words.flatMap((word) => [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24]),
    );
  }

  /** Picks 16 of the 32 bytes of two vectors. */
  shuffle(bytes: readonly number[]): this {
    return this.#simd(SIMD.shuffle, ...bytes);
  }

  /** Picks 4 of the 8 words of two vectors. */
  shuffleWords(words: readonly number[]): this {
    return this.shuffle(words.flatMap((word) => [0, 1, 2, 3].map((byte) => word * 4 + byte)));
  }

  replaceLane(lane: number): this {
    return this.#simd(SIMD.replaceLane32, lane);
  }

  /** Any of the instructions without immediates. */
  simd(
    name: Exclude<
      keyof typeof SIMD,
      "load" | "load32Splat" | "store" | "constant" | "shuffle" | "replaceLane32"
    >,
  ): this {
    return this.#simd(SIMD[name]);
  }

  /** The function as an entry of the code section. */
  finish(): number[] {
    const locals = this.#locals.flatMap((type) => [1, TYPE_CODE[type]]);
    const body = [...leb(this.#locals.length), ...locals, ...this.#bytes, 0x0b];
    return [...leb(body.length), ...body];
  }

  #simd(opcode: number, ...immediates: number[]): this {
    return this.#put(0xfd, ...leb(opcode), ...immediates);
  }

  #put(...bytes: number[]): this {
    // One by one: a function is longer than some engines' limit on arguments.
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }
}

/** One exported function that takes i32 parameters and returns nothing. */
export interface WasmFunction {
  readonly name: string;
  readonly params: number;
  /** What {@link WasmCode.finish} gave. */
  readonly code: readonly number[];
}

/** A module of these functions that exports its memory of `pages` * 64 KiB as `memory`. */
export function encodeModule(functions: readonly WasmFunction[], pages: number): Uint8Array<ArrayBuffer> {
  const text = (value: string): number[] => [
    ...leb(value.length),
    ...[...value].map((char) => char.charCodeAt(0)),
  ];
  const section = (id: number, entries: readonly (readonly number[])[]): number[] => {
    const body = [...leb(entries.length), ...entries.flat()];
    return [id, ...leb(body.length), ...body];
  };
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      functions.map(({ params }) => [0x60, ...leb(params), ...Array.from({ length: params }, () => 0x7f), 0]),
    ),
    ...section(
      3,
      functions.map((_, index) => leb(index)),
    ),
    ...section(5, [[1, ...leb(pages), ...leb(pages)]]),
    ...section(7, [
      [...text("memory"), 2, 0],
      ...functions.map(({ name }, index) => [...text(name), 0, ...leb(index)]),
    ]),
    ...section(
      10,
      functions.map(({ code }) => code),
    ),
  ]);
}

function leb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest >= 128) {
    out.push((rest & 127) | 128);
    rest >>>= 7;
  }
  out.push(rest);
  return out;
}

function signedLeb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest > 63 || rest < -64) {
    out.push((rest & 127) | 128);
    rest >>= 7;
  }
  out.push(rest & 127);
  return out;
}
