import type { ByteReader, ByteWriter } from "@tidemark/core";
import { equalBytes } from "./equal-bytes.ts";

/** Bytes of the digest of what a state is folded under. */
const SCHEMA_DIGEST_BYTES = 32;

/** Behind an exchange of vectors: nothing, or the digest of the signal schema that the sender folds under, 32 bytes. */
export function writeSchemaDigest(writer: ByteWriter, schema: Uint8Array | undefined): void {
  if (schema !== undefined) writer.raw(schema);
}

/** Reads what {@link writeSchemaDigest} wrote, to the end. @throws `CoreError` `DECODE_FAILED`. */
export function readSchemaDigest(reader: ByteReader): { readonly schema?: Uint8Array } {
  return reader.remaining === 0 ? {} : { schema: reader.view(SCHEMA_DIGEST_BYTES).slice() };
}

/** Whether two members fold alike: their states at one vector can be compared. */
export function sameSchema(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
