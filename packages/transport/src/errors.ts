/** Codes of a transport. Stable within a major version; messages are not. */
export type TransportErrorCode =
  /** The transport was closed; nothing more goes through it. */
  | "TRANSPORT_CLOSED"
  /** The frame is above `capabilities.frameBytesMax`. */
  | "FRAME_TOO_LARGE"
  /** No reply within the time given: the handler may have run. */
  | "REQUEST_TIMEOUT"
  /** Nobody serves the subject. */
  | "NO_RESPONDER"
  /** The medium did not take custody: whether it stored the frame is unknown. */
  | "PUBLISH_FAILED"
  /** The subject is served already. */
  | "SUBJECT_IN_USE"
  /** The medium refused the credentials or the subject. */
  | "UNAUTHORIZED"
  /** The subject is not of the form a transport carries. */
  | "INVALID_SUBJECT";

/** What goes with a {@link TransportError}. */
export interface TransportErrorOptions {
  /** Whether the same call may succeed later without the caller changing anything. @defaultValue false */
  readonly retryable?: boolean;
  /** The error underneath, kept untouched. */
  readonly cause?: unknown;
}

/** An expected failure of a transport. */
export class TransportError extends Error {
  override readonly name = "TransportError";
  /** What went wrong, for programs. */
  readonly code: TransportErrorCode;
  /** Whether the same call may succeed later without the caller changing anything. */
  readonly retryable: boolean;

  constructor(code: TransportErrorCode, message: string, options: TransportErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}
