import { type ByteReader, type ByteWriter, HASH_CONTEXTS, type Hasher } from "@tidemark/core";

/** Up to so many bytes a value lies in the record that names it. */
export const INLINE_BYTES_MAX: number = 512;

/**
 * How long the parts of a longer value are; the last may be shorter. A list that grows at its end keeps the parts it
 * had, so a step costs what it added and one part.
 */
export const PART_BYTES: number = 16 * 1_024;

const DIGEST_BYTES = 32;

/** What a serializer made of a value: its type and bytes. Short ones are here, of long ones the digests of their parts. */
export type StoredValue =
  | { readonly type: string; readonly bytes: Uint8Array }
  | { readonly type: string; readonly parts: readonly Uint8Array[] };

/** Bytes that are stored once in a thread, under their digest. */
export interface Part {
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The form in which a value is stored; what has to be stored beside it is added to `parts`. */
export function storeValue(
  [type, bytes]: readonly [string, Uint8Array],
  hasher: Hasher,
  parts: Part[],
): StoredValue {
  if (bytes.length <= INLINE_BYTES_MAX) return { type, bytes };
  const digests: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    const part = bytes.subarray(at, at + PART_BYTES);
    const digest = hasher.digest(HASH_CONTEXTS.langgraphPart, part, DIGEST_BYTES);
    digests.push(digest);
    parts.push({ digest, bytes: part });
  }
  return { type, parts: digests };
}

/** The digests of the parts that have to be read before the value can be. */
export function partsOf(value: StoredValue): readonly Uint8Array[] {
  return "parts" in value ? value.parts : [];
}

/** Writes a value: its type, then 0 and its bytes, or how many parts and their digests. */
export function writeValue(writer: ByteWriter, value: StoredValue): void {
  writer.text(value.type);
  if ("bytes" in value) {
    writer.varint(0);
    writer.prefixed(value.bytes);
    return;
  }
  writer.varint(value.parts.length);
  for (const digest of value.parts) writer.raw(digest);
}

/** Reads what {@link writeValue} wrote. @throws `CoreError` `DECODE_FAILED` */
export function readValue(reader: ByteReader): StoredValue {
  const type = reader.text();
  const count = reader.varint();
  if (count === 0) return { type, bytes: reader.prefixed().slice() };
  reader.need(count * DIGEST_BYTES);
  return { type, parts: Array.from({ length: count }, () => reader.view(DIGEST_BYTES).slice()) };
}
