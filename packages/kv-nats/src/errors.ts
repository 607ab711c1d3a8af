import { JetStreamApiError } from "@nats-io/jetstream";
import { AuthorizationError, NoRespondersError, PermissionViolationError } from "@nats-io/nats-core";
import { TidemarkError } from "@tidemark/core";
import { KvError } from "@tidemark/kv";

/** Codes are stable within a major version; messages are not. */
export type NatsKvErrorCode =
  /** There is no such bucket, and it may not be made. */
  | "BUCKET_MISSING"
  /** The bucket forgets keys by itself: it has a time to live, or discards what is old. */
  | "BUCKET_FORGETS"
  /** The servers refuse the credentials, or the user lacks a right. */
  | "UNAUTHORIZED";

/** The store cannot be opened as it is configured. What fails later is a `KvError`. */
export class NatsKvError extends TidemarkError<NatsKvErrorCode> {
  override readonly name = "NatsKvError";
}

const WRONG_LAST_SEQUENCE = new Set([10_071, 10_164]);
const STREAM_NOT_FOUND = 10_059;

/** Whether somebody else wrote the key first. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.has(error.code);
}

export function isMissingBucket(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND;
}

export function isUnauthorized(error: unknown): boolean {
  return causesOf(error).some(
    (each) => each instanceof AuthorizationError || each instanceof PermissionViolationError,
  );
}

/** Whether the server is known not to have done it: it said no, or nobody was there. */
export function wasRefused(error: unknown): boolean {
  if (error instanceof JetStreamApiError || isUnauthorized(error)) return true;
  return causesOf(error).some((each) => each instanceof NoRespondersError);
}

/** Whether the same is worth trying again at once: no answer, or no leader. */
export function isPassing(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503;
  return !isUnauthorized(error);
}

/** An error and those underneath: the client wraps what a request met. */
function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let each = error; each instanceof Error && causes.length < 8; each = each.cause) causes.push(each);
  return causes;
}

/** The error of the contract for what the server or its connection said. */
export function kvErrorOf(
  error: unknown,
  doing: string,
  committed: "no" | "unknown" = wasRefused(error) ? "no" : "unknown",
): KvError {
  const why = error instanceof Error ? error.message : String(error);
  return new KvError("KV_UNAVAILABLE", `Cannot ${doing}: ${why}`, {
    committed,
    retryable: !isUnauthorized(error),
    cause: error,
  });
}
