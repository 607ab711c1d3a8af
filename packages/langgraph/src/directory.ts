import { compareBytes, HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import {
  decodeKey,
  encodeKey,
  type Kv,
  type KvKey,
  type KvRange,
  type Partition,
  prefixRange,
  scanPages,
} from "@tidemark/kv";
import { mergeSorted } from "./merge-sorted.ts";
import type { Records } from "./records.ts";

const utf8 = new TextEncoder();
const SHARDS = "0123456789abcdef";

/** A name in a directory: one label or several. */
export type Name = readonly string[];

/** What a {@link Directory} is made of. */
export interface DirectoryOptions {
  readonly kv: Kv;
  readonly records: Records;
  readonly hasher: Hasher;
  /** Before the shard's digit in the names of the partitions. */
  readonly partition: string;
  /** Fresh random bytes. */
  readonly random: (length: number) => Uint8Array;
}

/**
 * The names of partitions that hold something, since a key-value store cannot list its partitions. A name is written
 * before the first row of its partition, so none is missing; one whose partition stayed empty may be there. Names of
 * one first label lie together, in one of sixteen partitions.
 */
export class Directory {
  readonly #options: DirectoryOptions;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** Writes the name; each time as a new row, so that who meant to forget an earlier one does not forget this. */
  async intend(name: Name): Promise<void> {
    const { kv, records, random } = this.#options;
    const partition = this.#partition(name);
    const key = encodeKey(name);
    const value = records.seal("langgraph-directory", partition, key, random(8));
    await kv.commit(partition, { puts: [{ key, value }] });
  }

  /** The row of a name, for {@link forget}. */
  async row(name: Name): Promise<Uint8Array | undefined> {
    const [value] = await this.#options.kv.get(this.#partition(name), [encodeKey(name)]);
    return value;
  }

  /** Removes the name unless it was written again since `row` was read. */
  async forget(name: Name, row: Uint8Array): Promise<void> {
    const key = encodeKey(name);
    await this.#options.kv.commit(this.#partition(name), { checks: [{ key, value: row }], deletes: [key] });
  }

  /** The names that begin with these labels, in their order. */
  async *names(prefix: Name): AsyncGenerator<Name> {
    const range = prefixRange(prefix);
    const shards =
      prefix.length > 0 ? [this.#partition(prefix)] : [...SHARDS].map((shard) => this.#shard(shard));
    const keys = mergeSorted(
      shards.map((shard) => this.#keys(shard, range)),
      compareBytes,
    );
    for await (const key of keys) yield decodeKey(key) as string[];
  }

  async *#keys(partition: Partition, range: KvRange): AsyncGenerator<KvKey> {
    for await (const items of scanPages(this.#options.kv, partition, range)) {
      for (const { key } of items) yield key;
    }
  }

  #partition([first = ""]: Name): Partition {
    const [byte = 0] = this.#options.hasher.digest(HASH_CONTEXTS.langgraphDirectory, utf8.encode(first), 1);
    return this.#shard(SHARDS.charAt(byte % SHARDS.length));
  }

  #shard(shard: string): Partition {
    return `${this.#options.partition}/${shard}`;
  }
}
