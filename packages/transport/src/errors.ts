/** Codes are stable within a major version; messages are not. */
export type TransportErrorCode =
  /** The transport was closed before the call could be answered. */
  | "TRANSPORT_CLOSED"
  /** A frame, request or answer is longer than `capabilities.frameBytesMax`. */
  | "FRAME_TOO_LARGE"
  /** No answer came within `timeoutMs`. The handler may have run. */
  | "REQUEST_TIMEOUT"
  /** Nobody serves the subject, or its handler rejected instead of answering. */
  | "NO_RESPONDER"
  /** The medium did not confirm custody. It may hold the frame all the same. */
  | "PUBLISH_FAILED"
  /** The subject has a handler already. */
  | "SUBJECT_IN_USE"
  /** The medium refused our credentials or a permission is missing. */
  | "UNAUTHORIZED"
  /** The subject is not one to eight tokens of `A-Z a-z 0-9 _ -` joined by dots, or longer than 200 characters. */
  | "INVALID_SUBJECT";

/** Options of a {@link TransportError}. */
export interface TransportErrorOptions {
  /** Whether the same call may succeed later without the caller changing anything. @defaultValue by code */
  readonly retryable?: boolean;
  /** The error underneath, kept untouched. */
  readonly cause?: unknown;
}

const RETRYABLE: ReadonlySet<TransportErrorCode> = new Set([
  "REQUEST_TIMEOUT",
  "NO_RESPONDER",
  "PUBLISH_FAILED",
  "SUBJECT_IN_USE",
]);

/**
 * An expected failure of a transport.
 *
 * Test `error.code`: a code is stable within a major version, a message is not. A wrong argument (a
 * time-out that is no positive number) is a `RangeError` instead, because nobody should branch on a bug.
 *
 * @example
 * ```ts
 * const error = new TransportError("REQUEST_TIMEOUT", "No answer on inbox.2: waited 500 ms");
 * assert.equal(error.code, "REQUEST_TIMEOUT");
 * assert.equal(error.retryable, true);
 * ```
 */
export class TransportError extends Error {
  override readonly name = "TransportError";
  /** What went wrong, for programs. */
  readonly code: TransportErrorCode;
  /** Whether the same call may succeed later without the caller changing anything. */
  readonly retryable: boolean;

  constructor(code: TransportErrorCode, message: string, options: TransportErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? RETRYABLE.has(code);
  }
}
