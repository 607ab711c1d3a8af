import { LiveError } from "@tidemark/live";

/** Why a request was refused: the `code` of the JSON body of every error of the handler. */
export type SessionErrorCode =
  /** The cursor is none. */
  | "MALFORMED"
  /** The cursor is of another session. */
  | "WRONG_SESSION"
  /** The cursor was not sealed with a key of this handler. */
  | "CURSOR_FORGED"
  /** The path names no session: its last part is empty, too long or not percent-encoded UTF-8. */
  | "SESSION_INVALID"
  /** `authorize` said no. */
  | "FORBIDDEN"
  /** There is nothing under this path. */
  | "NOT_FOUND"
  /** The path is there, and not for this method. */
  | "METHOD_NOT_ALLOWED"
  /** The body is no JSON object with the turn to stop. */
  | "BODY_INVALID"
  /** The body is above its limit. */
  | "BODY_TOO_LARGE"
  /** The headers or the address are above their limit. */
  | "HEADERS_TOO_LARGE"
  /** This client has as many streams open as it may. */
  | "CLIENT_STREAMS_MAX"
  /** The handler has as many streams open as it may. */
  | "STREAMS_MAX"
  /** What the answer needs did not come in time, or not now. The request may be sent again as it is. */
  | "UNAVAILABLE"
  /** This is a bug, or the source holds what it should not. */
  | "INTERNAL";

const STATUS: Readonly<Record<SessionErrorCode, number>> = {
  MALFORMED: 400,
  WRONG_SESSION: 403,
  CURSOR_FORGED: 403,
  SESSION_INVALID: 400,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  BODY_INVALID: 400,
  BODY_TOO_LARGE: 413,
  HEADERS_TOO_LARGE: 431,
  CLIENT_STREAMS_MAX: 429,
  STREAMS_MAX: 503,
  UNAVAILABLE: 503,
  INTERNAL: 500,
};
/** Seconds after which a client that is asked to come back may do so. */
const RETRY_AFTER_S = 5;

/** A request that is answered with an error. It never leaves the handler. */
export class SessionRefusal extends Error {
  override readonly name = "SessionRefusal";
  readonly code: SessionErrorCode;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: SessionErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }

  /** As an answer: the code and the message as JSON. */
  toResponse(): Response {
    const status = STATUS[this.code];
    const later = status === 429 || status === 503 ? { "retry-after": String(RETRY_AFTER_S) } : {};
    return jsonResponse({ code: this.code, message: this.message }, status, { ...later, ...this.headers });
  }
}

/** An answer that no cache keeps and no browser takes for something else. */
export function jsonResponse(
  body: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}

/** The refusal that an error stands for; `undefined` for one that nobody expected. */
export function refusalOf(error: unknown): SessionRefusal | undefined {
  if (error instanceof SessionRefusal) return error;
  if (!(error instanceof LiveError)) return undefined;
  if (error.code === "MALFORMED" || error.code === "WRONG_SESSION")
    return new SessionRefusal(error.code, error.message);
  if (error.code === "EVENT_TOO_LARGE") return undefined;
  return new SessionRefusal("UNAVAILABLE", "Cannot answer now: the events are not to be had");
}
