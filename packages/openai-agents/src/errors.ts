import { TidemarkError, type TidemarkErrorOptions } from "@tidemark/core";

/** Codes of `@tidemark/openai-agents`. Stable within a major version; messages are not. */
export type OpenAiAgentsErrorCode =
  /** The id of an operation that was applied comes again with another transaction: see `operation`. Nothing was changed. */
  | "OPENAI_AGENTS_OPERATION_CONFLICT"
  /** The history does not end with what a transaction expects. Nothing was changed. */
  | "OPENAI_AGENTS_SUFFIX_MISMATCH"
  /** One call would write more rows or bytes than one commit takes: see `limit`, `actual`. Nothing was changed. */
  | "OPENAI_AGENTS_TOO_LARGE"
  /** Others changed the same session as often as this call may try. Nothing of it counts. */
  | "OPENAI_AGENTS_BUSY";

/** Facts that go with an {@link OpenAiAgentsError}. */
export interface OpenAiAgentsErrorOptions extends TidemarkErrorOptions {
  /** The session it is about. */
  readonly session: string;
  /** The id of the operation, for `OPENAI_AGENTS_OPERATION_CONFLICT`. */
  readonly operation?: string;
  /** The bound in force, for `OPENAI_AGENTS_TOO_LARGE`. */
  readonly limit?: number;
  /** What the call would have written, for `OPENAI_AGENTS_TOO_LARGE`. */
  readonly actual?: number;
}

/** An expected failure of a session. What the key-value store says is passed on as its `KvError`. */
export class OpenAiAgentsError extends TidemarkError<OpenAiAgentsErrorCode> {
  override readonly name = "OpenAiAgentsError";
  /** The session it is about. */
  readonly session: string;
  /** The id of the operation, for `OPENAI_AGENTS_OPERATION_CONFLICT`. */
  readonly operation: string | undefined;
  /** The bound in force, for `OPENAI_AGENTS_TOO_LARGE`. */
  readonly limit: number | undefined;
  /** What the call would have written, for `OPENAI_AGENTS_TOO_LARGE`. */
  readonly actual: number | undefined;

  constructor(code: OpenAiAgentsErrorCode, message: string, options: OpenAiAgentsErrorOptions) {
    super(code, message, { ...options, retryable: options.retryable ?? code === "OPENAI_AGENTS_BUSY" });
    this.session = options.session;
    this.operation = options.operation;
    this.limit = options.limit;
    this.actual = options.actual;
  }
}
