import type { KvBell, KvKey, Partition } from "@tidemark/kv";
import { every } from "./node/platform.ts";
import type { PackedCommit } from "./packed-commit.ts";

/** What the watches of one handle need to know of the store. */
export interface WatchesOptions {
  /** The number of the newest transaction, of whatever process. */
  readonly lastTransaction: () => number;
  readonly pollMs: number;
}

/**
 * The watches of one handle. Commits of the handle ring those whose prefix they touch, at once. For all others, those
 * of other handles and processes, the number of the newest transaction is looked at every `pollMs`, while somebody
 * watches: it says that something was committed, not where, so every watch is rung.
 */
export class Watches {
  readonly #options: WatchesOptions;
  readonly #bells = new Map<KvBell, { readonly partition: Partition; readonly prefix: KvKey }>();
  #endPolls = (): void => {};
  #seen = 0;

  constructor(options: WatchesOptions) {
    this.#options = options;
  }

  hang(bell: KvBell, partition: Partition, prefix: KvKey): void {
    if (this.#bells.size === 0) {
      this.#seen = this.#options.lastTransaction();
      this.#endPolls = every(this.#options.pollMs, () => this.#poll());
    }
    this.#bells.set(bell, { partition, prefix: prefix.slice() });
  }

  remove(bell: KvBell): void {
    this.#bells.delete(bell);
    if (this.#bells.size === 0) this.#endPolls();
  }

  /** Own commits, on the disk by transaction `transaction`. */
  committed(transaction: number, commits: readonly PackedCommit[]): void {
    // Nobody else came between: what was committed is known in full.
    if (transaction === this.#seen + 1) this.#seen = transaction;
    for (const [bell, place] of this.#bells) {
      if (commits.some((commit) => touches(commit, place))) bell.ring();
    }
  }

  /** Ends all. */
  close(): void {
    for (const bell of this.#bells.keys()) bell.finish();
  }

  #poll(): void {
    const newest = this.#options.lastTransaction();
    if (newest === this.#seen) return;
    this.#seen = newest;
    for (const bell of this.#bells.keys()) bell.ring();
  }
}

function touches(
  { partition, prefixBytes, puts, deletes }: PackedCommit,
  place: { readonly partition: Partition; readonly prefix: KvKey },
): boolean {
  if (partition !== place.partition) return false;
  const under = (key: KvKey): boolean =>
    key.length >= prefixBytes + place.prefix.length &&
    place.prefix.every((byte, at) => key[prefixBytes + at] === byte);
  return puts.some(({ key }) => under(key)) || deletes.some(under);
}
