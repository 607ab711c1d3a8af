/** Why a request was refused: the `code` of the JSON body of every error of the handler. */
export type StreamErrorCode =
  /** A header, a query parameter or the body is not what the protocol says. */
  | "BAD_REQUEST"
  /** `authorize` said no. */
  | "FORBIDDEN"
  /** There is no such stream, or it has expired. */
  | "STREAM_NOT_FOUND"
  /** The stream was deleted while forks read from it, or it does not hold the position asked for. */
  | "STREAM_GONE"
  /** The stream exists and is another than the one to create. */
  | "STREAM_CONFLICT"
  /** The stream is closed: nothing can be appended. */
  | "STREAM_CLOSED"
  /** What is appended is of another content type than the stream. */
  | "CONTENT_TYPE_MISMATCH"
  /** `Stream-Seq` is not greater than the last. */
  | "SEQUENCE_CONFLICT"
  /** The producer has a greater epoch elsewhere: `Producer-Epoch` says which. */
  | "STALE_EPOCH"
  /** An append of the producer is missing: `Producer-Expected-Seq` says which. */
  | "SEQUENCE_GAP"
  /** The method is none of the protocol. */
  | "METHOD_NOT_ALLOWED"
  /** The body, the stream or a header is above its limit. */
  | "TOO_LARGE"
  /** Too many readers wait, or the stream has too many producers or forks. */
  | "TOO_MANY"
  /** The store did not answer, or others kept the stream busy. The request may be sent again as it is. */
  | "UNAVAILABLE"
  /** The store holds what it should not, or this is a bug. */
  | "INTERNAL";

const STATUS: Readonly<Record<StreamErrorCode, number>> = {
  BAD_REQUEST: 400,
  FORBIDDEN: 403,
  STREAM_NOT_FOUND: 404,
  STREAM_GONE: 410,
  STREAM_CONFLICT: 409,
  STREAM_CLOSED: 409,
  CONTENT_TYPE_MISMATCH: 409,
  SEQUENCE_CONFLICT: 409,
  STALE_EPOCH: 403,
  SEQUENCE_GAP: 409,
  METHOD_NOT_ALLOWED: 405,
  TOO_LARGE: 413,
  TOO_MANY: 429,
  UNAVAILABLE: 503,
  INTERNAL: 500,
};

/** A request that is answered with an error. It never leaves the handler. */
export class StreamRefusal extends Error {
  override readonly name = "StreamRefusal";
  readonly code: StreamErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: StreamErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.status = STATUS[code];
    this.headers = headers;
  }
}
