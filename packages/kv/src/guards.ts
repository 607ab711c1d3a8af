import { compareBytes, guardText } from "@tidemark/core";
import { KvError } from "./errors.ts";
import type { KvCapabilities, KvCommit, KvKey, KvRange, Partition } from "./kv.ts";
import {
  GET_KEYS_MAX,
  KEY_BYTES_MAX,
  PARTITION_BYTES_MAX,
  SCAN_ITEMS_DEFAULT,
  SCAN_ITEMS_MAX,
} from "./limits.ts";

const utf8 = new TextEncoder();

/** A range as a backend walks it. */
export interface KvBounds {
  /** The first key, inclusive; empty for the first of all. */
  readonly start: Uint8Array;
  /** Where to stop, exclusive; `undefined` for the end of the partition. */
  readonly end: Uint8Array | undefined;
  readonly reverse: boolean;
  readonly limit: number;
}

/** What every backend refuses of a `get`, in the order of the contract. */
export function guardGet(capabilities: KvCapabilities, partition: Partition, keys: readonly KvKey[]): void {
  guardPartitionType(partition);
  if (keys.length > GET_KEYS_MAX) {
    throw new RangeError(`keys must be at most ${GET_KEYS_MAX}: ${keys.length}`);
  }
  for (const key of keys) guardKeyType(key, 1);
  if (keys.length > 1 && !capabilities.scan) throw unsupported(capabilities, "read several keys at once");
  guardPartitionBytes(partition);
  for (const key of keys) guardKeyBytes(key);
}

/** What every backend refuses of a `scan`, and the range in the form to walk. */
export function guardScan(capabilities: KvCapabilities, partition: Partition, range: KvRange): KvBounds {
  guardPartitionType(partition);
  const { prefix, start, end, reverse = false, limit = SCAN_ITEMS_DEFAULT } = range;
  for (const bound of [prefix, start, end]) if (bound !== undefined) guardKeyType(bound, 0);
  if (!Number.isInteger(limit) || limit < 1 || limit > SCAN_ITEMS_MAX) {
    throw new RangeError(`limit must be an integer from 1 to ${SCAN_ITEMS_MAX}: ${limit}`);
  }
  if (!capabilities.scan) throw unsupported(capabilities, "scan");
  guardPartitionBytes(partition);
  for (const bound of [prefix, start, end]) if (bound !== undefined) guardKeyBytes(bound);
  return { ...boundsOf(prefix, start, end), reverse, limit };
}

/** What every backend refuses of a `watch`. */
export function guardWatch(partition: Partition, prefix: KvKey): void {
  guardPartitionType(partition);
  guardKeyType(prefix, 0);
  guardPartitionBytes(partition);
  guardKeyBytes(prefix);
}

/** What every backend refuses of a `commit`, in the order of the contract. */
export function guardCommit(capabilities: KvCapabilities, partition: Partition, commit: KvCommit): void {
  guardPartitionType(partition);
  const { checks = [], puts = [], deletes = [] } = commit;
  const values: Uint8Array[] = [];
  for (const { key, value } of checks) {
    guardKeyType(key, 1);
    if (value !== undefined) values.push(guardBytes(value, "value"));
  }
  for (const { key, value } of puts) {
    guardKeyType(key, 1);
    values.push(guardBytes(value, "value"));
  }
  for (const key of deletes) guardKeyType(key, 1);
  const checked = distinctKeys(
    checks.map(({ key }) => key),
    "checks",
  );
  const written = distinctKeys([...puts.map(({ key }) => key), ...deletes], "puts and deletes");
  guardPartitionBytes(partition);
  guardCommitBytes(capabilities, commit, values, new Set([...checked, ...written]).size);
}

function guardCommitBytes(
  capabilities: KvCapabilities,
  { checks = [], puts = [], deletes = [] }: KvCommit,
  values: readonly Uint8Array[],
  keys: number,
): void {
  let bytes = 0;
  for (const key of [...checks.map((check) => check.key), ...puts.map((put) => put.key), ...deletes]) {
    guardKeyBytes(key);
    bytes += key.length;
  }
  for (const value of values) {
    guardSize("a value", value.length, capabilities.valueBytesMax, "bytes");
    bytes += value.length;
  }
  guardSize("a commit", keys, capabilities.keysPerCommitMax, "keys");
  guardSize("a commit", bytes, capabilities.commitBytesMax, "bytes");
}

/** The prefix, as bounds, with those that were given: the greatest start, the least end. */
function boundsOf(
  prefix: Uint8Array | undefined,
  start: Uint8Array | undefined,
  end: Uint8Array | undefined,
): { start: Uint8Array; end: Uint8Array | undefined } {
  const starts = [prefix, start].filter((bound) => bound !== undefined).toSorted(compareBytes);
  const ends = [prefix === undefined ? undefined : afterPrefix(prefix), end]
    .filter((bound) => bound !== undefined)
    .toSorted(compareBytes);
  return { start: starts.at(-1) ?? new Uint8Array(0), end: ends[0] };
}

/** The least bytes above everything that begins with the prefix; `undefined` if nothing is. */
function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  const last = prefix.findLastIndex((byte) => byte !== 0xff);
  if (last === -1) return undefined;
  const after = prefix.slice(0, last + 1);
  after[last]! += 1;
  return after;
}

/** The keys as texts to compare by. @throws `RangeError` if one is there twice. */
function distinctKeys(keys: readonly KvKey[], where: string): Set<string> {
  const distinct = new Set<string>();
  for (const key of keys) distinct.add(keyText(key));
  if (distinct.size !== keys.length) throw new RangeError(`A key must be in ${where} at most once`);
  return distinct;
}

/** A key as text of one code unit a byte: good as the key of a map, and `<` orders such texts as the keys. */
export function keyText(key: KvKey): string {
  let text = "";
  for (const byte of key) text += String.fromCharCode(byte);
  return text;
}

function guardPartitionType(partition: Partition): void {
  if (typeof partition !== "string") throw new TypeError("partition must be a string");
  if (partition === "") throw new RangeError("partition must not be empty");
  guardText(partition, "partition");
}

function guardPartitionBytes(partition: Partition): void {
  guardSize("a partition", utf8.encode(partition).length, PARTITION_BYTES_MAX, "bytes");
}

function guardKeyType(key: KvKey, bytesMin: number): void {
  guardBytes(key, "key");
  if (key.length < bytesMin) throw new RangeError("A key must have at least one byte");
}

function guardKeyBytes(key: KvKey): void {
  guardSize("a key", key.length, KEY_BYTES_MAX, "bytes");
}

function guardBytes(bytes: Uint8Array, what: string): Uint8Array {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(`${what} must be a Uint8Array`);
  return bytes;
}

function guardSize(what: string, actual: number, limit: number, unit: string): void {
  if (actual <= limit) return;
  throw new KvError("KV_TOO_LARGE", `Cannot take ${what} of ${actual} ${unit}: the limit is ${limit}`, {
    limit,
    actual,
  });
}

function unsupported({ name }: KvCapabilities, what: string): KvError {
  return new KvError("KV_UNSUPPORTED", `Cannot ${what}: a store of ${name} does not`, { capability: "scan" });
}
