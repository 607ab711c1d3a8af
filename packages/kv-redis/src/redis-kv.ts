import {
  guardCommit,
  guardGet,
  guardScan,
  guardWatch,
  KvError,
  KvWatch,
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
import {
  Caller,
  connectorFor,
  lacksRight,
  Supervisor,
  textOfReply,
  type Argument,
  type ServerCall,
} from "@tidemark/redis-connection";
import { bytesOf, commitArguments, newMark, scanArguments } from "./arguments.ts";
import { kvErrorOf, RedisKvError } from "./errors.ts";
import { Keys, type PartitionKeys } from "./keys.ts";
import { limitsOf, type RedisDurability, type RedisKvLimits, type RedisKvOptions } from "./options.ts";
import { commitResultOf, otherFormat, pageOf, timeOf, valuesOf } from "./replies.ts";
import { loadScripts, REDIS_KV_FORMAT, type Scripts } from "./scripts.ts";
import { durabilityOf } from "./server-facts.ts";
import { Watches } from "./watches.ts";

/** Bytes of commits under way above which another is `KV_BUSY`. */
const PENDING_BYTES_MAX = 64 * 1_024 * 1_024;

/**
 * Opens a store in one Redis or a Redis Cluster. It is refused unless the server is there, keeps what it is told, has
 * the format of this program (an empty place is given it), and lets the user do all that a store does.
 *
 * @throws {@link RedisKvError} or `RedisConnectionError` for what cannot work, `RangeError` for a limit that is none,
 * `KvError` `KV_UNAVAILABLE` if the server is away, `KV_STORE_VERSION` if the store is of another format.
 */
export async function openRedisKv(options: RedisKvOptions): Promise<Kv> {
  const limits = limitsOf(options);
  const connector = await connectorFor(options.connection, limits);
  const scripts = await loadScripts();
  let refuse: (why: unknown) => void = () => undefined;
  const refused = new Promise<never>((_, reject) => (refuse = reject));
  refused.catch(() => undefined);
  const supervisor = new Supervisor(connector, limits, () => {
    if (supervisor.unauthorized) refuse(supervisor.failure);
  });
  const store = new Store(supervisor, limits, scripts);
  try {
    await Promise.race([store.rehearse(), refused]);
    return new RedisKv(store, await durabilityOf(supervisor, options), limits);
  } catch (error) {
    supervisor.close();
    const { cause = error } = error as Error;
    if (lacksRight(cause)) throw new RedisKvError("UNAUTHORIZED", String(cause), { cause: error });
    throw error instanceof KvError || error instanceof RedisKvError
      ? error
      : kvErrorOf(error, "open the store");
  }
}

/** The server's side of a store: scripts over the keys of partitions. */
class Store {
  readonly #supervisor: Supervisor;
  readonly #caller: Caller;
  readonly #keys: Keys;
  readonly #scripts: Scripts;

  constructor(supervisor: Supervisor, limits: RedisKvLimits, scripts: Scripts) {
    this.#supervisor = supervisor;
    this.#caller = new Caller(supervisor, { timeoutMs: limits.timeoutMs, errorOf: kvErrorOf });
    this.#keys = new Keys(limits.prefix);
    this.#scripts = scripts;
  }

  close(): void {
    this.#supervisor.close();
  }

  /** Does once what a store does, in a place of its own: a right that is missing is found before it tears a commit. */
  async rehearse(): Promise<void> {
    const call = { doing: "open the store", repeatable: true };
    await this.#caller.command(call, ["SET", this.#keys.format, `${REDIS_KV_FORMAT}`, "NX"]);
    const format = Number(textOfReply(await this.#caller.command(call, ["GET", this.#keys.format])));
    if (format !== REDIS_KV_FORMAT) throw otherFormat("open the store", format);
    const id = Array.from(newMark(), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const place = this.#keys.rehearsal(id);
    const [first, second] = [Uint8Array.of(1), Uint8Array.of(2)];
    const puts = [first, second].map((key) => ({ key, value: key }));
    // Each at most once: half of it done is not taken for all of it.
    const once = { doing: "open the store", repeatable: false };
    commitResultOf(await this.#commit(place, commitArguments({ puts }), once));
    for (const reverse of [false, true]) {
      const args = scanArguments({ start: first, end: undefined, reverse, limit: 1 });
      pageOf(await this.#scan(place, args, call), reverse);
    }
    commitResultOf(await this.#commit(place, commitArguments({ deletes: [first, second] }), once));
    await this.nowMs();
    await this.mark("rehearsal");
  }

  async nowMs(): Promise<number> {
    const call = { doing: "read the clock", repeatable: true };
    return timeOf(await this.#caller.script(call, this.#scripts.clock, [this.#keys.clock], []));
  }

  async get(
    partition: Partition,
    keys: readonly Argument[],
    signal?: AbortSignal,
  ): Promise<(Uint8Array | undefined)[]> {
    const { values, names } = this.#keys.partition(partition);
    const call = { doing: "get", repeatable: true, signal };
    return valuesOf(await this.#caller.script(call, this.#scripts.get, [values, names], keys));
  }

  async scan(partition: Partition, args: readonly Argument[], signal?: AbortSignal): Promise<unknown> {
    return this.#scan(this.#keys.partition(partition), args, { doing: "scan", repeatable: true, signal });
  }

  async commit(
    partition: Partition,
    args: readonly Argument[],
    signal?: AbortSignal,
  ): Promise<KvCommitResult> {
    const call = { doing: "commit", repeatable: false, signal };
    return commitResultOf(await this.#commit(this.#keys.partition(partition), args, call));
  }

  /** The mark of the last commit of a partition; `undefined` if it holds nothing. */
  async mark(partition: Partition): Promise<Uint8Array | undefined> {
    const call = { doing: "watch", repeatable: true };
    const mark = await this.#caller.command(call, ["HGET", this.#keys.partition(partition).values, ""]);
    return mark instanceof Uint8Array ? mark : undefined;
  }

  #scan(place: PartitionKeys, args: readonly Argument[], call: ServerCall): Promise<unknown> {
    return this.#caller.script(call, this.#scripts.scan, [place.values, place.names], args);
  }

  #commit(place: PartitionKeys, args: readonly Argument[], call: ServerCall): Promise<unknown> {
    return this.#caller.script(call, this.#scripts.commit, [place.values, place.names], args);
  }
}

class RedisKv implements Kv {
  readonly capabilities: KvCapabilities;
  readonly #store: Store;
  readonly #watches: Watches;
  readonly #calls = new PendingCalls();
  #pendingBytes = 0;

  constructor(store: Store, durability: RedisDurability, limits: RedisKvLimits) {
    this.#store = store;
    this.capabilities = {
      name: "redis",
      durability,
      sharedBy: "network",
      // A commit keeps the server from everything else while it runs.
      keysPerCommitMax: 4_096,
      valueBytesMax: 8 * 1_024 * 1_024,
      commitBytesMax: 16 * 1_024 * 1_024,
      scan: true,
      watch: true,
    };
    this.#watches = new Watches((partition) => this.#calls.run(store.mark(partition)), limits.watchPollMs);
  }

  async nowMs(): Promise<number> {
    this.#calls.guard();
    return this.#calls.run(this.#store.nowMs());
  }

  async get(
    partition: Partition,
    keys: readonly KvKey[],
    { signal }: KvCallOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    this.#calls.guard(signal);
    guardGet(this.capabilities, partition, keys);
    if (keys.length === 0) return [];
    const copies = keys.map((key) => key.slice());
    return this.#calls.run(this.#store.get(partition, copies, signal), signal);
  }

  async scan(partition: Partition, range: KvRange, { signal }: KvCallOptions = {}): Promise<KvPage> {
    this.#calls.guard(signal);
    const bounds = guardScan(this.capabilities, partition, range);
    const reply = await this.#calls.run(this.#store.scan(partition, scanArguments(bounds), signal), signal);
    return pageOf(reply, bounds.reverse);
  }

  async commit(
    partition: Partition,
    commit: KvCommit,
    { signal }: KvCallOptions = {},
  ): Promise<KvCommitResult> {
    this.#calls.guard(signal);
    guardCommit(this.capabilities, partition, commit);
    const args = commitArguments(commit);
    const bytes = bytesOf(args);
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > PENDING_BYTES_MAX)
      throw new KvError(
        "KV_BUSY",
        `Cannot commit: ${this.#pendingBytes} bytes of other commits are under way`,
      );
    this.#pendingBytes += bytes;
    const committing = this.#store.commit(partition, args, signal).finally(() => {
      this.#pendingBytes -= bytes;
      this.#watches.changed(partition);
    });
    return this.#calls.run(committing, signal);
  }

  watch(partition: Partition, prefix: KvKey, { signal }: KvCallOptions = {}): AsyncIterable<void> {
    return new KvWatch({
      signal,
      begin: async (bell) => {
        this.#calls.guard();
        guardWatch(partition, prefix);
        await this.#watches.hang(bell, partition);
      },
      end: (bell) => this.#watches.remove(bell),
    });
  }

  close(): Promise<void> {
    this.#watches.finish();
    return this.#calls.close(() => this.#store.close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
