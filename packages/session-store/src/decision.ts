import { guardSafe } from "@tidemark/core";
import type { Kv, KvCallOptions, KvCheck, KvItem, KvKey, KvPage, KvRange, Partition } from "@tidemark/kv";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";

/**
 * What one step changes. `checks` are what it rests on: if they no longer hold when it is written, it is decided
 * anew from what is stored then.
 */
export interface Decision<Result> {
  readonly checks: readonly KvCheck[];
  readonly puts: readonly KvItem[];
  readonly deletes: readonly KvKey[];
  readonly result: Result;
}

/** One partition, to read. */
export interface View {
  readonly partition: Partition;
  get(keys: readonly KvKey[]): Promise<(Uint8Array | undefined)[]>;
  scan(range: KvRange): Promise<KvPage>;
}

/** What {@link runDecision} takes beside its two functions. */
export interface RunDecisionOptions extends KvCallOptions {
  /** How often it is decided before it is `BUSY`. @defaultValue 16 */
  readonly attemptsMax?: number;
}

/** A decision that changes nothing: what was read is the answer. */
export function nothing<Result>(result: Result): Decision<Result> {
  return { checks: [], puts: [], deletes: [], result };
}

/**
 * Reads, decides and writes, anew for as long as others change what the decision rests on.
 *
 * `decide` is pure: the time it is given was read once for this attempt, from the clock of the store. A decision
 * without writes is its result, and is not sent. Failures of the key-value store come as {@link SessionStoreError}s.
 *
 * @throws {@link SessionStoreError} `BUSY` after `attemptsMax` attempts; nothing was written.
 */
export async function runDecision<Snapshot, Result>(
  kv: Kv,
  partition: Partition,
  read: (view: View) => Promise<Snapshot>,
  decide: (snapshot: Snapshot, nowMs: number) => Decision<Result>,
  { attemptsMax = 16, ...options }: RunDecisionOptions = {},
): Promise<Result> {
  guardSafe(attemptsMax, "attemptsMax", 1);
  const view = viewOf(kv, partition, options);
  try {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const [snapshot, nowMs] = await Promise.all([read(view), kv.nowMs()]);
      const { checks, puts, deletes, result } = decide(snapshot, nowMs);
      if (puts.length === 0 && deletes.length === 0) return result;
      const { committed } = await kv.commit(partition, { checks, puts, deletes }, options);
      if (committed) return result;
    }
  } catch (error) {
    throw asSessionStoreError(error);
  }
  throw new SessionStoreError("BUSY", `Cannot write to ${partition}: others changed it ${attemptsMax} times`);
}

/** A partition of a store, to read. */
export function viewOf(kv: Kv, partition: Partition, options: KvCallOptions = {}): View {
  return {
    partition,
    get: (keys) => kv.get(partition, keys, options),
    scan: (range) => kv.scan(partition, range, options),
  };
}
