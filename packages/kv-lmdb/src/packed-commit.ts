import type { KvCheck, KvCommit, KvItem, KvKey, Partition } from "@tidemark/kv";
import { scratchBytes } from "./node/platform.ts";
import { rowPrefix } from "./row-key.ts";

/** A commit copied out of its caller's arrays, with the keys that LMDB knows. */
export interface PackedCommit {
  readonly partition: Partition;
  /** How many bytes of each key name the partition. */
  readonly prefixBytes: number;
  readonly checks: readonly KvCheck[];
  readonly puts: readonly KvItem[];
  readonly deletes: readonly KvKey[];
  /** How many keys it writes. */
  readonly writes: number;
  /** Of all keys and values. */
  readonly bytes: number;
}

/** Copies the commit into one piece of memory: lmdb asks for the address of each, once. */
export function packCommit(partition: Partition, commit: KvCommit): PackedCommit {
  const { checks = [], puts = [], deletes = [] } = commit;
  const prefix = rowPrefix(partition);
  let bytes = 0;
  for (const { key, value } of checks) bytes += prefix.length + key.length + (value?.length ?? 0);
  for (const { key, value } of puts) bytes += prefix.length + key.length + value.length;
  for (const key of deletes) bytes += prefix.length + key.length;
  const target = scratchBytes(bytes);
  let at = 0;
  const copy = (piece: Uint8Array, start: number): Uint8Array => {
    target.set(piece, at);
    at += piece.length;
    return new Uint8Array(target.buffer, target.byteOffset + start, at - start);
  };
  const copyKey = (key: KvKey): Uint8Array => {
    const start = at;
    copy(prefix, start);
    return copy(key, start);
  };
  return {
    partition,
    prefixBytes: prefix.length,
    checks: checks.map(({ key, value }) => ({ key: copyKey(key), value: value && copy(value, at) })),
    puts: puts.map(({ key, value }) => ({ key: copyKey(key), value: copy(value, at) })),
    deletes: deletes.map(copyKey),
    writes: puts.length + deletes.length,
    bytes,
  };
}
