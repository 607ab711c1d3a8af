import type { KV } from "@nats-io/kv";
import { compareBytes } from "@tidemark/core";
import {
  guardCommit,
  guardGet,
  guardScan,
  KvError,
  PendingCalls,
  type Kv,
  type KvCallOptions,
  type KvCapabilities,
  type KvCommit,
  type KvCommitResult,
  type KvKey,
  type KvPage,
  type KvRange,
  type Partition,
} from "@tidemark/kv";
import { openBucket, storedOf, type Stored } from "./bucket.ts";
import { hold, type Held } from "./connection.ts";
import { isConflict, isPassing, isUnauthorized, kvErrorOf, NatsKvError } from "./errors.ts";
import { limitsOf, type NatsKvLimits, type NatsKvOptions } from "./options.ts";
import { settleFormat } from "./store-format.ts";
import { bucketKey } from "./subject-token.ts";

/** What a message may need above its value. */
const HEADERS_BYTES_MAX = 4_096;
/** How often a commit is decided anew because others wrote the key between. */
const ATTEMPTS_MAX = 16;
const RETRY_MS = 50;

/**
 * Opens a store in a bucket of NATS KV: one key a commit, no ranges, no watch.
 *
 * @throws {@link NatsKvError} for what cannot work, `RangeError` for an option that is none, `KvError`
 * `KV_UNAVAILABLE` if the servers are away, `KV_STORE_VERSION` if the bucket holds something else.
 */
export async function openNatsKv(options: NatsKvOptions): Promise<Kv> {
  const limits = limitsOf(options);
  let held: Held | undefined;
  try {
    held = await hold(options);
    const bucket = await openBucket(held.connection, limits, options.make ?? {});
    await settleFormat(bucket);
    // The clock of the machine is the only one there is; whoever drives time gives another.
    // oxlint-disable-next-line no-restricted-properties
    return new NatsKv(held, bucket, limits, options.nowMs ?? Date.now);
  } catch (error) {
    if (held?.own === true) await held.connection.close();
    if (error instanceof KvError || error instanceof NatsKvError) throw error;
    if (isUnauthorized(error)) throw new NatsKvError("UNAUTHORIZED", String(error), { cause: error });
    throw kvErrorOf(error, "open the store", "no");
  }
}

class NatsKv implements Kv {
  readonly capabilities: KvCapabilities;
  readonly #held: Held;
  readonly #bucket: KV;
  readonly #limits: NatsKvLimits;
  readonly #nowMs: () => number;
  readonly #calls = new PendingCalls();

  constructor(held: Held, bucket: KV, limits: NatsKvLimits, nowMs: () => number) {
    const payload = held.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const valueBytesMax = Math.min(limits.valueBytesMax, payload - HEADERS_BYTES_MAX);
    this.capabilities = {
      name: "nats",
      durability: limits.durability,
      sharedBy: "network",
      keysPerCommitMax: 1,
      valueBytesMax,
      // What is checked stays here: only what is put is sent.
      commitBytesMax: 2 * valueBytesMax + 2_048,
      scan: false,
      watch: false,
    };
    this.#held = held;
    this.#bucket = bucket;
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  async nowMs(): Promise<number> {
    this.#calls.guard();
    return this.#nowMs();
  }

  async get(
    partition: Partition,
    keys: readonly KvKey[],
    { signal }: KvCallOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    this.#calls.guard(signal);
    guardGet(this.capabilities, partition, keys);
    const [key] = keys;
    if (key === undefined) return [];
    const { value } = await this.#calls.run(this.#read(bucketKey(partition, key), "get", signal), signal);
    return [value];
  }

  async scan(partition: Partition, range: KvRange, { signal }: KvCallOptions = {}): Promise<KvPage> {
    this.#calls.guard(signal);
    guardScan(this.capabilities, partition, range);
    throw new KvError("KV_UNSUPPORTED", "Cannot scan: a store of nats does not", { capability: "scan" });
  }

  async commit(
    partition: Partition,
    commit: KvCommit,
    { signal }: KvCallOptions = {},
  ): Promise<KvCommitResult> {
    this.#calls.guard(signal);
    guardCommit(this.capabilities, partition, commit);
    return this.#calls.run(this.#commit(partition, registerChangeOf(commit), signal), signal);
  }

  close(): Promise<void> {
    return this.#calls.close(async () => {
      if (this.#held.own) await this.#held.connection.close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #commit(
    partition: Partition,
    { key, check, write }: RegisterChange,
    signal: AbortSignal | undefined,
  ): Promise<KvCommitResult> {
    if (key === undefined) return { committed: true };
    const name = bucketKey(partition, key);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const stored = await this.#read(name, "commit", signal);
      signal?.throwIfAborted();
      if (check !== undefined && !isSame(stored.value, check.value)) return { committed: false, failed: 0 };
      if (write === undefined || (write.value === undefined && stored.value === undefined))
        return { committed: true };
      // What was read is still there, or the server refuses.
      const expected = { previousSeq: stored.revision };
      try {
        if (write.value === undefined) await this.#bucket.delete(name, expected);
        else await this.#bucket.put(name, write.value, expected);
        return { committed: true };
      } catch (error) {
        if (!isConflict(error)) throw kvErrorOf(error, "commit");
      }
    }
    throw new KvError("KV_BUSY", `Cannot commit: others wrote the key ${ATTEMPTS_MAX} times meanwhile`);
  }

  /** What the leader has, asked again while there is none. */
  async #read(name: string, doing: string, signal: AbortSignal | undefined): Promise<Stored> {
    const late = AbortSignal.timeout(this.#limits.timeoutMs);
    for (;;) {
      try {
        return storedOf(await this.#bucket.get(name));
      } catch (error) {
        if (!isPassing(error) || late.aborted || signal?.aborted === true) {
          // Nothing was written yet, whatever the answer would have been.
          throw kvErrorOf(error, doing, "no");
        }
        await new Promise<void>((resolve) => globalThis.setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

/** A commit of one key at most; bytes are copies, since they wait for a read. */
interface RegisterChange {
  readonly key: KvKey | undefined;
  readonly check: { readonly value: Uint8Array | undefined } | undefined;
  /** No value deletes. */
  readonly write: { readonly value: Uint8Array | undefined } | undefined;
}

function registerChangeOf({ checks = [], puts = [], deletes = [] }: KvCommit): RegisterChange {
  const [check] = checks;
  const [put] = puts;
  const [gone] = deletes;
  return {
    key: (check?.key ?? put?.key ?? gone)?.slice(),
    check: check === undefined ? undefined : { value: check.value?.slice() },
    write:
      put === undefined
        ? gone === undefined
          ? undefined
          : { value: undefined }
        : { value: put.value.slice() },
  };
}

function isSame(stored: Uint8Array | undefined, wanted: Uint8Array | undefined): boolean {
  if (stored === undefined || wanted === undefined) return stored === wanted;
  return compareBytes(stored, wanted) === 0;
}
