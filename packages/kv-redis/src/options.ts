import type { RedisClient } from "@tidemark/redis-connection";
import type { KvCapabilities } from "@tidemark/kv";
import { RedisKvError } from "./errors.ts";

/** What a server may be known to keep: see {@link KvCapabilities}. */
export type RedisDurability = Exclude<KvCapabilities["durability"], "memory">;

/** How {@link openRedisKv} reaches its server, and its limits. */
export interface RedisKvOptions {
  /**
   * Where the server is: a `redis:` or `rediss:` URL, options of ioredis, or a client of ioredis (`Redis` or `Cluster`) or
   * node-redis. A client is borrowed for its configuration: connections are opened from it (`duplicate()`), and it is
   * neither used nor closed.
   */
  readonly connection: RedisClient;
  /** What every key begins with. @defaultValue `"tidemark-kv"` */
  readonly prefix?: string;
  /**
   * What a commit survives, if you know better than the server tells: a managed Redis keeps to its own settings.
   * @defaultValue `disk` if every primary is known to have `appendonly yes` and `appendfsync always`, else `process`
   */
  readonly durability?: RedisDurability;
  /** Refuses to open on less, with `DURABILITY_TOO_LOW`. @defaultValue none */
  readonly requireDurable?: RedisDurability;
  /** How long a call waits for a connection, and how long a read is tried again. @defaultValue 5,000 */
  readonly timeoutMs?: number;
  /** How long a command may go unanswered before its connection is replaced. @defaultValue 3,000 */
  readonly replyTimeoutMs?: number;
  /** How long a connection may take to come up. @defaultValue 5,000 */
  readonly connectTimeoutMs?: number;
  /** How often a watched partition is looked at for commits of others. @defaultValue 100 */
  readonly watchPollMs?: number;
}

/** The limits in force. */
export interface RedisKvLimits extends Required<
  Pick<RedisKvOptions, "prefix" | "timeoutMs" | "replyTimeoutMs" | "connectTimeoutMs" | "watchPollMs">
> {}

/** What {@link RedisKvOptions} default to. */
export const REDIS_KV_DEFAULTS: RedisKvLimits = {
  prefix: "tidemark-kv",
  timeoutMs: 5_000,
  replyTimeoutMs: 3_000,
  connectTimeoutMs: 5_000,
  watchPollMs: 100,
};

const PREFIX = /^[\x21-\x7e]{1,100}$/;

/** @throws `RangeError` for a number out of range, {@link RedisKvError} `PREFIX_INVALID`. */
export function limitsOf(options: RedisKvOptions): RedisKvLimits {
  const { prefix = REDIS_KV_DEFAULTS.prefix } = options;
  // The first braces of a key decide its slot: those must be ours.
  if (!PREFIX.test(prefix) || /[{}]/.test(prefix)) {
    throw new RedisKvError(
      "PREFIX_INVALID",
      `Cannot use the prefix ${JSON.stringify(prefix)}: it has 1 to 100 printable characters and no brace`,
    );
  }
  const { timeoutMs, replyTimeoutMs, connectTimeoutMs, watchPollMs } = REDIS_KV_DEFAULTS;
  return {
    prefix,
    timeoutMs: guardMs("timeoutMs", options.timeoutMs ?? timeoutMs),
    replyTimeoutMs: guardMs("replyTimeoutMs", options.replyTimeoutMs ?? replyTimeoutMs),
    connectTimeoutMs: guardMs("connectTimeoutMs", options.connectTimeoutMs ?? connectTimeoutMs),
    watchPollMs: guardMs("watchPollMs", options.watchPollMs ?? watchPollMs),
  };
}

function guardMs(name: string, ms: number): number {
  if (Number.isSafeInteger(ms) && ms > 0) return ms;
  throw new RangeError(`${name} must be a whole number above 0: ${ms}`);
}
