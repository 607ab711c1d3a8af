import { ByteReader, ByteWriter, compareBytes, type Hasher, HASH_CONTEXTS, preimage } from "@tidemark/core";
import { bytesOfHex, hexOf } from "./hex.ts";
import { KeyTree, NODE_BYTES } from "./key-tree.ts";

/** Bytes of a pseudonym. */
export const PSEUDONYM_BYTES = 16;
/** Bytes of a user's secret. */
export const USER_SECRET_BYTES = 32;
/** Bytes of randomness that a cluster's keys begin with. */
export const KEY_ROOT_BYTES: number = NODE_BYTES;
/** How often one user can be erased: a greater number in an operation is damage. */
export const GENERATION_MAX = 65_535;
/** Users that can be erased here; each costs the table about a kilobyte. */
export const ERASED_USERS_MAX = 65_536;

const VERSION = 1;

/** The first generation of a user whose key exists, and its secret. */
interface ErasedUser {
  generation: number;
  secret: Uint8Array;
}

/**
 * The keys of all users, by pseudonym and generation, from one root that all members share: each is there before
 * anybody asks for it, in every region, cut off or not, and each can be destroyed by itself.
 *
 * Until a user is erased their secret is a leaf of a {@link KeyTree}. Erasing up to a generation destroys the leaf and
 * keeps the secret of the next generation, from which none before it follows. Pure: whoever holds the table keeps it on
 * disk, and outside logs and snapshots.
 */
export class UserKeys {
  readonly #hasher: Hasher;
  readonly #tree: KeyTree;
  readonly #erased: Map<string, ErasedUser> = new Map();

  private constructor(hasher: Hasher, tree: KeyTree) {
    this.#hasher = hasher;
    this.#tree = tree;
  }

  /** The keys of a new cluster. @param root - 16 random bytes. */
  static create(hasher: Hasher, root: Uint8Array): UserKeys {
    return new UserKeys(hasher, new KeyTree(hasher, root));
  }

  /** Users of whom a generation was erased. */
  get erasedCount(): number {
    return this.#erased.size;
  }

  /** The first generation whose key exists: the one to write under. */
  generationOf(pseudonym: Uint8Array): number {
    return this.#erased.get(hexOf(pseudonym))?.generation ?? 1;
  }

  /**
   * The secret of a user, 32 bytes, or `undefined` if it was erased, or is of a generation that cannot be.
   *
   * @param generation - From 1.
   */
  secretOf(pseudonym: Uint8Array, generation: number): Uint8Array | undefined {
    const erased = this.#erased.get(hexOf(pseudonym));
    const first = erased?.generation ?? 1;
    if (generation < first || generation > GENERATION_MAX) return undefined;
    let secret = erased?.secret.slice() ?? this.#leafSecret(pseudonym);
    for (let at = first; secret !== undefined && at < generation; at++) secret = this.#next(secret);
    return secret;
  }

  /** Destroys the keys of a user up to a generation, below {@link GENERATION_MAX}; returns whether any was left. */
  erase(pseudonym: Uint8Array, upTo: number): boolean {
    const first = this.generationOf(pseudonym);
    if (upTo < first || upTo >= GENERATION_MAX) return false;
    const secret = this.secretOf(pseudonym, upTo + 1);
    // Two pseudonyms that begin with the same 64 bits: the other's erasure took this leaf along.
    if (secret === undefined) return false;
    const name = hexOf(pseudonym);
    this.#erased.get(name)?.secret.fill(0);
    this.#tree.destroy(pseudonym);
    this.#erased.set(name, { generation: upTo + 1, secret });
    return true;
  }

  /**
   * The table in canonical bytes.
   *
   * | field   | layout                                                                                              |
   * | :------ | :-------------------------------------------------------------------------------------------------- |
   * | version | u8 1                                                                                                |
   * | tree    | nodes from the root down: u8 0 destroyed; u8 1, secret 16; u8 2, then its two children              |
   * | erased  | varint count, ascending: pseudonym 16, first live generation u32 (from 2), its secret 32            |
   */
  encode(): Uint8Array {
    const writer = new ByteWriter(1024);
    writer.u8(VERSION);
    this.#tree.encode(writer);
    writer.varint(this.#erased.size);
    for (const name of [...this.#erased.keys()].sort()) {
      const { generation, secret } = this.#erased.get(name) as ErasedUser;
      writer.raw(bytesOfHex(name));
      writer.u32(generation);
      writer.raw(secret);
    }
    return writer.take();
  }

  /** The inverse of {@link UserKeys.encode}. @throws {@link CoreError} `DECODE_FAILED`. */
  static decode(bytes: Uint8Array, hasher: Hasher): UserKeys {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of user keys", 0);
    const keys = new UserKeys(hasher, KeyTree.decode(reader, hasher));
    let before: Uint8Array | undefined;
    for (let left = reader.count(PSEUDONYM_BYTES + 4 + USER_SECRET_BYTES); left > 0; left--) {
      const at = reader.offset;
      const pseudonym = reader.view(PSEUDONYM_BYTES);
      const generation = reader.u32();
      if (before !== undefined && compareBytes(before, pseudonym) >= 0)
        reader.fail("Cannot accept pseudonyms out of order", at);
      if (generation < 2) reader.fail("Cannot accept a generation that was never erased", at);
      before = pseudonym;
      keys.#erased.set(hexOf(pseudonym), { generation, secret: reader.view(USER_SECRET_BYTES).slice() });
      // A copy from before an erasure that came back: what the table says of the user wins over the tree.
      keys.#tree.destroy(pseudonym);
    }
    reader.finish();
    return keys;
  }

  #leafSecret(pseudonym: Uint8Array): Uint8Array | undefined {
    const leaf = this.#tree.leaf(pseudonym);
    if (leaf === undefined) return undefined;
    return this.#hasher.digest(HASH_CONTEXTS.userSecret, preimage([leaf, pseudonym]), USER_SECRET_BYTES);
  }

  #next(secret: Uint8Array): Uint8Array {
    return this.#hasher.digest(HASH_CONTEXTS.userNext, preimage([secret]), USER_SECRET_BYTES);
  }
}
