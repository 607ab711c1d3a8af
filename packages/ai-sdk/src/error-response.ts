import { StreamLogError } from "@tidemark/live";
import { ChatError, type ChatErrorCode } from "./errors.ts";

const STATUS: Partial<Record<ChatErrorCode, number>> = {
  CHAT_REQUEST_INVALID: 400,
  CHAT_FORBIDDEN: 403,
  CHAT_UNKNOWN_PATH: 404,
  CHAT_OFFSET_INVALID: 409,
  CHAT_BODY_TOO_LARGE: 413,
  CHAT_NOT_SAVED: 503,
  CHAT_STREAM_UNAVAILABLE: 503,
};

/** A failure as a response: `{ code, message }`. What is not ours is logged, and shown to nobody. */
export function errorResponse(error: unknown, onError: (error: unknown) => string): Response {
  const known = asChatError(error);
  if (known === undefined) {
    const message = onError(error);
    return Response.json({ code: "INTERNAL", message }, { status: 500 });
  }
  const { code, message, retryable } = known;
  return Response.json(
    { code, message },
    { status: STATUS[code] ?? 500, ...(retryable ? { headers: { "retry-after": "1" } } : {}) },
  );
}

function asChatError(error: unknown): ChatError | undefined {
  if (error instanceof ChatError) return error;
  if (error instanceof RangeError)
    return new ChatError("CHAT_REQUEST_INVALID", error.message, { cause: error });
  if (!(error instanceof StreamLogError)) return undefined;
  const code = error.code === "STREAM_OFFSET_INVALID" ? "CHAT_OFFSET_INVALID" : "CHAT_STREAM_UNAVAILABLE";
  return new ChatError(code, error.message, { cause: error });
}
