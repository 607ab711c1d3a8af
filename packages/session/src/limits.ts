import { SessionError } from "./errors.ts";

/** Bytes of a name in UTF-8: session, user, agent, entity, signal, item, key, namespace, policy, operationId. */
export const NAME_BYTES_MAX = 128;
/** Bytes of a text in UTF-8: annotation, hint, query, metadata value. */
export const TEXT_BYTES_MAX: number = 16 * 1024;
/** Bytes of one `app` operation. */
export const APP_BYTES_MAX: number = 256 * 1024;
/** Entries of a session's metadata. */
export const METADATA_COUNT_MAX: number = 128 * 1024;
/** Bytes of a whole operation: a start with the most metadata fits. */
export const OP_BYTES_MAX: number = 2 * 1024 * 1024;
/** Bytes of the digest of a signal schema. */
export const SCHEMA_DIGEST_BYTES = 32;
/** How far above the high-water mark of its lane a client's number may be. */
export const LANE_AHEAD_MAX = 1024;
/** Queries kept per session: the latest. */
export const SEARCH_COUNT_MAX = 100;
/** `app` operations kept per session and namespace: the latest. */
export const APP_COUNT_MAX = 1000;
/** Bytes of one user's operations above the stability frontier that are kept for tickets. */
export const UNSTABLE_BYTES_MAX: number = 64 * 1024;

/** Whether a number is a probability that something that happened can have had. */
export function isPropensity(value: number): boolean {
  return value > 0 && value <= 1;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Returns the name. @throws {@link SessionError} `INVALID_INPUT` unless it has 1 to 128 bytes of UTF-8. */
export function checkName(value: string, what: string): string {
  if (typeof value !== "string" || value === "") throw invalid(`${what} must not be empty`);
  return checkText(value, what, NAME_BYTES_MAX);
}

/** Returns the text. @throws {@link SessionError} `INVALID_INPUT` if it is too long or has a lone surrogate. */
export function checkText(value: string, what: string, bytesMax: number = TEXT_BYTES_MAX): string {
  if (typeof value !== "string") throw invalid(`${what} must be a string`);
  // No UTF-16 unit takes more than three bytes, so a short text need not be counted.
  if (value.length * 3 > bytesMax) {
    const bytes = value.length > bytesMax ? value.length : utf8Bytes(value);
    if (bytes > bytesMax) throw invalid(`${what} has at least ${bytes} bytes: the limit is ${bytesMax}`);
  }
  if (LONE_SURROGATE.test(value)) throw invalid(`${what} must not hold a lone surrogate`);
  return value;
}

/** Returns the bytes. @throws {@link SessionError} `INVALID_INPUT` if there are too many. */
export function checkBytes(value: Uint8Array, what: string, bytesMax: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw invalid(`${what} must be a Uint8Array`);
  if (value.length > bytesMax) throw invalid(`${what} has ${value.length} bytes: the limit is ${bytesMax}`);
  return value;
}

/** Bytes of a well-formed string in UTF-8. */
export function utf8Bytes(value: string): number {
  let bytes = value.length;
  for (let unit = 0; unit < value.length; unit++) {
    const code = value.charCodeAt(unit);
    if (code >= 0x80) bytes += code >= 0x800 && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

/** An argument no operation can carry. */
export function invalid(message: string): SessionError {
  return new SessionError("INVALID_INPUT", message);
}
