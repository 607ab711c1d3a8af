import { type Kv, KvError } from "@tidemark/kv";

/** Which call {@link interruptingKv} interrupts. */
export interface InterruptOptions {
  /** The number of the call to `get`, `scan` or `commit` that fails, from 1. */
  readonly at: number;
  /** Whether it fails before or after it took effect. */
  readonly when: "before" | "after";
}

/** A store of which one call fails. */
export interface InterruptingKv extends Kv {
  /** Calls to `get`, `scan` and `commit` so far. */
  readonly callCount: number;
  /** Whether the call to fail has come. */
  readonly interrupted: boolean;
}

/**
 * Makes one call of a store fail as `KV_UNAVAILABLE`: before it reached the store (`committed: "no"`), or after it took
 * effect, with its answer lost (`committed: "unknown"`). All other calls pass. Whoever runs the same steps with every
 * `at` in turn, in both ways, has tried a crash at every place: with an `at` that was not reached, the matrix ends.
 *
 * @example
 * ```ts
 * const kv = interruptingKv(openMemoryKv(), { at: 2, when: "after" });
 * const key = Uint8Array.of(1);
 * await kv.get("p", [key]);
 * await assert.rejects(kv.commit("p", { puts: [{ key, value: key }] }), { code: "KV_UNAVAILABLE", committed: "unknown" });
 * assert.deepEqual(await kv.get("p", [key]), [key]);
 * ```
 */
export function interruptingKv(kv: Kv, { at, when }: InterruptOptions): InterruptingKv {
  let calls = 0;
  const call = async <Result>(make: () => Promise<Result>, what: string): Promise<Result> => {
    calls += 1;
    if (calls !== at) return make();
    if (when === "before") throw unavailable(what, "no");
    await make();
    throw unavailable(what, "unknown");
  };
  const watch = kv.watch?.bind(kv);
  return {
    capabilities: kv.capabilities,
    get callCount() {
      return calls;
    },
    get interrupted() {
      return calls >= at;
    },
    nowMs: () => kv.nowMs(),
    get: (...given) => call(() => kv.get(...given), "get()"),
    scan: (...given) => call(() => kv.scan(...given), "scan()"),
    commit: (...given) => call(() => kv.commit(...given), "commit()"),
    ...(watch === undefined ? {} : { watch }),
    close: () => kv.close(),
    [Symbol.asyncDispose]: () => kv.close(),
  };
}

function unavailable(what: string, committed: "no" | "unknown"): KvError {
  const message = `Cannot answer ${what}: it was interrupted ${committed === "no" ? "before" : "after"} it took effect`;
  return new KvError("KV_UNAVAILABLE", message, { committed });
}
