import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";

/** Bytes of an effect id. */
export const EFFECT_ID_BYTES = 16;

/**
 * An effect id as a `HideSet` keys it: 16 characters, one a byte (latin1). Half the length of hex, cheaper to hash and
 * compare, and `<` on them is the order of the bytes. Not for printing.
 */
export function effectKey(bytes: Uint8Array, offset: number = 0): string {
  if (offset + EFFECT_ID_BYTES > bytes.length)
    throw new RangeError(`effect id must have 16 bytes: ${bytes.length - offset}`);
  let key = "";
  for (let index = offset; index < offset + EFFECT_ID_BYTES; index++)
    key += String.fromCharCode(bytes[index] as number);
  return key;
}

/** Appends the 16 bytes of a key that {@link effectKey} made. */
export function writeEffectKey(writer: ByteWriter, key: string): void {
  for (let index = 0; index < EFFECT_ID_BYTES; index++) writer.u8(key.charCodeAt(index));
}

/** Reads 16 bytes as a key. @throws {@link CoreError} `DECODE_FAILED`. */
export function readEffectKey(reader: ByteReader): string {
  return effectKey(reader.view(EFFECT_ID_BYTES));
}

// Every character from U+0000 to U+00FF, control characters on purpose: it is bytes.
// oxlint-disable-next-line no-control-regex
const EFFECT_KEY = /^[\u0000-\u00ff]{16}$/;

/** Returns `key`. @throws `RangeError` unless {@link effectKey} could have made it. */
export function guardEffectKey(key: string, what: string): string {
  if (!EFFECT_KEY.test(key))
    throw new RangeError(`${what} must be 16 characters up to U+00FF: see effectKey()`);
  return key;
}
