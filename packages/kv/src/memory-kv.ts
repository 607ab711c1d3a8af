import { KvError } from "./errors.ts";
import { guardCommit, guardGet, guardScan, guardWatch } from "./guards.ts";
import type {
  Kv,
  KvCallOptions,
  KvCapabilities,
  KvCommit,
  KvCommitResult,
  KvKey,
  KvPage,
  KvRange,
  Partition,
} from "./kv.ts";
import { type KvBell, KvWatch } from "./kv-watch.ts";
import { MemoryStore } from "./memory-store.ts";

/** Options of {@link openMemoryKv}. */
export interface MemoryKvOptions {
  /** Unix milliseconds. @defaultValue `Date.now` */
  readonly nowMs?: () => number;
  /** @defaultValue 4,096 */
  readonly keysPerCommitMax?: number;
  /** @defaultValue 16 MiB */
  readonly valueBytesMax?: number;
  /** @defaultValue 32 MiB */
  readonly commitBytesMax?: number;
  /** `false` for a store that reads one key at a time, as some are. @defaultValue true */
  readonly scan?: boolean;
  /** `false` for a store without `watch`. @defaultValue true */
  readonly watch?: boolean;
}

/** A handle of a store in memory. */
export interface MemoryKv extends Kv {
  /** Another handle of the same store, as another process would have; each is closed on its own. */
  handle(): MemoryKv;
}

/**
 * Opens an empty store in memory: the reference of the contract, and what tests and trials use. It lasts as long as
 * somebody holds a handle. Limits can be lowered to those of another backend.
 *
 * @example
 * ```ts
 * await using kv = openMemoryKv();
 * const key = encodeKey(["head"]);
 * await kv.commit("session/1", { puts: [{ key, value: Uint8Array.of(1) }] });
 * assert.deepEqual(await kv.get("session/1", [key]), [Uint8Array.of(1)]);
 * ```
 */
export function openMemoryKv(options: MemoryKvOptions = {}): MemoryKv {
  // The clock of the machine is the one all handles share; whoever drives time gives another.
  // oxlint-disable-next-line no-restricted-properties
  const { nowMs = Date.now, watch = true, scan = true } = options;
  const capabilities: KvCapabilities = {
    name: "memory",
    durability: "memory",
    sharedBy: "instance",
    keysPerCommitMax: options.keysPerCommitMax ?? 4_096,
    valueBytesMax: options.valueBytesMax ?? 16 * 1_024 * 1_024,
    commitBytesMax: options.commitBytesMax ?? 32 * 1_024 * 1_024,
    scan,
    watch,
  };
  return new MemoryHandle(new MemoryStore(), capabilities, nowMs);
}

class MemoryHandle implements MemoryKv {
  readonly capabilities: KvCapabilities;
  readonly watch?: NonNullable<Kv["watch"]>;
  readonly #store: MemoryStore;
  readonly #nowMs: () => number;
  readonly #bells = new Set<KvBell>();
  #closed = false;

  constructor(store: MemoryStore, capabilities: KvCapabilities, nowMs: () => number) {
    this.#store = store;
    this.capabilities = capabilities;
    this.#nowMs = nowMs;
    if (capabilities.watch) this.watch = (...given) => this.#watch(...given);
  }

  handle(): MemoryKv {
    return new MemoryHandle(this.#store, this.capabilities, this.#nowMs);
  }

  async nowMs(): Promise<number> {
    this.#guard();
    return this.#nowMs();
  }

  async get(
    partition: Partition,
    keys: readonly KvKey[],
    options?: KvCallOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    this.#guard(options);
    guardGet(this.capabilities, partition, keys);
    return this.#store.get(partition, keys);
  }

  async scan(partition: Partition, range: KvRange, options?: KvCallOptions): Promise<KvPage> {
    this.#guard(options);
    return this.#store.scan(partition, guardScan(this.capabilities, partition, range));
  }

  async commit(partition: Partition, commit: KvCommit, options?: KvCallOptions): Promise<KvCommitResult> {
    this.#guard(options);
    guardCommit(this.capabilities, partition, commit);
    return this.#store.commit(partition, commit);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const bell of this.#bells) bell.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #watch(partition: Partition, prefix: KvKey, { signal }: KvCallOptions = {}): AsyncIterable<void> {
    return new KvWatch({
      signal,
      begin: (bell) => {
        this.#guard();
        guardWatch(partition, prefix);
        this.#bells.add(bell);
        this.#store.hang(bell, partition, prefix);
      },
      end: (bell) => {
        this.#bells.delete(bell);
        this.#store.remove(bell);
      },
    });
  }

  #guard({ signal }: KvCallOptions = {}): void {
    signal?.throwIfAborted();
    if (this.#closed) throw new KvError("KV_CLOSED", "Cannot use the store: it was closed");
  }
}
