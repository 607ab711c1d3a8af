import { guardText } from "@tidemark/core";

/** The longest id, name or source of anything in bytes of UTF-8. */
export const ID_BYTES_MAX: number = 256;

/** The most bytes one commit may write, keys included, if nothing else is asked for. */
export const COMMIT_BYTES_MAX: number = 1024 * 1024;

/** The most records one commit may write or delete, if nothing else is asked for. */
export const COMMIT_OPERATIONS_MAX: number = 512;

/** How much of the first user message picker info keeps, in UTF-16 units. */
export const FIRST_MESSAGE_LENGTH_MAX: number = 256;

const utf8 = new TextEncoder();

/**
 * Returns `id` if it is text of 1 to {@link ID_BYTES_MAX} bytes.
 *
 * @throws `TypeError` if it is no well-formed text, `RangeError` if it is empty or too long.
 */
export function guardId(id: string, what: string): string {
  if (typeof id !== "string") throw new TypeError(`${what} must be text`);
  guardText(id, what);
  // A UTF-16 unit has at most three bytes: only long texts are encoded to be measured.
  const bytes = id.length * 3 <= ID_BYTES_MAX ? id.length : utf8.encode(id).length;
  if (bytes < 1 || bytes > ID_BYTES_MAX) {
    throw new RangeError(`${what} must have 1 to ${ID_BYTES_MAX} bytes of UTF-8: ${bytes}`);
  }
  return id;
}
