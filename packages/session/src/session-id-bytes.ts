import { hexOf } from "./hex.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether a session id is a lower-case UUID, which takes 17 bytes instead of 37. */
export function isUuid(text: string): boolean {
  return text.length === 36 && text.charCodeAt(8) === 0x2d && UUID.test(text);
}

/** The text of a UUID's 16 bytes. */
export function formatUuid(bytes: Uint8Array, offset: number): string {
  const part = (from: number, count: number): string => hexOf(bytes, offset + from, count);
  return `${part(0, 4)}-${part(4, 2)}-${part(6, 2)}-${part(8, 2)}-${part(10, 6)}`;
}

/** Writes the 16 bytes of a UUID's text at `offset`. */
export function writeUuid(text: string, bytes: Uint8Array, offset: number): void {
  let at = offset;
  for (let unit = 0; unit < 36; unit += 2) {
    if (unit === 8 || unit === 13 || unit === 18 || unit === 23) unit += 1;
    bytes[at++] = (digit(text.charCodeAt(unit)) << 4) | digit(text.charCodeAt(unit + 1));
  }
}

function digit(code: number): number {
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
