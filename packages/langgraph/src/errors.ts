import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/langgraph`. Stable within a major version; messages are not. */
export type LangGraphErrorCode =
  /** A checkpoint names a value whose bytes are not in the store: see `thread`, `checkpoint`. Nothing is made up in its place. */
  | "LANGGRAPH_VALUE_MISSING"
  /** One call would write more bytes than the budget: see `limit`, `actual`. Nothing was written. */
  | "LANGGRAPH_TOO_LARGE"
  /** Others changed the same rows as often as this call may try. Nothing of it counts. */
  | "LANGGRAPH_BUSY";

/** Facts that go with a {@link LangGraphError}. */
export interface LangGraphErrorOptions extends TidemarkErrorOptions {
  /** The thread, for `LANGGRAPH_VALUE_MISSING` and `LANGGRAPH_BUSY`. */
  readonly thread?: string;
  /** The checkpoint, for `LANGGRAPH_VALUE_MISSING`. */
  readonly checkpoint?: string;
  /** The budget in bytes, for `LANGGRAPH_TOO_LARGE`. */
  readonly limit?: number;
  /** What the call would have written, in bytes, for `LANGGRAPH_TOO_LARGE`. */
  readonly actual?: number;
}

/** An expected failure of the saver or the store. What the key-value store says is passed on as its `KvError`. */
export class LangGraphError extends TidemarkError<LangGraphErrorCode> {
  override readonly name = "LangGraphError";
  /** The thread, for `LANGGRAPH_VALUE_MISSING` and `LANGGRAPH_BUSY`. */
  readonly thread: string | undefined;
  /** The checkpoint, for `LANGGRAPH_VALUE_MISSING`. */
  readonly checkpoint: string | undefined;
  /** The budget in bytes, for `LANGGRAPH_TOO_LARGE`. */
  readonly limit: number | undefined;
  /** What the call would have written, in bytes, for `LANGGRAPH_TOO_LARGE`. */
  readonly actual: number | undefined;

  constructor(code: LangGraphErrorCode, message: string, options: LangGraphErrorOptions = {}) {
    super(code, message, { ...options, retryable: options.retryable ?? code === "LANGGRAPH_BUSY" });
    this.thread = options.thread;
    this.checkpoint = options.checkpoint;
    this.limit = options.limit;
    this.actual = options.actual;
  }
}
