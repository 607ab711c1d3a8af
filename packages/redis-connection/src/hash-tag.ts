const utf8 = new TextEncoder();

/**
 * Any text as a hash tag: letters, digits and `-_./:` as they are, every other byte of its UTF-8 as `%` and two digits in
 * hexadecimal. So there is no brace in it, and no two texts have the same.
 */
export function encodeHashTag(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9\-_./:]/gu, (character) =>
    Array.from(utf8.encode(character), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
  );
}
