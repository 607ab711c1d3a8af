import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/live`. Stable within a major version; messages are not. */
export type LiveErrorCode =
  /** A cursor, or text that should be an event, is not what its format says: see `reason`. */
  | "MALFORMED"
  /** A cursor of another session: see `expected`, `actual`. */
  | "WRONG_SESSION"
  /** A subscriber fell behind what is held for it: `missed` events are gone, and the next read goes on behind them. */
  | "SUBSCRIBER_LAGGED"
  /** A source cannot tell every commit behind a session cursor: observe anew. A watch makes it a gap. */
  | "COMMITS_MISSING"
  /** The store or the handle was closed. */
  | "CLOSED"
  /** The medium of a replay store did not answer. An event may have been appended all the same. */
  | "STORE_UNAVAILABLE"
  /** An event is larger than its store or its encoding takes: see `limit`, `actual`. Nothing was appended. */
  | "EVENT_TOO_LARGE";

/** Facts that go with a {@link LiveError}. */
export interface LiveErrorOptions extends TidemarkErrorOptions {
  /** What was wrong, in words, for `MALFORMED`. */
  readonly reason?: string;
  /** The session that was asked for, for `WRONG_SESSION`. */
  readonly expected?: string;
  /** The session that the cursor names, for `WRONG_SESSION`; the bytes of the event, for `EVENT_TOO_LARGE`. */
  readonly actual?: string | number;
  /** How many events were missed, for `SUBSCRIBER_LAGGED`. */
  readonly missed?: number;
  /** The bound in force in bytes, for `EVENT_TOO_LARGE`. */
  readonly limit?: number;
}

const RETRYABLE: ReadonlySet<LiveErrorCode> = new Set(["STORE_UNAVAILABLE", "SUBSCRIBER_LAGGED"]);

/** An expected failure of `@tidemark/live`. `STORE_UNAVAILABLE` and `SUBSCRIBER_LAGGED` are retryable. */
export class LiveError extends TidemarkError<LiveErrorCode> {
  override readonly name = "LiveError";
  /** What was wrong, in words, for `MALFORMED`. */
  readonly reason: string | undefined;
  /** The session that was asked for, for `WRONG_SESSION`. */
  readonly expected: string | undefined;
  /** The session that the cursor names, for `WRONG_SESSION`; the bytes of the event, for `EVENT_TOO_LARGE`. */
  readonly actual: string | number | undefined;
  /** How many events were missed, for `SUBSCRIBER_LAGGED`. */
  readonly missed: number | undefined;
  /** The bound in force in bytes, for `EVENT_TOO_LARGE`. */
  readonly limit: number | undefined;

  constructor(code: LiveErrorCode, message: string, options: LiveErrorOptions = {}) {
    super(code, message, { ...options, retryable: options.retryable ?? RETRYABLE.has(code) });
    this.reason = options.reason;
    this.expected = options.expected;
    this.actual = options.actual;
    this.missed = options.missed;
    this.limit = options.limit;
  }
}

/** Text that cannot be read, with the reason as a field. */
export function malformed(what: string, reason: string): LiveError {
  return new LiveError("MALFORMED", `Cannot read ${what}: ${reason}`, { reason });
}

/** Whether an error is ours with that code. */
export function isLiveError(error: unknown, code: LiveErrorCode): error is LiveError {
  return error instanceof LiveError && error.code === code;
}
