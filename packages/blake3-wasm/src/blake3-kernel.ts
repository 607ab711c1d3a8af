import { encodeModule, WasmCode } from "./wasm-code.ts";

/** What the compiled kernel exports. */
export interface Blake3Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  /**
   * Hashes one input of at most 1024 bytes (a chunk, a parent, a short record) under the key at {@link KEY_AT} and
   * writes its 32 bytes to `out`. The flags `mode` go with each block, `first` and `last` with the first and last.
   */
  one(
    from: number,
    bytes: number,
    out: number,
    counter: number,
    mode: number,
    first: number,
    last: number,
  ): void;
  /** The same for four inputs in four lanes, taken from {@link LANES_AT}; writes 4 * 32 bytes. */
  four(out: number, mode: number, first: number, last: number): void;
}

/** Four u32 addresses, four u32 lengths, four u32 counters. */
export const LANES_AT = 0;
/** 32 bytes of key. */
export const KEY_AT = 64;

/** Where the last block of an input is copied. */
const BLOCK_AT = 128;

/** BLAKE3 §2.2: the first words of the initialization vector. */
export const IV: readonly number[] = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];
/** BLAKE3 §2.2: how the message words move from one round to the next. */
const PERMUTATION: readonly number[] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const ROUNDS = 7;
/** Rotations by whole bytes are shuffles: one instruction of the machine instead of three. */
const ROTATE_16: readonly number[] = [2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13];
const ROTATE_8: readonly number[] = [1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12];

/** What this file needs of the WebAssembly of any host, whose types are not those of every host. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
  compile(bytes: Uint8Array<ArrayBuffer>): Promise<object>;
}

/** By pages: compiled once, instantiated for each engine. */
const compiled = new Map<number, object>();

/**
 * A fresh instance of the kernel with `pages` * 64 KiB of memory, or `undefined` where WebAssembly or its SIMD is
 * missing or forbidden, as by a content security policy.
 */
export function openBlake3Kernel(pages: number): Blake3Kernel | undefined {
  const api = webAssembly();
  if (api === undefined) return undefined;
  try {
    const module = compiled.get(pages) ?? new api.Module(encodeBlake3Kernel(pages));
    compiled.set(pages, module);
    return new api.Instance(module).exports as Blake3Kernel;
  } catch {
    return undefined;
  }
}

/** Compiles off the main thread, which some browsers insist on; {@link openBlake3Kernel} then only instantiates. */
export async function compileBlake3Kernel(pages: number): Promise<void> {
  const api = webAssembly();
  if (api === undefined || compiled.has(pages)) return;
  try {
    compiled.set(pages, await api.compile(encodeBlake3Kernel(pages)));
  } catch {
    // Not here: openBlake3Kernel() finds that out again, and says so.
  }
}

/** The kernel as a WebAssembly module with 128-bit SIMD. */
export function encodeBlake3Kernel(pages: number): Uint8Array<ArrayBuffer> {
  return encodeModule(
    [
      { name: "one", params: 7, code: encodeOne() },
      { name: "four", params: 4, code: encodeFour() },
    ],
    pages,
  );
}

/** One input, in scalar words: its quarter rounds are a chain of dependent steps that vectors would only delay. */
function encodeOne(): number[] {
  const code = new WasmCode(7);
  const [from, left, out, counter, mode, first, last] = [0, 1, 2, 3, 4, 5, 6];
  const block = code.local("i32");
  const size = code.local("v128");
  const cv = code.localArray("i32", 8);
  const s = code.localArray("i32", 16);
  for (let i = 0; i < 8; i++) code.load32(KEY_AT + 4 * i).set(cv[i] as number);
  code.repeat(() => {
    code.get(from).set(block);
    // The last block is copied, so that the bytes behind the end are zero.
    code.get(left).i32(64).i32Less();
    code.when(() => {
      code.get(left).simd("splat8").set(size).i32(BLOCK_AT).set(block);
      for (let k = 0; k < 64; k += 16) {
        code.get(block);
        loadMasked(code, from, k, size).store(k);
      }
    });
    for (let i = 0; i < 8; i++) code.get(cv[i] as number).set(s[i] as number);
    for (let i = 0; i < 4; i++) code.i32(IV[i] as number).set(s[8 + i] as number);
    code
      .get(counter)
      .set(s[12] as number)
      .i32(0)
      .set(s[13] as number);
    code
      .i32(64)
      .get(left)
      .i32(64)
      .get(left)
      .i32Less()
      .select()
      .set(s[14] as number);
    code.get(mode).get(first).i32Or().i32(0).get(last).i32(64).get(left).i32Less().select().i32Or();
    code.set(s[15] as number);
    eachMix((a, b, c, d, x, y) => {
      const [sa, sb, sc, sd] = [s[a], s[b], s[c], s[d]] as [number, number, number, number];
      mixWords(code, block, sa, sb, sc, sd, x, y);
    });
    for (let i = 0; i < 8; i++)
      code
        .get(s[i] as number)
        .get(s[i + 8] as number)
        .i32Xor()
        .set(cv[i] as number);
    code.i32(0).set(first).get(from).i32(64).i32Add().set(from);
    code.get(left).i32(64).i32Subtract().tee(left).i32(0).i32Greater();
  });
  for (let i = 0; i < 8; i++)
    code
      .get(out)
      .get(cv[i] as number)
      .storeWord(4 * i);
  return code.finish();
}

