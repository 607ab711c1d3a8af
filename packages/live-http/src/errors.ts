import { TidemarkError } from "@tidemark/core";

/** Codes are stable within a major version; messages are not. */
export type LiveHttpErrorCode =
  /** What a server sent is not what it should be: an event that is too large, or holds something else. */
  "SSE_MALFORMED";

/** An expected failure of watching over HTTP. */
export class LiveHttpError extends TidemarkError<LiveHttpErrorCode> {
  override readonly name = "LiveHttpError";
}
