import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/ai-sdk`. Stable within a major version; messages are not. */
export type ChatErrorCode =
  /** A request to a chat is none: no JSON, no id of a chat, no messages. Answered with status 400. */
  | "CHAT_REQUEST_INVALID"
  /** A request has more bytes than `bodyBytesMax`. Answered with status 413. */
  | "CHAT_BODY_TOO_LARGE"
  /** `authorize` said no. Answered with status 403. */
  | "CHAT_FORBIDDEN"
  /** The messages could not be saved, and no model was called. Answered with status 503. */
  | "CHAT_NOT_SAVED"
  /** Nobody in this region has heard of the answer, or it cannot be read here now. Answered with status 503. */
  | "CHAT_STREAM_UNAVAILABLE"
  /** What was read before is not of this answer: read it from the start. Answered with status 409. */
  | "CHAT_OFFSET_INVALID"
  /** A path or method that is none of a chat. Answered with status 404. */
  | "CHAT_UNKNOWN_PATH"
  /** The server refused: see `status`. */
  | "CHAT_REFUSED"
  /** No region answered, however often it was tried. */
  | "CHAT_UNREACHABLE"
  /** An answer that is no stream of chunks. */
  | "CHAT_REPLY_INVALID"
  /** The text of a resumed stream ends here, and it was not done: see `state`. */
  | "STREAM_INTERRUPTED";

/** Facts that go with a {@link ChatError}. */
export interface ChatErrorOptions extends TidemarkErrorOptions {
  /** The status of the response, for `CHAT_REFUSED`. */
  readonly status?: number;
  /** `error`, `cancelled` or `orphaned`, for `STREAM_INTERRUPTED`. */
  readonly state?: string;
}

const RETRYABLE: ReadonlySet<ChatErrorCode> = new Set([
  "CHAT_NOT_SAVED",
  "CHAT_STREAM_UNAVAILABLE",
  "CHAT_UNREACHABLE",
]);

/** An expected failure of `@tidemark/ai-sdk`. */
export class ChatError extends TidemarkError<ChatErrorCode> {
  override readonly name = "ChatError";
  /** The status of the response, for `CHAT_REFUSED`. */
  readonly status: number | undefined;
  /** `error`, `cancelled` or `orphaned`, for `STREAM_INTERRUPTED`. */
  readonly state: string | undefined;

  constructor(code: ChatErrorCode, message: string, options: ChatErrorOptions = {}) {
    super(code, message, { ...options, retryable: options.retryable ?? RETRYABLE.has(code) });
    this.status = options.status;
    this.state = options.state;
  }
}
