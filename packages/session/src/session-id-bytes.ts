import { hexOf } from "./hex.ts";

/** Bytes of a UUID. */
export const UUID_BYTES = 16;
const UUID_UNITS = 36;
const NO_DIGIT = 0xff;

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
  let at = offset;
  let bits = 0;
  for (let unit = 0; unit < UUID_UNITS; unit += 2) {
    if (unit === 8 || unit === 13 || unit === 18 || unit === 23) {
      if (text.charCodeAt(unit) !== 0x2d) return false;
      unit += 1;
    }
    const high = digit(text.charCodeAt(unit));
    const low = digit(text.charCodeAt(unit + 1));
    bits |= high | low;
    bytes[at++] = (high << 4) | low;
  }
  return bits < 16;
}

function digit(code: number): number {
  return code < 128 ? (DIGIT[code] as number) : NO_DIGIT;
}

function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}
