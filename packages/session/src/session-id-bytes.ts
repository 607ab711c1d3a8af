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

/** The text of a UUID's 16 bytes. */
export function formatUuid(bytes: Uint8Array, offset: number): string {
  const part = (from: number, count: number): string => hexOf(bytes, offset + from, count);
  return `${part(0, 4)}-${part(4, 2)}-${part(6, 2)}-${part(8, 2)}-${part(10, 6)}`;
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
