/** RFC 4648 §5, without padding. */
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CODES: Uint8Array = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
const VALUES: Uint8Array = new Uint8Array(128).fill(0xff);
CODES.forEach((code, value) => (VALUES[code] = value));

const latin = new TextDecoder();

/** Characters that `bytes` bytes take. */
export function base64urlLength(bytes: number): number {
  return Math.ceil((bytes * 4) / 3);
}

/** Bytes as base64url text. */
export function encodeBase64url(bytes: Uint8Array): string {
  const out = new Uint8Array(base64urlLength(bytes.length));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const triple =
      ((bytes[i] as number) << 16) |
      ((left > 1 ? (bytes[i + 1] as number) : 0) << 8) |
      (left > 2 ? (bytes[i + 2] as number) : 0);
    out[at++] = CODES[triple >>> 18] as number;
    out[at++] = CODES[(triple >>> 12) & 63] as number;
    if (left > 1) out[at++] = CODES[(triple >>> 6) & 63] as number;
    if (left > 2) out[at++] = CODES[triple & 63] as number;
  }
  return latin.decode(out);
}

/**
 * The exact inverse of {@link encodeBase64url} from `start` on; `undefined` for padding, another character, or
 * bits left over that are not zero: two texts never stand for the same bytes.
 */
export function decodeBase64url(text: string, start: number = 0): Uint8Array | undefined {
  const length = text.length - start;
  if (length % 4 === 1) return undefined;
  const out = new Uint8Array(Math.floor((length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const value = code < 128 ? (VALUES[code] as number) : 0xff;
    if (value === 0xff) return undefined;
    held = ((held << 6) | value) & 0xfff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = held >>> bits;
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? out : undefined;
}
