import { TidemarkError } from "@tidemark/core";
import { LiveError } from "@tidemark/live";
import { lacksRight, textOf } from "@tidemark/redis-connection";

/** Codes are stable within a major version; messages are not. */
export type RedisLiveErrorCode =
  /** The prefix is empty, longer than 100 characters, or holds `{`, `}`, a space or a control character. */
  | "PREFIX_INVALID"
  /** The server refuses the credentials, or the user lacks a right. */
  | "UNAUTHORIZED";

/** The store cannot be opened as it is configured. What fails later is a `LiveError`. */
export class RedisLiveError extends TidemarkError<RedisLiveErrorCode> {
  override readonly name = "RedisLiveError";
}

/** The error of the contract for what the server or its connection said. */
export function liveErrorOf(error: unknown, doing: string): LiveError {
  return new LiveError("STORE_UNAVAILABLE", `Cannot ${doing}: ${textOf(error)}`, {
    retryable: !lacksRight(error),
    cause: error,
  });
}
