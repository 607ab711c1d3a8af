import { TidemarkError } from "@tidemark/core";
import type { TidemarkErrorOptions } from "@tidemark/core";
import { EXIT } from "./exit-codes.ts";
import type { ExitCode } from "./exit-codes.ts";

/** Codes of `@tidemark/cli`, as `--json` prints them. Stable within a major version; messages are not. */
export type CliErrorCode =
  /** The command line cannot be followed. */
  | "CLI_USAGE"
  /** The path is not there, or is no directory. */
  | "CLI_NO_DIRECTORY"
  /** The directory is empty, or holds something else than a region. */
  | "CLI_NOT_A_REGION"
  /** The directory was written by a newer version of Tidemark. */
  | "CLI_NEWER_VERSION"
  /** A file is not what was written. */
  | "CLI_DAMAGED"
  /** No region has told its status in this directory. */
  | "CLI_NO_STATUS"
  /** The list of members cannot be changed in that way. */
  | "CLI_MEMBERS_REFUSED"
  /** The file that would be written is there. */
  | "CLI_FILE_EXISTS"
  /** What would be changed needs a yes: `--yes`, or an answer on a terminal. */
  | "CLI_UNCONFIRMED"
  /** The directory holds no store of `@tidemark/kv-lmdb`. */
  | "CLI_NOT_A_STORE"
  /** What a store is opened with is not installed. */
  | "CLI_NO_ADAPTER"
  /** The zones travel to other regions, and are changed through the program that has their journal. */
  | "CLI_REPLICATED"
  /** Ended from the keyboard. */
  | "CLI_INTERRUPTED"
  /** The machine refused: a right, a disk, a file. */
  | "CLI_FAILED";

const EXIT_CODES: Readonly<Record<CliErrorCode, ExitCode>> = {
  CLI_USAGE: EXIT.usage,
  CLI_NO_DIRECTORY: EXIT.failure,
  CLI_NOT_A_REGION: EXIT.failure,
  CLI_NEWER_VERSION: EXIT.failure,
  CLI_DAMAGED: EXIT.corrupt,
  CLI_NO_STATUS: EXIT.failure,
  CLI_MEMBERS_REFUSED: EXIT.failure,
  CLI_FILE_EXISTS: EXIT.failure,
  CLI_UNCONFIRMED: EXIT.usage,
  CLI_NOT_A_STORE: EXIT.failure,
  CLI_NO_ADAPTER: EXIT.failure,
  CLI_REPLICATED: EXIT.failure,
  CLI_INTERRUPTED: EXIT.interrupted,
  CLI_FAILED: EXIT.failure,
};

/** Codes of the library that say that bytes on disk are not what was written. */
const CORRUPT = new Set([
  "WAL_CORRUPT",
  "WAL_BAD_FILE",
  "WAL_BAD_BATCH",
  "REGION_DAMAGED",
  "KV_CORRUPT",
  "DATA_CORRUPT",
]);

/** Codes of the library that say that the command line cannot be followed. */
const USAGE = new Set(["INVALID_DEFINITION_ID"]);

const NEWER = "WAL_VERSION_UNSUPPORTED";

/** Why a command cannot do what was asked: told in one line. */
export class CliError extends TidemarkError<CliErrorCode> {
  override readonly name = "CliError";

  // Said here, like in every package: the compiler does not always see that of the base.
  constructor(code: CliErrorCode, message: string, options: TidemarkErrorOptions = {}) {
    super(code, message, options);
  }
}

/** What a failure looks like from outside. */
export interface Failure {
  readonly code: string;
  /** One line. */
  readonly message: string;
  readonly exitCode: ExitCode;
}

/** Draws code, line and exit code from whatever was thrown. */
export function failureOf(error: unknown): Failure {
  const { code, cause } = (error ?? {}) as { readonly code?: unknown; readonly cause?: unknown };
  // What only a newer version can read is no damage, wherever it was met.
  if (code === "WAL_CORRUPT" && (cause as { readonly code?: unknown } | undefined)?.code === NEWER)
    return failureOf(cause);
  const message = oneLine(error instanceof Error ? error.message : String(error));
  if (error instanceof CliError) return { code: error.code, message, exitCode: EXIT_CODES[error.code] };
  if (typeof code === "string" && CORRUPT.has(code)) return { code, message, exitCode: EXIT.corrupt };
  if (typeof code === "string" && USAGE.has(code)) return { code, message, exitCode: EXIT.usage };
  return { code: typeof code === "string" ? code : "CLI_FAILED", message, exitCode: EXIT.failure };
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").trim();
}
