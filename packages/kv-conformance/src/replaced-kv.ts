import type { Kv } from "@tidemark/kv";

/**
 * The same store, some of whose calls are others: for tests of what happens between two calls, or when one fails.
 *
 * @example
 * ```ts
 * const kv = replacedKv(openMemoryKv(), { nowMs: () => Promise.resolve(7) });
 * assert.equal(await kv.nowMs(), 7);
 * ```
 */
export function replacedKv(kv: Kv, calls: Partial<Kv>): Kv {
  const watch = kv.watch?.bind(kv);
  return {
    capabilities: kv.capabilities,
    nowMs: () => kv.nowMs(),
    get: (...given) => kv.get(...given),
    scan: (...given) => kv.scan(...given),
    commit: (...given) => kv.commit(...given),
    ...(watch === undefined ? {} : { watch }),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
    ...calls,
  };
}
