import { nobleHasher, type Hasher } from "@tidemark/core";
import { Hasher as JitHasher } from "blake3-jit";

/** Contexts whose state is kept: more than a program names, so that a caller who makes them up cannot grow it. */
const CONTEXTS_MAX = 64;
/** blake3-jit is wrong above it for inputs of more than one chunk; the reference takes over. */
const JIT_LENGTH_MAX = 64;
const KEY_BYTES = 32;

interface KeyedState {
  /** The key the state was made of: an array can be overwritten by its owner. */
  readonly key: Uint8Array;
  readonly state: JitHasher;
}

/**
 * A {@link Hasher} over blake3-jit in plain JavaScript: for hosts without WebAssembly SIMD, and for what the kernel
 * does not take. The state of a context is made once and reset; that of a key lives as long as the caller's array.
 */
export function createJitHasher(): Hasher {
  const contexts = new Map<string, JitHasher>();
  const keys = new WeakMap<Uint8Array, KeyedState>();
  return {
    digest(context, bytes, length = 32) {
      if (length > JIT_LENGTH_MAX) return nobleHasher.digest(context, bytes, length);
      let state = contexts.get(context);
      if (state === undefined) {
        state = JitHasher.newDeriveKey(context);
        if (contexts.size === CONTEXTS_MAX) contexts.clear();
        contexts.set(context, state);
      }
      return state.reset().update(bytes).finalize(length);
    },
    keyedDigest(key, bytes, length = 32) {
      if (length > JIT_LENGTH_MAX) return nobleHasher.keyedDigest(key, bytes, length);
      let known = keys.get(key);
      if (known === undefined || !sameKey(known.key, key)) {
        if (key.length !== KEY_BYTES) throw new RangeError(`A key must have 32 bytes: ${key.length}`);
        // A copy, also because blake3-jit refuses a key that does not start at a multiple of four.
        const own = key.slice();
        known = { key: own, state: JitHasher.newKeyed(own) };
        keys.set(key, known);
      }
      return known.state.reset().update(bytes).finalize(length);
    },
  };
}

function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < KEY_BYTES; i++) if (a[i] !== b[i]) return false;
  return true;
}
