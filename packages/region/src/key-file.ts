import { ByteReader, ByteWriter, CoreError, HASH_CONTEXTS } from "@tidemark/core";
import type { Hasher } from "@tidemark/core";
import { clusterIdOf, fetchKeys } from "@tidemark/replication";
import type { FetchKeysOptions } from "@tidemark/replication";
import { KEY_ROOT_BYTES, UserKeys } from "@tidemark/session";
import { replaceFile } from "@tidemark/wal";
import type { WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";
import { unwrapKeys } from "./key-wrap.ts";
import type { RegionPlatform } from "./options.ts";

/** What `keys` holds. */
export interface KeyFile {
  readonly keys: UserKeys;
  /** A user was erased, and a checkpoint from before that may still be on disk. */
  readonly cleaning: boolean;
}

/** The file's name in a region's directory. */
export const KEY_FILE = "keys";

const MAGIC = 0x4b554d54; // "TMUK" when read as little-endian bytes.
const VERSION = 1;
const FLAG_CLEANING = 1;
const DIGEST_BYTES = 32;

/**
 * Encodes the file of user keys.
 *
 * |   bytes | field  | notes                                                                           |
 * | ------: | :----- | :------------------------------------------------------------------------------ |
 * |       4 | magic  | ASCII "TMUK"                                                                    |
 * |       1 | version | 1                                                                              |
 * |       1 | flags  | bit 0: a checkpoint from before an erasure may still be there                   |
 * |       2 | zero   |                                                                                 |
 * | bytes   | table  | u32 length, then the table: `UserKeys.encode`                                   |
 * |      32 | digest | `tidemark 2026 key-file v1` of everything before it                             |
 */
export function encodeKeyFile({ keys, cleaning }: KeyFile, hasher: Hasher): Uint8Array {
  const table = keys.encode();
  const writer = new ByteWriter(table.length + 64);
  writer.u32(MAGIC);
  writer.u8(VERSION);
  writer.u8(cleaning ? FLAG_CLEANING : 0);
  writer.u16(0);
  writer.u32(table.length);
  writer.raw(table);
  writer.raw(hasher.digest(HASH_CONTEXTS.keyFile, writer.view(), DIGEST_BYTES));
  return writer.take();
}

/** The inverse of {@link encodeKeyFile}. @throws `CoreError` `DECODE_FAILED`. */
export function decodeKeyFile(bytes: Uint8Array, hasher: Hasher): KeyFile {
  const end = Math.max(0, bytes.length - DIGEST_BYTES);
  const reader = new ByteReader(bytes, 0, end);
  if (reader.u32() !== MAGIC) reader.fail("Cannot find the magic of a key file", 0);
  const version = reader.u8();
  if (version !== VERSION) reader.fail(`Cannot read version ${version} of a key file`, 4);
  const flags = reader.u8();
  if (flags > FLAG_CLEANING || reader.u16() !== 0) reader.fail("Cannot accept unknown flags", 5);
  const digest = hasher.digest(HASH_CONTEXTS.keyFile, bytes.subarray(0, end), DIGEST_BYTES);
  if (digest.some((byte, at) => byte !== bytes[end + at]))
    reader.fail("Cannot accept a key file: its digest differs", end);
  const table = reader.view(reader.u32());
  reader.finish();
  return { keys: UserKeys.decode(table, hasher), cleaning: flags === FLAG_CLEANING };
}

/**
 * Reads `keys`.
 *
 * @returns `undefined` if there is none.
 * @throws RegionError `REGION_DAMAGED` if it cannot be read as what it should be.
 */
export async function readKeyFile(fs: WalFs, dir: string, hasher: Hasher): Promise<KeyFile | undefined> {
  const bytes = await fs.readFile(`${dir}/${KEY_FILE}`);
  if (bytes === undefined) return undefined;
  try {
    return decodeKeyFile(bytes, hasher);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new RegionError(
      "REGION_DAMAGED",
      `Cannot read ${dir}/${KEY_FILE}: restore it, or remove it and let another member give the keys`,
      { cause: error },
    );
  }
}

/** Replaces `keys`: whole or not at all, also across a crash, and durable once it resolves. */
export async function writeKeyFile(fs: WalFs, dir: string, hasher: Hasher, file: KeyFile): Promise<void> {
  await replaceFile(fs, dir, KEY_FILE, encodeKeyFile(file, hasher));
}

/** Makes the keys of a new cluster: one random root, from which all follow. */
export async function createKeys({ fs, hasher, randomBytes }: RegionPlatform, dir: string): Promise<void> {
  const keys = UserKeys.create(hasher, randomBytes(KEY_ROOT_BYTES));
  await writeKeyFile(fs, dir, hasher, { keys, cleaning: false });
}

/**
 * Takes the keys of a cluster from one of its members.
 *
 * @throws RegionError `KEYS_REFUSED`. @throws ReplicationError `NO_MEMBER_ANSWERED`.
 */
export async function fetchKeyFile(options: FetchKeysOptions): Promise<KeyFile> {
  const { hasher, membership } = options;
  const sealed = await fetchKeys(options);
  const clusterId = clusterIdOf(hasher, membership.seed);
  // What is on disk here may be from before an erasure that these keys know of.
  return { keys: unwrapKeys(sealed, options.keys ?? [], { hasher, clusterId }), cleaning: true };
}
