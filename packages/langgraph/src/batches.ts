import type { KvItem } from "@tidemark/kv";
import type { CommitLimits } from "@tidemark/session-store";

/** How many bytes of keys and values items have. */
export function bytesOf(items: readonly KvItem[]): number {
  return items.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
}

/** Items in their order, in as few commits as take them. One that alone is too large has a commit of its own. */
export function inBatches(items: readonly KvItem[], limits: CommitLimits): KvItem[][] {
  const batches: KvItem[][] = [];
  let batch: KvItem[] = [];
  let bytes = 0;
  for (const item of items) {
    const itemBytes = bytesOf([item]);
    if (batch.length > 0 && (batch.length >= limits.items || bytes + itemBytes > limits.bytes)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += itemBytes;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
