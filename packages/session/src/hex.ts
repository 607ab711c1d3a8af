const DIGITS: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);

/** Lower-case hexadecimal digits of `count` bytes from `offset`. */
export function hexOf(bytes: Uint8Array, offset: number = 0, count: number = bytes.length - offset): string {
  let text = "";
  for (let at = offset; at < offset + count; at++) text += DIGITS[bytes[at] as number] as string;
  return text;
}

/** The exact inverse of {@link hexOf} for text known to be hexadecimal. */
export function bytesOfHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = Number.parseInt(text.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}
