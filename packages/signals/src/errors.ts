import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/signals`. Stable within a major version; messages are not. */
export type SignalErrorCode =
  /** A schema contradicts itself: `signal` and `problem` say where. */
  | "SCHEMA_INVALID"
  /** A snapshot was taken under another schema: fold the records instead. */
  | "SCHEMA_DIFFERS"
  /** The schema names no such signal. */
  | "SIGNAL_UNKNOWN"
  /** The signal keeps no such window, or no velocity. */
  | "WINDOW_UNKNOWN"
  /** A name or number of a signal is not what it must be. */
  | "SIGNAL_INVALID";

/** What is wrong with a definition, for `SCHEMA_INVALID`. */
export type SchemaProblem = "name" | "duplicate" | "decay" | "windows" | "velocity" | "count";

/** What goes with a {@link SignalError}. */
export interface SignalErrorOptions extends TidemarkErrorOptions {
  readonly signal?: string;
  readonly problem?: SchemaProblem;
}

/** An expected failure of `@tidemark/signals`. */
export class SignalError extends TidemarkError<SignalErrorCode> {
  override readonly name = "SignalError";
  /** The signal it is about. */
  readonly signal: string | undefined;
  /** Which rule a definition breaks, for `SCHEMA_INVALID`. */
  readonly problem: SchemaProblem | undefined;

  constructor(code: SignalErrorCode, message: string, options: SignalErrorOptions = {}) {
    super(code, message, options);
    this.signal = options.signal;
    this.problem = options.problem;
  }
}
