/** Codes are stable within a major version; messages are not. */
export type RedisConnectionErrorCode =
  /** The client has an ioredis `keyPrefix`: it would change our keys behind our back. Use the option `prefix`. */
  | "KEY_PREFIX_SET"
  /** A URL or options were given and `ioredis` is not installed. */
  | "CLIENT_MISSING"
  /** The connection is neither an ioredis nor a node-redis client, nor a URL, nor options. */
  | "CLIENT_UNKNOWN";

/**
 * No connection can be opened from what was given, now or later.
 *
 * @example
 * ```ts
 * const error = new RedisConnectionError("CLIENT_UNKNOWN", "Cannot use the connection: it is no client");
 * assert.equal(error.code, "CLIENT_UNKNOWN");
 * ```
 */
export class RedisConnectionError extends Error {
  override readonly name = "RedisConnectionError";
  /** What is wrong, for programs. */
  readonly code: RedisConnectionErrorCode;

  constructor(code: RedisConnectionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A connection ended, or went silent, before the reply came. */
export class ConnectionLostError extends Error {
  override readonly name: string = "ConnectionLostError";
  /** Whether the command may have reached the server: then its outcome is unknown. */
  readonly sent: boolean;

  constructor(message: string, options: ErrorOptions & { readonly sent: boolean }) {
    super(message, options);
    this.sent = options.sent;
  }
}

/** Whether the server refused the credentials, or the user lacks a right. */
export function isUnauthorized(error: unknown): boolean {
  return /^(WRONGPASS|NOAUTH|NOPERM)\b|invalid password|invalid username-password/i.test(textOf(error));
}

/** What an error says. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
