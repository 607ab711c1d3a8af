import { guardSafe, type Hasher, nobleHasher } from "@tidemark/core";
import type { Kv } from "@tidemark/kv";
import { ExpiryIndex } from "./expiry-index.ts";
import { StreamRemoval } from "./stream-removal.ts";
import { StreamStore } from "./stream-store.ts";

/** What {@link sweepDurableStreams} takes. */
export interface SweepOptions {
  readonly kv: Kv;
  /** That of the handler. @defaultValue "durable-streams" */
  readonly namespace?: string;
  /** How many streams to look at, at most. @defaultValue 1,000 */
  readonly limit?: number;
  /** That of the handler. @defaultValue `nobleHasher` */
  readonly hasher?: Hasher;
}

/**
 * Removes what streams that have expired left behind. They are not there for anybody from the moment they expire; their
 * rows are, until this is called, or something is created at their path. Any number of processes may do it, each minute or so.
 *
 * @returns How many it looked at: with `limit`, there may be more.
 */
export async function sweepDurableStreams(options: SweepOptions): Promise<number> {
  const { kv, namespace = "durable-streams", limit = 1_000, hasher = nobleHasher } = options;
  guardSafe(limit, "limit", 1);
  const store = new StreamStore({ kv, namespace, hasher, onChanged: () => {} });
  return new StreamRemoval({ store, index: new ExpiryIndex(kv, namespace), onError: () => {} }).sweep(limit);
}
