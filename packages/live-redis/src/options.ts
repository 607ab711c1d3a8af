import type { RedisClient } from "@tidemark/redis-connection";
import { RedisLiveError } from "./errors.ts";

/** Where {@link openRedisReplayStore} keeps its events, and its limits. Handles of one store must have the same bounds. */
export interface RedisReplayStoreOptions extends Partial<RedisLiveLimits> {
  /**
   * Where the server is: a `redis:` or `rediss:` URL, options of ioredis, or a client of ioredis 5.10 or later or of
   * node-redis. A client is borrowed for its configuration: connections are opened from it (`duplicate()`), and it is
   * neither used nor closed.
   */
  readonly connection: RedisClient;
  /** A clock that nobody sets, in milliseconds. @defaultValue `performance.now` */
  readonly monotonicMs?: () => number;
  /** Told of what fails beside a call: reading what is pushed, for as long as it fails. @defaultValue nobody */
  readonly onError?: (error: unknown) => void;
}

/** The limits in force. */
export interface RedisLiveLimits {
  /** What every key begins with. @defaultValue `"tidemark-live"` */
  readonly prefix: string;
  /** Events of a session that can be replayed; with 0, none. @defaultValue 2,048 */
  readonly eventsMax: number;
  /** How old an event that is replayed may be. @defaultValue 120,000 */
  readonly ageMsMax: number;
  /** Events that a subscriber may be behind. @defaultValue 2,048 */
  readonly bufferedMax: number;
  /** A session to which nothing was appended for longer goes, and comes back as another. @defaultValue 3,600,000 */
  readonly idleMsMax: number;
  /** Bytes of the largest payload, as JSON. @defaultValue 262,144 */
  readonly eventBytesMax: number;
  /** Sessions that one handle may be subscribed to at once. @defaultValue 10,000 */
  readonly followedMax: number;
  /** How long a call waits for a connection, and how long one that may run twice is tried again. @defaultValue 5,000 */
  readonly timeoutMs: number;
  /** How long a command may go unanswered before its connection is replaced. @defaultValue 3,000 */
  readonly replyTimeoutMs: number;
  /** How long a connection may take to come up. @defaultValue 5,000 */
  readonly connectTimeoutMs: number;
  /** How long one read waits for what is pushed, before the connection is looked at. @defaultValue 2,000 */
  readonly blockMs: number;
}

/** What {@link RedisReplayStoreOptions} default to. */
export const REDIS_LIVE_DEFAULTS: RedisLiveLimits = {
  prefix: "tidemark-live",
  eventsMax: 2_048,
  ageMsMax: 120_000,
  bufferedMax: 2_048,
  idleMsMax: 3_600_000,
  eventBytesMax: 262_144,
  followedMax: 10_000,
  timeoutMs: 5_000,
  replyTimeoutMs: 3_000,
  connectTimeoutMs: 5_000,
  blockMs: 2_000,
};

const PREFIX = /^[\x21-\x7e]{1,100}$/;
const FROM_ZERO: ReadonlySet<string> = new Set(["eventsMax", "ageMsMax"]);

/** @throws `RangeError` for a number out of range, {@link RedisLiveError} `PREFIX_INVALID`. */
export function limitsOf(options: RedisReplayStoreOptions): RedisLiveLimits {
  const limits: Record<string, unknown> = { ...REDIS_LIVE_DEFAULTS };
  for (const name of Object.keys(limits))
    limits[name] = options[name as keyof RedisLiveLimits] ?? limits[name];
  const { prefix, ...numbers } = limits as unknown as RedisLiveLimits;
  // The first braces of a key decide its slot: those must be ours.
  if (!PREFIX.test(prefix) || /[{}]/.test(prefix)) {
    throw new RedisLiveError(
      "PREFIX_INVALID",
      `Cannot use the prefix ${JSON.stringify(prefix)}: it has 1 to 100 printable characters and no brace`,
    );
  }
  for (const [name, value] of Object.entries(numbers)) {
    const least = FROM_ZERO.has(name) ? 0 : 1;
    if (!Number.isSafeInteger(value) || value < least)
      throw new RangeError(`${name} must be a whole number from ${least}: ${value}`);
  }
  return { prefix, ...numbers };
}
