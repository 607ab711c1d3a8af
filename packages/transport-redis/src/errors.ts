import {
  ConnectionLostError,
  isUnauthorized,
  RedisConnectionError,
  textOf,
} from "@tidemark/redis-connection";
import { TransportError } from "@tidemark/transport";

/** Codes are stable within a major version; messages are not. */
export type RedisTransportErrorCode =
  /** The client has an ioredis `keyPrefix`: it would change our keys behind our back. Use the option `prefix`. */
  | "KEY_PREFIX_SET"
  /** The prefix is empty, longer than 100 characters, or holds `{`, `}`, a space or a control character. */
  | "PREFIX_INVALID"
  /** A URL or options were given and `ioredis` is not installed. */
  | "CLIENT_MISSING"
  /** The connection is neither an ioredis nor a node-redis client, nor a URL, nor options. */
  | "CLIENT_UNKNOWN";

/**
 * The transport cannot be opened as it is configured. Everything that fails later is a `TransportError`.
 *
 * @example
 * ```ts
 * const error = new RedisTransportError("PREFIX_INVALID", "Cannot use the prefix a{b}: it holds a brace");
 * assert.equal(error.code, "PREFIX_INVALID");
 * ```
 */
export class RedisTransportError extends Error {
  override readonly name = "RedisTransportError";
  /** What is wrong, for programs. */
  readonly code: RedisTransportErrorCode;

  constructor(code: RedisTransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The error of this package for a connection that cannot be used. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof RedisConnectionError)) return error;
  return new RedisTransportError(error.code, error.message, { cause: error });
}

/** What an error of a command says about trying it again. */
export type Verdict =
  /** The stream has this id, or a later one: the frame was stored before. */
  | "repeat"
  /** Nobody knows whether it happened, or the server says that it will work soon. */
  | "again"
  /** This server takes no writes: another connection may lead to one that does. */
  | "elsewhere"
  | "unauthorized"
  | "refused";

export function verdictOf(error: unknown): Verdict {
  if (error instanceof ConnectionLostError) return "again";
  const text = textOf(error);
  if (text.includes("equal or smaller than the target stream top item")) return "repeat";
  if (text.startsWith("READONLY")) return "elsewhere";
  if (isUnauthorized(error)) return "unauthorized";
  if (/^(LOADING|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|BUSY|NOREPLICAS)\b/.test(text)) return "again";
  // What the server says begins with a word in capitals; the rest is said by the client about its connection.
  return /^[A-Z]{3,} /.test(text) ? "refused" : "again";
}

/** The error of the contract for what the medium said. */
export function transportErrorOf(error: unknown, doing: string): TransportError {
  if (error instanceof TransportError) return error;
  const why = textOf(error);
  const code = isUnauthorized(error) ? "UNAUTHORIZED" : "PUBLISH_FAILED";
  return new TransportError(code, `Cannot ${doing}: ${why}`, { cause: error });
}
