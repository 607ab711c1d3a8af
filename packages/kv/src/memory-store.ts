import { compareBytes } from "@tidemark/core";
import { type KvBounds, keyText } from "./guards.ts";
import type { KvCommit, KvCommitResult, KvItem, KvKey, KvPage, Partition } from "./kv.ts";
import type { KvBell } from "./kv-watch.ts";
import { PAGE_BYTES_TARGET } from "./limits.ts";

/** What the handles of one store in memory share. Each call happens at once, so that calls are in one order. */
export class MemoryStore {
  readonly #partitions = new Map<Partition, SortedItems>();
  readonly #bells = new Map<KvBell, { readonly partition: Partition; readonly prefix: KvKey }>();

  get(partition: Partition, keys: readonly KvKey[]): (Uint8Array | undefined)[] {
    const items = this.#partitions.get(partition);
    return keys.map((key) => items?.get(key)?.slice());
  }

  scan(partition: Partition, bounds: KvBounds): KvPage {
    return this.#partitions.get(partition)?.page(bounds) ?? { items: [] };
  }

  commit(partition: Partition, { checks = [], puts = [], deletes = [] }: KvCommit): KvCommitResult {
    const items = this.#partitions.get(partition) ?? new SortedItems();
    const failed = checks.findIndex(({ key, value }) => !sameValue(items.get(key), value));
    if (failed !== -1) return { committed: false, failed };
    for (const { key, value } of puts) items.put(key.slice(), value.slice());
    for (const key of deletes) items.delete(key);
    if (items.size === 0) this.#partitions.delete(partition);
    else this.#partitions.set(partition, items);
    this.#ring(partition, [...puts.map(({ key }) => key), ...deletes]);
    return { committed: true };
  }

  hang(bell: KvBell, partition: Partition, prefix: KvKey): void {
    this.#bells.set(bell, { partition, prefix: prefix.slice() });
  }

  remove(bell: KvBell): void {
    this.#bells.delete(bell);
  }

  #ring(partition: Partition, keys: readonly KvKey[]): void {
    for (const [bell, place] of this.#bells) {
      if (place.partition === partition && keys.some((key) => beginsWith(key, place.prefix))) bell.ring();
    }
  }
}

/** The items of a partition: found by key, and sorted once somebody asks for their order. */
class SortedItems {
  readonly #byText = new Map<string, KvItem>();
  /** All items in order; `undefined` after a key came or went. */
  #sorted: KvItem[] | undefined;

  get size(): number {
    return this.#byText.size;
  }

  get(key: KvKey): Uint8Array | undefined {
    return this.#byText.get(keyText(key))?.value;
  }

  put(key: KvKey, value: Uint8Array): void {
    this.#byText.set(keyText(key), { key, value });
    this.#sorted = undefined;
  }

  delete(key: KvKey): void {
    if (this.#byText.delete(keyText(key))) this.#sorted = undefined;
  }

  page({ start, end, reverse, limit }: KvBounds): KvPage {
    this.#sorted ??= [...this.#byText.values()].toSorted((a, b) => compareBytes(a.key, b.key));
    const from = firstNotBelow(this.#sorted, start);
    const to = end === undefined ? this.#sorted.length : firstNotBelow(this.#sorted, end);
    const items: KvItem[] = [];
    let bytes = 0;
    let at = reverse ? to - 1 : from;
    for (; at >= from && at < to; at += reverse ? -1 : 1) {
      if (items.length === limit || bytes >= PAGE_BYTES_TARGET) break;
      const { key, value } = this.#sorted[at]!;
      items.push({ key: key.slice(), value: value.slice() });
      bytes += key.length + value.length;
    }
    if (at < from || at >= to) return { items };
    return { items, next: this.#sorted[reverse ? at + 1 : at]!.key.slice() };
  }
}

/** The index of the first item whose key is not below the bound. */
function firstNotBelow(items: readonly KvItem[], bound: Uint8Array): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(items[middle]!.key, bound) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sameValue(stored: Uint8Array | undefined, wanted: Uint8Array | undefined): boolean {
  if (stored === undefined || wanted === undefined) return stored === wanted;
  return compareBytes(stored, wanted) === 0;
}

function beginsWith(key: KvKey, prefix: KvKey): boolean {
  return key.length >= prefix.length && compareBytes(key.subarray(0, prefix.length), prefix) === 0;
}
