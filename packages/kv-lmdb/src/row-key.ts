import type { KvKey, Partition } from "@tidemark/kv";

const utf8 = new TextEncoder();

/** Bytes before the name of the partition. */
const LENGTH_BYTES = 2;

/**
 * The bytes that every key of a partition begins with in LMDB.
 *
 * | offset | bytes | type | field          | notes                                  |
 * | -----: | ----: | :--- | :------------- | :------------------------------------- |
 * |      0 |     2 | u16  | `nameBytes`    | big-endian, 1 to 512                   |
 * |      2 |     n | -    | `name`         | the name of the partition in UTF-8     |
 * |    2+n |     - | -    | key            | follows here; 1 to 1,024 bytes         |
 *
 * The length comes first, so that no name is the beginning of another's rows; within a partition only the key
 * differs, so LMDB's order of bytes is the order of keys. At most 1,538 bytes: LMDB takes 1,978. What begins with two
 * zeros belongs to the store itself.
 */
export function rowPrefix(partition: Partition): Uint8Array {
  const name = utf8.encode(partition);
  const prefix = new Uint8Array(LENGTH_BYTES + name.length);
  prefix[0] = name.length >> 8;
  prefix[1] = name.length & 0xff;
  prefix.set(name, LENGTH_BYTES);
  return prefix;
}

/** The key of a row in LMDB. */
export function rowKey(prefix: Uint8Array, key: KvKey): Uint8Array {
  const row = new Uint8Array(prefix.length + key.length);
  row.set(prefix);
  row.set(key, prefix.length);
  return row;
}

/** The least bytes above every row of the partition: the last byte of a name in UTF-8 is never 0xff. */
export function afterRows(prefix: Uint8Array): Uint8Array {
  const after = prefix.slice();
  after[after.length - 1]! += 1;
  return after;
}
