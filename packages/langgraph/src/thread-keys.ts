import { decodeKey, encodeKey, type KvKey, type KvRange, prefixRange } from "@tidemark/kv";

/**
 * Keys in the partition of a thread. The rows of a checkpoint lie together, its writes after it, and the checkpoints
 * of a namespace in the order of their ids, which is that of their making.
 *
 * | key                                          | row                                       |
 * | :------------------------------------------- | :---------------------------------------- |
 * | `("thread")`                                 | the register: whether the thread is alive |
 * | `("part", digest)`                           | a part of long values                     |
 * | `("checkpoint", namespace, id, 0)`           | a checkpoint                              |
 * | `("checkpoint", namespace, id, 1, task)`     | the writes of a task to it                |
 */
export const REGISTER_KEY: KvKey = encodeKey(["thread"]);

/** All rows of all checkpoints. */
export function checkpointsRange(): KvRange {
  return prefixRange(["checkpoint"]);
}

/** All rows but the register. */
export const ROW_RANGES: readonly KvRange[] = [prefixRange(["checkpoint"]), prefixRange(["part"])];

/** The first key behind the rows of a namespace. */
export function afterNamespace(namespace: string): KvKey {
  const prefix = encodeKey(["checkpoint", namespace]);
  const after = new Uint8Array(prefix.length + 1);
  after.set(prefix);
  // No part of a tuple begins with this byte.
  after[prefix.length] = 0xff;
  return after;
}

/** The rows of a namespace. */
export function namespaceRange(namespace: string): KvRange {
  return prefixRange(["checkpoint", namespace]);
}

/** The rows of one checkpoint. */
export function checkpointRange(namespace: string, id: string): KvRange {
  return prefixRange(["checkpoint", namespace, id]);
}

/** The first key that a checkpoint of this id can have. */
export function checkpointStart(namespace: string, id: string): KvKey {
  return encodeKey(["checkpoint", namespace, id]);
}

/** Where the record of a checkpoint is. */
export function checkpointKey(namespace: string, id: string): KvKey {
  return encodeKey(["checkpoint", namespace, id, 0]);
}

/** Where the writes of a task to a checkpoint are. */
export function writesKey(namespace: string, id: string, task: string): KvKey {
  return encodeKey(["checkpoint", namespace, id, 1, task]);
}

/** Where a part is. */
export function partKey(digest: Uint8Array): KvKey {
  return encodeKey(["part", digest]);
}

/** What a key of {@link checkpointsRange} is of; without a task it is the checkpoint itself. */
export function parseCheckpointKey(key: KvKey): { namespace: string; id: string; task: string | undefined } {
  const [, namespace, id, , task] = decodeKey(key) as [string, string, string, number, string?];
  return { namespace, id, task };
}
