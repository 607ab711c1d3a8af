import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes are stable within a major version; messages are not. */
export type LiveHttpErrorCode =
  /** What a server sent is not what it should be: an event that is too large, or holds something else. */
  | "SSE_MALFORMED"
  /** A server refused, and would refuse again: see `status` and `reason`. */
  | "REFUSED";

/** Facts that go with a {@link LiveHttpError}. */
export interface LiveHttpErrorOptions extends TidemarkErrorOptions {
  /** Of the answer, for `REFUSED`. */
  readonly status?: number;
  /** The code in the answer, for `REFUSED`, where it has one. */
  readonly reason?: string;
}

/** An expected failure of watching over HTTP. */
export class LiveHttpError extends TidemarkError<LiveHttpErrorCode> {
  override readonly name = "LiveHttpError";
  /** Of the answer, for `REFUSED`. */
  readonly status: number | undefined;
  /** The code in the answer, for `REFUSED`, where it has one. */
  readonly reason: string | undefined;

  constructor(code: LiveHttpErrorCode, message: string, options: LiveHttpErrorOptions = {}) {
    super(code, message, options);
    this.status = options.status;
    this.reason = options.reason;
  }
}
