import { hexOf } from "./hex.ts";

/** Bytes of a UUID. */
export const UUID_BYTES = 16;
const UUID_UNITS = 36;
const NO_DIGIT = 0xff;
const HYPHEN = 0x2d;

/** The value of a lower-case hexadecimal digit by its character code. */
const DIGIT: Uint8Array = new Uint8Array(128).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) DIGIT[value.toString(16).charCodeAt(0)] = value;
const scratch = new Uint8Array(UUID_BYTES);

/** Whether a session id is a lower-case UUID, which takes 17 bytes instead of 37. */
export function isUuid(text: string): boolean {
  return writeUuid(text, scratch, 0);
}

/** Texts of UUIDs read lately, a power of two of them: one session's operations come again and again. */
const TEXTS = 4096;
const texts: string[] = Array.from({ length: TEXTS }, () => "");
const words = new Int32Array(TEXTS * 4);

/** The text of a UUID's 16 bytes; the same string again if it was read lately. */
export function formatUuid(bytes: Uint8Array, offset: number): string {
  const a = word(bytes, offset);
  const b = word(bytes, offset + 4);
  const c = word(bytes, offset + 8);
  const d = word(bytes, offset + 12);
  const slot = Math.imul(a ^ b ^ c ^ d, 0x9e37_79b1) >>> 20;
  const at = slot * 4;
  const known = texts[slot] as string;
  const same = words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d;
  if (same && known !== "") return known;
  const part = (from: number, count: number): string => hexOf(bytes, offset + from, count);
  const text = `${part(0, 4)}-${part(4, 2)}-${part(6, 2)}-${part(8, 2)}-${part(10, 6)}`;
  words[at] = a;
  words[at + 1] = b;
  words[at + 2] = c;
  words[at + 3] = d;
  texts[slot] = text;
  return text;
}

/** Writes the 16 bytes of a UUID's text at `offset`; returns whether it is one, and what it wrote is only good then. */
export function writeUuid(text: string, bytes: Uint8Array, offset: number): boolean {
  if (text.length !== UUID_UNITS) return false;
  const hyphens =
    (text.charCodeAt(8) ^ HYPHEN) |
    (text.charCodeAt(13) ^ HYPHEN) |
    (text.charCodeAt(18) ^ HYPHEN) |
    (text.charCodeAt(23) ^ HYPHEN);
  if (hyphens !== 0) return false;
  let bits = writeHex(text, 0, bytes, offset, 4);
  bits |= writeHex(text, 9, bytes, offset + 4, 2);
  bits |= writeHex(text, 14, bytes, offset + 6, 2);
  bits |= writeHex(text, 19, bytes, offset + 8, 2);
  bits |= writeHex(text, 24, bytes, offset + 10, 6);
  return bits < 16;
}

/** Writes `count` bytes of digits; 16 or more says that one was none. */
function writeHex(text: string, from: number, bytes: Uint8Array, at: number, count: number): number {
  let bits = 0;
  for (let index = 0; index < count; index++) {
    const first = text.charCodeAt(from + 2 * index);
    const second = text.charCodeAt(from + 2 * index + 1);
    const high = DIGIT[first & 0x7f] as number;
    const low = DIGIT[second & 0x7f] as number;
    // Beyond ASCII the table was asked for another character.
    bits |= high | low | ((first | second) & ~0x7f);
    bytes[at + index] = (high << 4) | low;
  }
  return bits;
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
