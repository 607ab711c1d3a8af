import { TidemarkError } from "@tidemark/core";
import { KvError } from "@tidemark/kv";
import { lacksRight, textOf, verdictOf } from "@tidemark/redis-connection";

/** Codes are stable within a major version; messages are not. */
export type RedisKvErrorCode =
  /** The prefix is empty, longer than 100 characters, or holds `{`, `}`, a space or a control character. */
  | "PREFIX_INVALID"
  /** The server has a `maxmemory` and may evict keys that have no time to live: it would forget commits. */
  | "KEYS_EVICTED"
  /** The server keeps less than `requireDurable` asks for, or does not say. */
  | "DURABILITY_TOO_LOW"
  /** The server refuses the credentials, or the user lacks a right. */
  | "UNAUTHORIZED";

/** The store cannot be opened on this server as it is configured. What fails later is a `KvError`. */
export class RedisKvError extends TidemarkError<RedisKvErrorCode> {
  override readonly name = "RedisKvError";
}

/** The error of the contract for what the server or its connection said. */
export function kvErrorOf(error: unknown, doing: string): KvError {
  const verdict = verdictOf(error);
  const message = `Cannot ${doing}: ${textOf(error)}`;
  if (verdict === "corrupt") return new KvError("KV_CORRUPT", message, { cause: error });
  return new KvError("KV_UNAVAILABLE", message, {
    committed: verdict === "unknown" || verdict === "failed" ? "unknown" : "no",
    retryable: !lacksRight(error),
    cause: error,
  });
}
