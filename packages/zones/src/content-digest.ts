import { type Hasher, HASH_CONTEXTS, preimage } from "@tidemark/core";

const DIGEST_BYTES = 16;
const utf8 = new TextEncoder();

/** The digest of the bytes of a snapshot, as 32 hexadecimal digits. */
export function contentDigest(hasher: Hasher, bytes: Uint8Array): string {
  return hex(hasher.digest(HASH_CONTEXTS.zoneContent, bytes, DIGEST_BYTES));
}

/**
 * The digest of all that is in a zone, as 32 hexadecimal digits: equal for equal bytes of snapshot and log.
 *
 * @param stateDigest - {@link contentDigest} of the snapshot, or nothing for none or an empty one.
 * @param log - With a torn last line.
 * @param session - Told apart only where there are no bytes to compare: the session pointed to.
 */
export function zoneDigest(
  hasher: Hasher,
  stateDigest: string,
  log: Uint8Array,
  session: string = "",
): string {
  const empty = stateDigest === "" && log.length === 0;
  const fields = [utf8.encode(stateDigest), log, utf8.encode(empty ? session : "")];
  return hex(hasher.digest(HASH_CONTEXTS.zoneContent, preimage(fields), DIGEST_BYTES));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
