import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/zones`. Stable within a major version; messages are not. */
export type ZonesErrorCode =
  /** The id of an agent definition is no such id. The message begins with this code, for callers that see only text. */
  | "INVALID_DEFINITION_ID"
  /** The agent has no archive of this time: see `definition`. */
  | "ZONE_UNKNOWN"
  /** A snapshot, an append or a file is larger than the limit: see `limit`, `actual`. Nothing was written. */
  | "ZONE_TOO_LARGE"
  /** The log holds as much as it may behind the last snapshot: see `limit`, `actual`. Write a snapshot, then append. */
  | "ZONE_LOG_FULL"
  /** No line of the log begins at the offset of a snapshot: see `limit`, `actual`. Nothing was written. */
  | "ZONE_OFFSET"
  /** Somebody with a later lease writes this zone: see `expected`, `actual`. Nothing was written. */
  | "ZONE_FENCED"
  /** A directory of zones holds what cannot be read as one, or the machine refused a file: see `cause`. */
  | "ZONE_FILES_FAILED";

/** Facts that go with a {@link ZonesError}; each code says which. */
export interface ZonesErrorOptions extends TidemarkErrorOptions {
  readonly definition?: string;
  readonly limit?: number;
  readonly actual?: number;
  readonly expected?: number;
}

/** An expected failure of `@tidemark/zones`. What the store fails with is a `SessionStoreError`. */
export class ZonesError extends TidemarkError<ZonesErrorCode> {
  override readonly name = "ZonesError";
  /** The agent definition it is about. */
  readonly definition: string | undefined;
  /** The bound in force. */
  readonly limit: number | undefined;
  /** What was given or found. */
  readonly actual: number | undefined;
  /** The generation of the lease that writes, for `ZONE_FENCED`. */
  readonly expected: number | undefined;

  constructor(code: ZonesErrorCode, message: string, options: ZonesErrorOptions = {}) {
    super(code, message, options);
    this.definition = options.definition;
    this.limit = options.limit;
    this.actual = options.actual;
    this.expected = options.expected;
  }
}
