import { HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import { equalBytes } from "./equal-bytes.ts";
import { decodeSnapshotToken, SNAPSHOT_ID_BYTES, type SnapshotPart } from "./snapshot-token.ts";

/** What a table of user keys is named by: one that has changed has another name. */
export function keysId(hasher: Hasher, table: Uint8Array): Uint8Array {
  return hasher.digest(HASH_CONTEXTS.keyFile, table, SNAPSHOT_ID_BYTES);
}

/**
 * The piece of a table of user keys that is asked for: at the token, or the first if that is of another table.
 *
 * @throws {@link ReplicationError} `MESSAGE_MALFORMED`.
 */
export function keysPart(
  hasher: Hasher,
  table: Uint8Array,
  tokens: readonly Uint8Array[],
  partBytes: number,
): SnapshotPart {
  const id = keysId(hasher, table);
  const token = decodeSnapshotToken(tokens[0] ?? new Uint8Array(0));
  const known = token !== undefined && equalBytes(token.id, id) && token.offset < table.length;
  const offset = known ? token.offset : 0;
  return { id, offset, totalBytes: table.length, bytes: table.subarray(offset, offset + partBytes) };
}