/** Four inputs: word i of all four is a vector, and the compression is the plain one. */
function encodeFour(): number[] {
  const code = new WasmCode(4);
  const [out, mode, first, last] = [0, 1, 2, 3];
  const from = code.localArray("i32", 4);
  const left = code.local("v128");
  const begun = code.local("v128");
  const t = code.local("v128");
  const size = code.local("v128");
  const cv = code.localArray("v128", 8);
  const s = code.localArray("v128", 16);
  const m = code.localArray("v128", 16);
  for (let lane = 0; lane < 4; lane++) code.load32(LANES_AT + 4 * lane).set(from[lane] as number);
  code
    .i32(0)
    .load(LANES_AT + 16)
    .set(left);
  for (let i = 0; i < 8; i++) code.load32Splat(KEY_AT + 4 * i).set(cv[i] as number);
  code.repeat(() => {
    code.get(left).constantWord(64).simd("min32").constantWord(0).simd("max32").set(size);
    for (let lane = 0; lane < 4; lane++) {
      // The lane's size in every byte.
      code
        .get(size)
        .get(size)
        .shuffle(Array.from({ length: 16 }, () => 4 * lane))
        .set(t);
      for (let k = 0; k < 4; k++) {
        loadMasked(code, from[lane] as number, 16 * k, t).set(m[4 * k + lane] as number);
      }
    }
    for (let k = 0; k < 16; k += 4) transpose(code, m.slice(k, k + 4), s.slice(0, 4));
    for (let i = 0; i < 8; i++) code.get(cv[i] as number).set(s[i] as number);
    for (let i = 0; i < 4; i++) code.constantWord(IV[i] as number).set(s[8 + i] as number);
    code
      .i32(0)
      .load(LANES_AT + 32)
      .set(s[12] as number);
    code.constantWord(0).set(s[13] as number);
    code.get(size).set(s[14] as number);
    // mode | first | (left <= 64 ? last : 0)
    code.get(mode).get(first).i32Or().simd("splat32").get(last).simd("splat32");
    code
      .constantWord(65)
      .get(left)
      .simd("greater32")
      .simd("and")
      .simd("or")
      .set(s[15] as number);
    eachMix((a, b, c, d, x, y) => {
      const [sa, sb, sc, sd] = [s[a], s[b], s[c], s[d]] as [number, number, number, number];
      mix(code, t, sa, sb, sc, sd, m[x] as number, m[y] as number);
    });
    // A lane that had ended keeps its value; an empty input has one block all the same.
    code
      .get(left)
      .constantWord(0)
      .simd("greater32")
      .constantWord(-1)
      .get(begun)
      .simd("xor")
      .simd("or")
      .set(t);
    for (let i = 0; i < 8; i++) {
      const value = cv[i] as number;
      code
        .get(s[i] as number)
        .get(s[i + 8] as number)
        .simd("xor")
        .get(value)
        .get(t)
        .simd("bitselect")
        .set(value);
    }
    code.constantWord(-1).set(begun).i32(0).set(first);
    for (const pointer of from) code.get(pointer).i32(64).i32Add().set(pointer);
    code
      .get(left)
      .constantWord(64)
      .simd("subtract32")
      .tee(left)
      .constantWord(0)
      .simd("greater32")
      .simd("anyTrue");
  });
  for (const half of [0, 4]) {
    const rows = cv.slice(half, half + 4);
    transpose(code, rows, s.slice(0, 4));
    rows.forEach((row, lane) =>
      code
        .get(out)
        .get(row)
        .store(32 * lane + 4 * half),
    );
  }
  return code.finish();
}

