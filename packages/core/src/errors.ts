/** Options every Tidemark error takes. */
export interface TidemarkErrorOptions {
  /** Whether the same call may succeed later without the caller changing anything. @defaultValue false */
  readonly retryable?: boolean;
  /** The error underneath, kept untouched. */
  readonly cause?: unknown;
}

/**
 * The base of every expected failure of Tidemark.
 *
 * Test `error.code`: a code is stable within a major version, a message is not. A wrong argument is a
 * `TypeError` or `RangeError` instead, because nobody should branch on a bug.
 */
export class TidemarkError<Code extends string = string> extends Error {
  override readonly name: string = "TidemarkError";
  /** What went wrong, for programs. */
  readonly code: Code;
  /** Whether the same call may succeed later without the caller changing anything. */
  readonly retryable: boolean;

  constructor(code: Code, message: string, options: TidemarkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Codes of `@tidemark/core`. Stable within a major version; messages are not. */
export type CoreErrorCode =
  /** Bytes are not what their format says: see `offset`. */
  | "DECODE_FAILED"
  /** A counter would pass 2^53-1. */
  | "COUNTER_OVERFLOW"
  /** A weight is not a finite number below 2^40 in magnitude. */
  | "INVALID_WEIGHT"
  /** A stamp or event time given by a client is too far ahead of the clock. */
  | "HLC_DRIFT_EXCEEDED";

/** Numbers that go with a {@link CoreError}. */
export interface CoreErrorOptions extends TidemarkErrorOptions {
  /** Bytes from the start of the input, for `DECODE_FAILED`. */
  readonly offset?: number;
  /** How far ahead the stamp was, in milliseconds, for `HLC_DRIFT_EXCEEDED`. */
  readonly aheadMs?: number;
  /** The bound in force, in milliseconds, for `HLC_DRIFT_EXCEEDED`. */
  readonly driftMsMax?: number;
}

/** An expected failure of `@tidemark/core`. */
export class CoreError extends TidemarkError<CoreErrorCode> {
  override readonly name = "CoreError";
  /** Bytes from the start of the input, for `DECODE_FAILED`. */
  readonly offset: number | undefined;
  /** How far ahead the stamp was, in milliseconds, for `HLC_DRIFT_EXCEEDED`. */
  readonly aheadMs: number | undefined;
  /** The bound in force, in milliseconds, for `HLC_DRIFT_EXCEEDED`. */
  readonly driftMsMax: number | undefined;

  constructor(code: CoreErrorCode, message: string, options: CoreErrorOptions = {}) {
    super(code, message, options);
    this.offset = options.offset;
    this.aheadMs = options.aheadMs;
    this.driftMsMax = options.driftMsMax;
  }
}
