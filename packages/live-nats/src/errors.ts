import { JetStreamApiError } from "@nats-io/jetstream";
import { AuthorizationError, NoRespondersError, PermissionViolationError } from "@nats-io/nats-core";
import { TidemarkError } from "@tidemark/core";
import { LiveError } from "@tidemark/live";

/** Codes are stable within a major version; messages are not. */
export type NatsLiveErrorCode =
  /** There is no such stream, and it may not be made. */
  | "STREAM_MISSING"
  /** The stream keeps less than the bounds ask for, refuses what is new when it is full, or has other subjects. */
  | "STREAM_MISMATCH"
  /** The servers refuse the credentials, or the user lacks a right. */
  | "UNAUTHORIZED";

/** The store cannot be opened as it is configured. What fails later is a `LiveError`. */
export class NatsLiveError extends TidemarkError<NatsLiveErrorCode> {
  override readonly name = "NatsLiveError";
}

const WRONG_LAST_SEQUENCE = new Set([10_071, 10_164]);
const STREAM_NOT_FOUND = 10_059;

/** Whether somebody else appended first. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.has(error.code);
}

export function isMissingStream(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND;
}

/** Whether nobody was there to take it: no server with the stream, or no leader. */
export function wasNotTaken(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503;
  return causesOf(error).some((each) => each instanceof NoRespondersError);
}

export function isUnauthorized(error: unknown): boolean {
  return causesOf(error).some(
    (each) => each instanceof AuthorizationError || each instanceof PermissionViolationError,
  );
}

/** Whether reading again may work: no answer, or no leader. */
export function isPassing(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503;
  return !isUnauthorized(error) && !(error instanceof LiveError);
}

/** The error of the contract for what the servers or the connection said. */
export function liveErrorOf(error: unknown, doing: string): LiveError {
  if (error instanceof LiveError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new LiveError("STORE_UNAVAILABLE", `Cannot ${doing}: ${why}`, {
    retryable: !isUnauthorized(error),
    cause: error,
  });
}

/** An error and those underneath: the client wraps what a request met. */
function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let each = error; each instanceof Error && causes.length < 8; each = each.cause) causes.push(each);
  return causes;
}
