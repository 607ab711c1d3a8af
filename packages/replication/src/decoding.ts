import { TidemarkError } from "@tidemark/core";
import { ReplicationError } from "./errors.ts";

/** Runs a decoder; whatever it finds wrong becomes one typed error with an offset. */
export function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    // Out of range is what hostile bytes look like to a guard; anything else is a bug and stays one.
    if (!(error instanceof TidemarkError) && !(error instanceof RangeError)) throw error;
    const offset = (error as { offset?: unknown }).offset;
    throw new ReplicationError("MESSAGE_MALFORMED", `Cannot read ${what}: ${error.message}`, {
      cause: error,
      ...(typeof offset === "number" ? { offset } : {}),
    });
  }
}
