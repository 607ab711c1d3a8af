import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/express-session`. Stable within a major version; messages are not. */
export type ExpressSessionErrorCode =
  /** One save would write more fields or bytes than one commit takes: see `limit`, `actual`. Nothing was written. */
  | "EXPRESS_SESSION_TOO_LARGE"
  /** Others changed the same session as often as this call may try. Nothing of it counts. */
  | "EXPRESS_SESSION_BUSY";

/** Facts that go with an {@link ExpressSessionError}. */
export interface ExpressSessionErrorOptions extends TidemarkErrorOptions {
  /** The bound in force, for `EXPRESS_SESSION_TOO_LARGE`. */
  readonly limit?: number;
  /** What the save would have written, for `EXPRESS_SESSION_TOO_LARGE`. */
  readonly actual?: number;
}

/** An expected failure of the store of sessions. What the key-value store says is passed on as its `KvError`. */
export class ExpressSessionError extends TidemarkError<ExpressSessionErrorCode> {
  override readonly name = "ExpressSessionError";
  /** The bound in force, for `EXPRESS_SESSION_TOO_LARGE`. */
  readonly limit: number | undefined;
  /** What the save would have written, for `EXPRESS_SESSION_TOO_LARGE`. */
  readonly actual: number | undefined;

  constructor(code: ExpressSessionErrorCode, message: string, options: ExpressSessionErrorOptions = {}) {
    super(code, message, { ...options, retryable: options.retryable ?? code === "EXPRESS_SESSION_BUSY" });
    this.limit = options.limit;
    this.actual = options.actual;
  }
}
