import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/kv`. Stable within a major version; messages are not. */
export type KvErrorCode =
  /** The store was closed. */
  | "KV_CLOSED"
  /** A key, value, partition or commit is larger than the limit: see `limit`, `actual`. Nothing was written. */
  | "KV_TOO_LARGE"
  /** A key, a record or the store is not what its format says, or a record lies where it was not put. */
  | "KV_CORRUPT"
  /** A record was written under another schema version: see `kind`, `actual`, `expected`. */
  | "KV_RECORD_VERSION"
  /** The medium did not answer, or could not do it: see `committed`. */
  | "KV_UNAVAILABLE"
  /** This backend cannot do that: see `capability`. Nothing was written. */
  | "KV_UNSUPPORTED"
  /** The store as a whole is of another format: see `actual`, `expected`. It was left as it is. */
  | "KV_STORE_VERSION"
  /** Others kept the store busy for as long as this call may wait. Nothing was written. */
  | "KV_BUSY";

/** Facts that go with a {@link KvError}. */
export interface KvErrorOptions extends TidemarkErrorOptions {
  /** The bound in force, for `KV_TOO_LARGE`. */
  readonly limit?: number;
  /** What was given or found, for `KV_TOO_LARGE`, `KV_RECORD_VERSION`, `KV_STORE_VERSION`. */
  readonly actual?: number;
  /** The newest version this program reads, for `KV_RECORD_VERSION` and `KV_STORE_VERSION`. */
  readonly expected?: number;
  /** The kind of record that was expected, for `KV_RECORD_VERSION` and a record that is `KV_CORRUPT`. */
  readonly kind?: string;
  /** Whether a commit happened, for `KV_UNAVAILABLE`. */
  readonly committed?: "no" | "unknown";
  /** What is missing, for `KV_UNSUPPORTED`. */
  readonly capability?: "scan" | "watch";
}

const RETRYABLE: ReadonlySet<KvErrorCode> = new Set(["KV_UNAVAILABLE", "KV_BUSY"]);

/**
 * An expected failure of a key-value store. `KV_UNAVAILABLE` and `KV_BUSY` are retryable unless the backend knows
 * better.
 */
export class KvError extends TidemarkError<KvErrorCode> {
  override readonly name = "KvError";
  /** The bound in force, for `KV_TOO_LARGE`. */
  readonly limit: number | undefined;
  /** What was given or found, for `KV_TOO_LARGE`, `KV_RECORD_VERSION`, `KV_STORE_VERSION`. */
  readonly actual: number | undefined;
  /** The newest version this program reads, for `KV_RECORD_VERSION` and `KV_STORE_VERSION`. */
  readonly expected: number | undefined;
  /** The kind of record that was expected, for `KV_RECORD_VERSION` and a record that is `KV_CORRUPT`. */
  readonly kind: string | undefined;
  /** Whether a commit happened, for `KV_UNAVAILABLE`. */
  readonly committed: "no" | "unknown" | undefined;
  /** What is missing, for `KV_UNSUPPORTED`. */
  readonly capability: "scan" | "watch" | undefined;

  constructor(code: KvErrorCode, message: string, options: KvErrorOptions = {}) {
    super(code, message, { ...options, retryable: options.retryable ?? RETRYABLE.has(code) });
    this.limit = options.limit;
    this.actual = options.actual;
    this.expected = options.expected;
    this.kind = options.kind;
    this.committed = options.committed;
    this.capability = options.capability;
  }
}
