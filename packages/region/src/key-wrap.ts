import { ByteReader, ByteWriter, CoreError, HASH_CONTEXTS, preimage } from "@tidemark/core";
import type { Hasher } from "@tidemark/core";
import type { ClusterKey } from "@tidemark/replication";
import { nobleSealer, SEAL_NONCE_BYTES, UserKeys } from "@tidemark/session";
import type { Sealer } from "@tidemark/session";
import { RegionError } from "./errors.ts";

/** What sealing a table for another member takes. */
export interface KeyWrapOptions {
  readonly hasher: Hasher;
  readonly clusterId: Uint8Array;
  /** @defaultValue `nobleSealer` */
  readonly sealer?: Sealer;
}

const VERSION = 1;

/**
 * Seals a table of user keys for another member: version u8 1, key id u8, nonce 24, ciphertext and tag, under a key that
 * comes from the cluster key and bound to the cluster id. A medium that stores what it carries never holds a key.
 */
export function wrapKeys(
  table: Uint8Array,
  clusterKey: ClusterKey,
  nonce: Uint8Array,
  options: KeyWrapOptions,
): Uint8Array {
  const { sealer = nobleSealer, clusterId } = options;
  const writer = new ByteWriter(table.length + 64);
  writer.u8(VERSION);
  writer.u8(clusterKey.id);
  writer.raw(nonce);
  writer.raw(sealer.seal(wrapKey(clusterKey, options), nonce, table, clusterId));
  return writer.take();
}

/**
 * The table that {@link wrapKeys} sealed.
 *
 * @throws RegionError `KEYS_REFUSED` if it is none, or under a cluster key that is not known here.
 */
export function unwrapKeys(
  bytes: Uint8Array,
  clusterKeys: readonly ClusterKey[],
  options: KeyWrapOptions,
): UserKeys {
  const { sealer = nobleSealer, clusterId, hasher } = options;
  try {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of sealed keys", 0);
    const id = reader.u8();
    const nonce = reader.view(SEAL_NONCE_BYTES);
    const clusterKey = clusterKeys.find((key) => key.id === id);
    if (clusterKey === undefined) return reader.fail(`Cannot open keys under the cluster key ${id}`, 1);
    const sealed = reader.view(reader.remaining);
    const table = sealer.open(wrapKey(clusterKey, options), nonce, sealed, clusterId);
    if (table === undefined) return reader.fail("Cannot open keys: the cluster key is another one", 26);
    return UserKeys.decode(table, hasher);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new RegionError("KEYS_REFUSED", `Cannot take the keys of users from a member: ${error.message}`, {
      retryable: true,
      cause: error,
    });
  }
}

function wrapKey({ key }: ClusterKey, { hasher }: KeyWrapOptions): Uint8Array {
  return hasher.digest(HASH_CONTEXTS.keyWrap, preimage([key]));
}
