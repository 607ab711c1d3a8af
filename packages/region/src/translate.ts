import { CoreError } from "@tidemark/core";
import { ReplicationError } from "@tidemark/replication";
import { SessionError } from "@tidemark/session";
import { WalError } from "@tidemark/wal";
import { RegionError } from "./errors.ts";

/** What a caller of a region is told of an error underneath: a code of its own, the log's, or the error as it is. */
export function translate(error: unknown, region: string): unknown {
  if (!(error instanceof ReplicationError)) return error;
  const { message, retryable, cause } = error;
  switch (error.code) {
    case "REPLICATION_CLOSED":
      return closedError(region, error);
    case "NOT_READY":
      return new RegionError("REGION_NOT_READY", message, { retryable: true, cause: error });
    case "READ_ONLY":
      return new RegionError("READ_ONLY", message, { cause: error });
    case "POSITION_UNKNOWN":
      return new RegionError("POSITION_UNKNOWN", message, { cause: error });
    case "MEMBERSHIP_MISMATCH":
      return new RegionError("MEMBERSHIP_MISMATCH", `${message}; mend one of them`, {
        retryable,
        cause: error,
      });
    case "MEMBERSHIP_REFUSED":
      return new RegionError("MEMBERSHIP_REFUSED", message, { cause: error });
    case "FENCED":
      return new RegionError(retryable ? "REGION_FENCED" : "REGION_REMOVED", message, {
        retryable,
        cause: error,
      });
    case "LOG_TRIMMED":
      return new RegionError("REGION_DAMAGED", `${message}; restore the directory's checkpoint`, {
        cause: error,
      });
    case "EPOCH_ROLLED":
      // What failed is the disk: the log says how.
      return cause instanceof WalError ? cause : error;
    default:
      return error;
  }
}

/** Bytes inside a ticket that are no operation: the ticket is at fault. */
export function ticketError(error: unknown): unknown {
  if (!(error instanceof CoreError) || error.code !== "DECODE_FAILED") return error;
  return new SessionError("TICKET_MALFORMED", `Cannot read an operation of the ticket: ${error.message}`, {
    cause: error,
  });
}

export function closedError(region: string, cause?: unknown): RegionError {
  return new RegionError("REGION_CLOSED", `Cannot use the region ${region}: it was closed; open it again`, {
    cause,
  });
}
