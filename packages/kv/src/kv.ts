/**
 * Text that names the atomic unit: a commit touches one partition, a Redis Cluster keeps it in one slot. Any
 * well-formed Unicode of 1 to {@link PARTITION_BYTES_MAX} bytes of UTF-8; two partitions have nothing in common,
 * however alike their names.
 */
export type Partition = string;

/** Bytes, ordered bytewise, a prefix first. 1 to {@link KEY_BYTES_MAX} bytes; `encodeKey()` makes them of tuples. */
export type KvKey = Uint8Array;

/** A key and what is stored there. An empty value is a value: it is not the same as none. */
export interface KvItem {
  readonly key: KvKey;
  readonly value: Uint8Array;
}

/** Holds if the stored value is byte for byte this one, or if nothing is stored and `value` is `undefined`. */
export interface KvCheck {
  readonly key: KvKey;
  readonly value: Uint8Array | undefined;
}

/**
 * What one commit asks for. A key is in `puts` and `deletes` together at most once, and in `checks` at most once;
 * a key that is checked may be written. To delete what is not there is no failure. A commit without checks always
 * succeeds; one without writes says whether its checks held at one moment.
 */
export interface KvCommit {
  readonly checks?: readonly KvCheck[];
  readonly puts?: readonly KvItem[];
  readonly deletes?: readonly KvKey[];
}

/** What became of a commit: all of it, or nothing since a check did not hold. */
export type KvCommitResult =
  | { readonly committed: true }
  | {
      readonly committed: false;
      /** Index into `checks` of the first that failed. */
      readonly failed: number;
    };

/** Which keys of a partition a scan gives: those within all the bounds that are given. Without any: all of them. */
export interface KvRange {
  /** Only keys that begin with these bytes. */
  readonly prefix?: KvKey;
  /** The first key, inclusive. */
  readonly start?: KvKey;
  /** Where to stop, exclusive. */
  readonly end?: KvKey;
  /** Greatest key first; `start` and `end` keep their meaning. @defaultValue false */
  readonly reverse?: boolean;
  /** How many items at most: 1 to {@link SCAN_ITEMS_MAX}. @defaultValue 1,000 */
  readonly limit?: number;
}

/**
 * Items in key order (greatest first in reverse). A page is one consistent view; pages together are not. It holds
 * `limit` items, or fewer if the range ends, or if their bytes pass what the backend gives at once: only `next`
 * tells whether there is more.
 */
export interface KvPage {
  readonly items: readonly KvItem[];
  /** Where to go on: give it as `start`, in reverse as `end`. Absent at the end of the range. */
  readonly next?: KvKey;
}

/** What a backend holds to, told honestly. */
export interface KvCapabilities {
  /** `memory`, `lmdb`, `redis`, `nats`. */
  readonly name: string;
  /**
   * What a resolved commit survives.
   *
   * - `memory`: nothing; it ends with the process.
   * - `process`: the end of this process, also by `kill -9`, but not of the machine or server that keeps it.
   * - `disk`: power loss too; it is synced.
   * - `region`: the loss of a machine; several keep it.
   */
  readonly durability: "memory" | "process" | "disk" | "region";
  /** Who may have it open at once. */
  readonly sharedBy: "instance" | "machine" | "network";
  /** How many different keys one commit may check and write. */
  readonly keysPerCommitMax: number;
  /** The longest value, of a put or of a check, in bytes. */
  readonly valueBytesMax: number;
  /** How many bytes all keys and values of one commit may have, its checks included. */
  readonly commitBytesMax: number;
  /** Whether several keys can be read as one consistent view, and ranges scanned. Without it `get` takes one key. */
  readonly scan: boolean;
  /** Whether there is `watch`. */
  readonly watch: boolean;
}

/** Options of every call that waits. */
export interface KvCallOptions {
  /** Ends the waiting, with its reason. A commit that was under way may happen all the same. */
  readonly signal?: AbortSignal;
}

/**
 * An ordered key-value store whose partitions are read and written atomically.
 *
 * Bytes go in and out as copies: what a caller does with its arrays afterwards changes nothing. Calls reject, they
 * never throw; when several errors apply the first of these counts: the signal's reason, `KV_CLOSED`, a wrong
 * argument (`TypeError`, `RangeError`), `KV_UNSUPPORTED`, `KV_TOO_LARGE`, then what the medium says. Calls of one
 * handle may overlap; commits of one partition are in one order that all who share the store agree on, and a read
 * that begins after a commit has resolved sees it.
 */
export interface Kv extends AsyncDisposable {
  readonly capabilities: KvCapabilities;

  /** Unix milliseconds of the clock that all who share the store agree on: the machine's, the server's. It judges leases, and may jump. */
  nowMs(): Promise<number>;

  /** The values of keys of one partition, in the order asked for, of one consistent view. At most {@link GET_KEYS_MAX} keys. */
  get(
    partition: Partition,
    keys: readonly KvKey[],
    options?: KvCallOptions,
  ): Promise<(Uint8Array | undefined)[]>;

  /** One page of a range of one partition. */
  scan(partition: Partition, range: KvRange, options?: KvCallOptions): Promise<KvPage>;

  /**
   * Checks and writes: all of it or nothing. Resolves once it is as durable as `capabilities.durability` says. A
   * check that does not hold is a result. After an error it is unknown whether the commit happened, unless the error
   * says so: a wrong argument, `KV_CLOSED` of a call made after `close()`, `KV_UNSUPPORTED`, `KV_TOO_LARGE` and
   * `KV_BUSY` wrote nothing, and `KV_UNAVAILABLE` says by `committed` what is known.
   */
  commit(partition: Partition, commit: KvCommit, options?: KvCallOptions): Promise<KvCommitResult>;

  /**
   * Says that keys under the prefix may have changed: once when the watch is in place, then after each commit, whoever
   * made it; several become one while nobody is asking. So who looks after each of them misses nothing. It never
   * blocks a writer, and may say so for nothing. The iteration ends when the store is closed, and rejects with the
   * reason of the signal; leaving the loop ends the watch. Absent if `capabilities.watch` is false.
   */
  watch?(partition: Partition, prefix: KvKey, options?: KvCallOptions): AsyncIterable<void>;

  /** Idempotent. Settles what is pending, ends watches, and frees what was opened. What was borrowed stays open. */
  close(): Promise<void>;
}
