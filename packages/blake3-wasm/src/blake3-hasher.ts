import type { Hasher } from "@tidemark/core";
import { Blake3Engine, ENGINE_BYTES_MAX, ENGINE_PAGES, KEY_BYTES, MODE } from "./blake3-engine.ts";
import { compileBlake3Kernel, openBlake3Kernel } from "./blake3-kernel.ts";
import { createJitHasher } from "./jit-hasher.ts";

/** The seam of core, and batches. */
export interface Blake3Hasher extends Hasher {
  /** `wasm` where the host runs WebAssembly SIMD, else `portable`: the same bytes, three to ten times slower. */
  readonly engine: "wasm" | "portable";
  /**
   * `digest` of many records at once, one result after the other: record i is `bytes` from `offsets[i]` to
   * `offsets[i + 1]`. Four records of at most 1024 bytes share the work of one.
   *
   * @param offsets - `count + 1` ascending offsets into `bytes`.
   * @param length - Bytes of each result. @defaultValue 32
   * @throws `RangeError` if an offset lies before the one before it or behind the end.
   */
  digestMany(
    context: string,
    bytes: Uint8Array,
    offsets: ArrayLike<number>,
    count: number,
    length?: number,
  ): Uint8Array;
}

/** Contexts whose key is kept: more than a program names, so that a caller who makes them up cannot grow it. */
const CONTEXTS_MAX = 64;

const utf8 = new TextEncoder();

/**
 * Compiles the kernel off the main thread. Optional on Node, where {@link createBlake3Hasher} compiles it in well
 * under a millisecond; a browser may refuse to do that at once and would fall back to the portable engine.
 */
export function loadBlake3(): Promise<void> {
  return compileBlake3Kernel(ENGINE_PAGES);
}

/**
 * A {@link Hasher} with the bytes of `nobleHasher` at more than ten times its speed. It owns the memory of one
 * WebAssembly instance, 320 KiB: make one and share it.
 *
 * @example
 * ```ts
 * const hasher = createBlake3Hasher();
 * const bytes = Uint8Array.of(1, 2, 3);
 * assert.equal(hasher.digest("tidemark 2026 state v1", bytes).length, 32);
 * assert.equal(hasher.keyedDigest(new Uint8Array(32), bytes, 16).length, 16);
 * ```
 */
export function createBlake3Hasher(): Blake3Hasher {
  const portable = createJitHasher();
  const kernel = openBlake3Kernel(ENGINE_PAGES);
  if (kernel === undefined) {
    return { ...portable, engine: "portable", digestMany: (...batch) => digestEach(portable, ...batch) };
  }
  const engine = new Blake3Engine(kernel);
  const contexts = new Map<string, Uint8Array>();
  const contextKey = (context: string): Uint8Array => {
    let key = contexts.get(context);
    if (key === undefined) {
      key = engine.contextKey(utf8.encode(context));
      if (contexts.size === CONTEXTS_MAX) contexts.clear();
      contexts.set(context, key);
    }
    return key;
  };
  return {
    engine: "wasm",
    digest(context, bytes, length = 32) {
      // Extended output is nothing we use: it is not worth a kernel.
      if (length > 32 || bytes.length > ENGINE_BYTES_MAX) return portable.digest(context, bytes, length);
      return engine.digest(contextKey(context), MODE.deriveMaterial, bytes, length);
    },
    keyedDigest(key, bytes, length = 32) {
      if (key.length !== KEY_BYTES) throw new RangeError(`A key must have 32 bytes: ${key.length}`);
      if (length > 32 || bytes.length > ENGINE_BYTES_MAX) return portable.keyedDigest(key, bytes, length);
      return engine.digest(key, MODE.keyed, bytes, length);
    },
    digestMany(context, bytes, offsets, count, length = 32) {
      if (length > 32) return digestEach(portable, context, bytes, offsets, count, length);
      guardOffsets(bytes, offsets, count);
      return engine.digestMany(contextKey(context), MODE.deriveMaterial, bytes, offsets, count, length);
    },
  };
}

function digestEach(
  hasher: Hasher,
  context: string,
  bytes: Uint8Array,
  offsets: ArrayLike<number>,
  count: number,
  length: number = 32,
): Uint8Array {
  guardOffsets(bytes, offsets, count);
  const out = new Uint8Array(count * length);
  for (let record = 0; record < count; record++) {
    out.set(
      hasher.digest(context, bytes.subarray(offsets[record], offsets[record + 1]), length),
      record * length,
    );
  }
  return out;
}

function guardOffsets(bytes: Uint8Array, offsets: ArrayLike<number>, count: number): void {
  let previous = 0;
  for (let record = 0; record <= count; record++) {
    const offset = offsets[record];
    // Written so that a missing one and NaN fail it too.
    if (!(offset !== undefined && offset >= previous && offset <= bytes.length)) {
      throw new RangeError(
        `Cannot hash record ${record}: ${offset} is no offset from ${previous} to ${bytes.length}`,
      );
    }
    previous = offset;
  }
}