/** Calls `visit` for each quarter round: four indices of the state, two of the message. */
function eachMix(visit: (a: number, b: number, c: number, d: number, x: number, y: number) => void): void {
  let words = Array.from({ length: 16 }, (_, i) => i);
  for (let round = 0; round < ROUNDS; round++) {
    const word = (i: number): number => words[i] as number;
    for (let i = 0; i < 4; i++) visit(i, i + 4, i + 8, i + 12, word(2 * i), word(2 * i + 1));
    for (let i = 0; i < 4; i++) {
      visit(i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3), word(8 + 2 * i), word(9 + 2 * i));
    }
    words = PERMUTATION.map((from) => words[from] as number);
  }
}

/** The quarter round on words; the message is read where it lies. */
function mixWords(
  code: WasmCode,
  block: number,
  a: number,
  b: number,
  c: number,
  d: number,
  x: number,
  y: number,
): void {
  const half = (word: number, rotateD: number, rotateB: number): void => {
    code
      .get(a)
      .get(block)
      .loadWord(4 * word)
      .i32Add()
      .get(b)
      .i32Add()
      .tee(a);
    code
      .get(d)
      .i32Xor()
      .i32(32 - rotateD)
      .i32RotateLeft()
      .tee(d);
    code
      .get(c)
      .i32Add()
      .tee(c)
      .get(b)
      .i32Xor()
      .i32(32 - rotateB)
      .i32RotateLeft()
      .set(b);
  };
  half(x, 16, 12);
  half(y, 8, 7);
}

/** The quarter round on whole vectors. */
function mix(
  code: WasmCode,
  t: number,
  a: number,
  b: number,
  c: number,
  d: number,
  x: number,
  y: number,
): void {
  code.get(a).get(x).simd("add32").get(b).simd("add32").set(a);
  code.get(d).get(a).simd("xor").tee(t).get(t).shuffle(ROTATE_16).set(d);
  code.get(c).get(d).simd("add32").set(c);
  rotate(code, t, b, c, 12);
  code.get(a).get(y).simd("add32").get(b).simd("add32").set(a);
  code.get(d).get(a).simd("xor").tee(t).get(t).shuffle(ROTATE_8).set(d);
  code.get(c).get(d).simd("add32").set(c);
  rotate(code, t, b, c, 7);
}

/** b = (b ^ c) rotated right by `bits`. */
function rotate(code: WasmCode, t: number, b: number, c: number, bits: number): void {
  code.get(b).get(c).simd("xor").tee(t).i32(bits).simd("shiftRight32");
  code
    .get(t)
    .i32(32 - bits)
    .simd("shiftLeft32")
    .simd("or")
    .set(b);
}

/** Pushes 16 bytes at `from + offset`, zero from the byte on that `size` (in every byte) counts to. */
function loadMasked(code: WasmCode, from: number, offset: number, size: number): WasmCode {
  code
    .get(from)
    .load(offset)
    .get(size)
    .constant(Array.from({ length: 16 }, (_, i) => offset + i));
  return code.simd("greater8").simd("and");
}

/** Transposes 4 x 4 words in place. */
function transpose(code: WasmCode, rows: readonly number[], scratch: readonly number[]): void {
  const [r0, r1, r2, r3] = rows as [number, number, number, number];
  const [t0, t1, t2, t3] = scratch as [number, number, number, number];
  code.get(r0).get(r1).shuffleWords([0, 4, 1, 5]).set(t0);
  code.get(r2).get(r3).shuffleWords([0, 4, 1, 5]).set(t1);
  code.get(r0).get(r1).shuffleWords([2, 6, 3, 7]).set(t2);
  code.get(r2).get(r3).shuffleWords([2, 6, 3, 7]).set(t3);
  code.get(t0).get(t1).shuffleWords([0, 1, 4, 5]).set(r0);
  code.get(t0).get(t1).shuffleWords([2, 3, 6, 7]).set(r1);
  code.get(t2).get(t3).shuffleWords([0, 1, 4, 5]).set(r2);
  code.get(t2).get(t3).shuffleWords([2, 3, 6, 7]).set(r3);
}

function webAssembly(): WebAssemblyApi | undefined {
  return (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;
}
