import type { RedisClient } from "@tidemark/redis-connection";
import { RedisTransportError } from "./errors.ts";

/** How a {@link openRedisTransport} transport reaches its server, and its limits. */
export interface RedisTransportOptions {
  /**
   * Where the server is: a `redis:` or `rediss:` URL, options of ioredis, or a client. A client is borrowed for its
   * configuration: the transport opens connections of its own from it (`duplicate()`), because it must be able to
   * replace one that went silent, and never uses or closes the one it was given.
   */
  readonly connection: RedisClient;
  /** What every key begins with. @defaultValue `"tidemark"` */
  readonly prefix?: string;
  /** The longest frame, request or answer, in bytes; at most 64 MiB. @defaultValue 1 MiB */
  readonly frameBytesMax?: number;
  /**
   * Whether the server keeps its streams over a restart. Nobody but its operator can tell: claim it only with
   * `appendfsync always`. @defaultValue false
   */
  readonly persistent?: boolean;
  /** Frames a subscription holds for a slow reader; beyond it they stay in the stream. @defaultValue 256 */
  readonly queueFramesMax?: number;
  /** Frames of a subject that may stay in its stream before every member released them. @defaultValue 16,384 */
  readonly streamFramesMax?: number;
  /** Their bytes. @defaultValue 64 MiB */
  readonly streamBytesMax?: number;
  /** How long a read waits on the server before it is asked again. @defaultValue 2,000 */
  readonly blockMs?: number;
  /** How long a command may go unanswered before its connection is replaced. @defaultValue 3,000 */
  readonly replyTimeoutMs?: number;
  /** How long a connection may take to come up, and `openRedisTransport` waits for the first. @defaultValue 5,000 */
  readonly connectTimeoutMs?: number;
  /** How long `publish` tries before it is `PUBLISH_FAILED`. @defaultValue 10,000 */
  readonly publishTimeoutMs?: number;
}

/** The options in force. */
export interface Limits extends Required<Omit<RedisTransportOptions, "connection">> {}

/** What {@link RedisTransportOptions} default to. */
export const REDIS_TRANSPORT_DEFAULTS: Limits = {
  prefix: "tidemark",
  frameBytesMax: 1024 * 1024,
  persistent: false,
  queueFramesMax: 256,
  streamFramesMax: 16_384,
  streamBytesMax: 64 * 1024 * 1024,
  blockMs: 2_000,
  replyTimeoutMs: 3_000,
  connectTimeoutMs: 5_000,
  publishTimeoutMs: 10_000,
};

const FRAME_BYTES_MAX = 64 * 1024 * 1024;
const PREFIX = /^[\x21-\x7e]{1,100}$/;

/** @throws `RangeError` for a number out of range, {@link RedisTransportError} `PREFIX_INVALID`. */
export function limitsOf(options: RedisTransportOptions): Limits {
  const given = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => name !== "connection" && value !== undefined),
  );
  const limits: Limits = { ...REDIS_TRANSPORT_DEFAULTS, ...given };
  const { prefix, persistent: _, ...numbers } = limits;
  // The first braces of a key decide its slot: those must be ours.
  if (!PREFIX.test(prefix) || /[{}]/.test(prefix)) {
    throw new RedisTransportError(
      "PREFIX_INVALID",
      `Cannot use the prefix ${JSON.stringify(prefix)}: it has 1 to 100 printable characters and no brace`,
    );
  }
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isSafeInteger(value) || value <= 0)
      throw new RangeError(`${name} must be a whole number above 0: ${value}`);
  }
  if (limits.frameBytesMax > FRAME_BYTES_MAX) {
    throw new RangeError(`frameBytesMax must be at most ${FRAME_BYTES_MAX}: it is ${limits.frameBytesMax}`);
  }
  return limits;
}
