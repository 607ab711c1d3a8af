const utf8 = new TextEncoder();

/**
 * Returns `value` if it is text of 1 to `bytesMax` bytes of UTF-8.
 *
 * @throws `TypeError` if it is not Unicode text, `RangeError` if it is empty or too long.
 */
export function guardText(value: string, what: string, bytesMax: number): string {
  if (typeof value !== "string" || !isUnicode(value)) throw new TypeError(`${what} must be Unicode text`);
  const bytes = utf8.encode(value).length;
  if (bytes < 1 || bytes > bytesMax) {
    throw new RangeError(`${what} must have 1 to ${bytesMax} bytes of UTF-8: ${bytes}`);
  }
  return value;
}

/** A lone surrogate has no bytes of its own: two texts would be stored as one. */
function isUnicode(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
