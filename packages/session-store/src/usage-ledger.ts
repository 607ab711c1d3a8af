import { guardSafe } from "@tidemark/core";
import { guardId } from "./limits.ts";

/** Counts by name: tokens, requests, whatever a provider bills. Whole numbers from 0. */
export type UsageCounts = { readonly [name: string]: number };

/** What one source used of one model: a delta in a commit, a sum in a head. */
export interface UsageEntry {
  /** Who used it: the agent itself, a tool, a title maker. */
  readonly source: string;
  readonly model: string;
  readonly counts: UsageCounts;
}

/**
 * The sums of entries, one for each (source, model), in the order in which they first came.
 *
 * @throws `RangeError` if a count is not a whole number from 0, or a sum would pass 2^53-1.
 *
 * @example
 * ```ts
 * const turn = { source: "agent", model: "m", counts: { input: 5, output: 2 } };
 * const [sum] = mergeUsage([turn], [{ ...turn, counts: { input: 1 } }]);
 * assert.deepEqual(sum, { source: "agent", model: "m", counts: { input: 6, output: 2 } });
 * ```
 */
export function mergeUsage(ledger: readonly UsageEntry[], deltas: readonly UsageEntry[]): UsageEntry[] {
  const sums = new Map<string, UsageEntry>();
  for (const { source, model, counts } of [...ledger, ...deltas]) {
    guardId(source, "source");
    guardId(model, "model");
    const key = JSON.stringify([source, model]);
    sums.set(key, { source, model, counts: addCounts(sums.get(key)?.counts ?? {}, counts) });
  }
  return [...sums.values()];
}

function addCounts(sum: UsageCounts, delta: UsageCounts): UsageCounts {
  const counts = new Map(Object.entries(sum));
  for (const [name, count] of Object.entries(delta)) {
    guardSafe(count, `usage of ${name}`);
    counts.set(name, guardSafe((counts.get(name) ?? 0) + count, `the sum of ${name}`));
  }
  return Object.fromEntries(counts);
}
