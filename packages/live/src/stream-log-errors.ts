import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of the stream log. Stable within a major version; messages are not. */
export type StreamLogErrorCode =
  /** A stream of this id was started before, here or elsewhere: see `stream`. */
  | "STREAM_EXISTS"
  /** Another writer of the same stream came first by order, or the text was read from a writer that did not: see `stream`. */
  | "STREAM_FENCED"
  /** Somebody cancelled the stream: see `stream`. */
  | "STREAM_CANCELLED"
  /** The stream was closed or failed: nothing more can be written. */
  | "STREAM_ENDED"
  /** The stream would be longer than `limit`; what was refused was not written. */
  | "STREAM_TOO_LONG"
  /** An offset is none, or of another stream: see the message. */
  | "STREAM_OFFSET_INVALID"
  /** As many streams are followed at once as `limit` allows. */
  | "STREAM_LIMIT"
  /** The journal failed, which is the cause. What was given to `write` and not flushed may be lost. */
  | "STREAM_UNAVAILABLE";

/** Facts that go with a {@link StreamLogError}; each code says which. */
export interface StreamLogErrorOptions extends TidemarkErrorOptions {
  readonly stream?: string;
  /** A bound, in the unit of the message. */
  readonly limit?: number;
}

const RETRYABLE: ReadonlySet<StreamLogErrorCode> = new Set(["STREAM_LIMIT", "STREAM_UNAVAILABLE"]);

/** An expected failure of the stream log. Facts that its code does not name are `undefined`. */
export class StreamLogError extends TidemarkError<StreamLogErrorCode> {
  override readonly name = "StreamLogError";
  readonly stream: string | undefined;
  readonly limit: number | undefined;

  constructor(code: StreamLogErrorCode, message: string, options: StreamLogErrorOptions = {}) {
    super(code, message, { ...options, retryable: options.retryable ?? RETRYABLE.has(code) });
    this.stream = options.stream;
    this.limit = options.limit;
  }
}
