import { ByteWriter, type Hasher, HASH_CONTEXTS, preimage } from "@tidemark/core";
import { hexOf } from "./hex.ts";
import { nobleSealer, SEAL_NONCE_BYTES, SEAL_TAG_BYTES, type Sealer } from "./sealer.ts";
import { PSEUDONYM_BYTES, type UserKeys } from "./user-keys.ts";

/** Seals kept at hand, the least recently made go first. */
const SEALS_KEPT = 4096;
/** Where the ciphertext begins in a sealed part. */
const CIPHER_AT: number = PSEUDONYM_BYTES + SEAL_NONCE_BYTES;
const REQUEST_DIGEST_BYTES = 8;
const utf8 = new TextEncoder();

/** One user's key of one generation at work. */
export class UserSeal {
  /** 16 bytes. */
  readonly pseudonym: Uint8Array;
  /** From 1. */
  readonly generation: number;
  readonly #hasher: Hasher;
  readonly #sealer: Sealer;
  readonly #sealKey: Uint8Array;
  readonly #nonceKey: Uint8Array;
  readonly #requestKey: Uint8Array;

  constructor(options: {
    readonly hasher: Hasher;
    readonly sealer: Sealer;
    readonly pseudonym: Uint8Array;
    readonly generation: number;
    /** 32 bytes. */
    readonly secret: Uint8Array;
  }) {
    const { hasher, sealer, pseudonym, generation, secret } = options;
    this.pseudonym = pseudonym;
    this.generation = generation;
    this.#hasher = hasher;
    this.#sealer = sealer;
    const input = preimage([secret]);
    this.#sealKey = hasher.digest(HASH_CONTEXTS.userSeal, input);
    this.#nonceKey = hasher.digest(HASH_CONTEXTS.userNonce, input);
    this.#requestKey = hasher.digest(HASH_CONTEXTS.request, input);
  }

  /**
   * Writes a sealed part: pseudonym 16, nonce 24, ciphertext and tag. The nonce is a hash of the associated data and the
   * plaintext under a key of its own, so that the same operation gives the same bytes and no two share a nonce.
   *
   * @param associated - Where the operation stands: {@link associatedData}.
   */
  seal(writer: ByteWriter, plain: Uint8Array, associated: Uint8Array): void {
    const nonce = this.#hasher.keyedDigest(this.#nonceKey, preimage([associated, plain]), SEAL_NONCE_BYTES);
    writer.raw(this.pseudonym);
    writer.raw(nonce);
    writer.raw(this.#sealer.seal(this.#sealKey, nonce, plain, associated));
  }

  /** The plaintext of a sealed part, or `undefined` if this key did not seal it there. */
  open(part: Uint8Array, associated: Uint8Array): Uint8Array | undefined {
    if (part.length < CIPHER_AT + SEAL_TAG_BYTES) return undefined;
    const nonce = part.subarray(PSEUDONYM_BYTES, CIPHER_AT);
    return this.#sealer.open(this.#sealKey, nonce, part.subarray(CIPHER_AT), associated);
  }

  /** The request digest, 8 bytes: keyed, over cluster id and request bytes, so that it dies with the key. */
  requestDigest(clusterId: Uint8Array, request: Uint8Array): Uint8Array {
    return this.#hasher.keyedDigest(this.#requestKey, preimage([clusterId, request]), REQUEST_DIGEST_BYTES);
  }
}

/** What {@link UserSeals} are made of. */
export interface UserSealsOptions {
  readonly hasher: Hasher;
  /** The secret of the cluster that pseudonyms come from: never replaced, known to members alone. */
  readonly seed: Uint8Array;
  readonly keys: UserKeys;
  /** @defaultValue {@link nobleSealer} */
  readonly sealer?: Sealer;
  /** Called when keys were destroyed. */
  readonly erased?: () => void;
}

/** The seals of all users: what an encrypted cluster writes and reads sealed parts with. */
export class UserSeals {
  readonly keys: UserKeys;
  readonly #hasher: Hasher;
  readonly #sealer: Sealer;
  readonly #pseudonymKey: Uint8Array;
  readonly #onErase: (() => void) | undefined;
  readonly #seals: Map<string, UserSeal> = new Map();
  /** Seals whose keys are gone already, while what they have sealed is not. */
  readonly #retiring: Map<string, UserSeal> = new Map();

  constructor(options: UserSealsOptions) {
    const { hasher, seed, keys, sealer = nobleSealer } = options;
    this.keys = keys;
    this.#hasher = hasher;
    this.#sealer = sealer;
    this.#onErase = options.erased;
    this.#pseudonymKey = hasher.digest(HASH_CONTEXTS.userPseudonym, preimage([seed]));
  }

  /**
   * The pseudonym of a user, 16 bytes: a keyed hash of the name under the cluster's secret. It needs no key of the user,
   * is the same in every region and for ever, and tells nothing of the name to who does not know that secret.
   */
  pseudonymOf(user: string): Uint8Array {
    return this.#hasher.keyedDigest(this.#pseudonymKey, utf8.encode(user), PSEUDONYM_BYTES);
  }

  /** The seal to write under now; `undefined` if the user's key was lost with that of another. */
  current(user: string): UserSeal | undefined {
    const pseudonym = this.pseudonymOf(user);
    return this.find(pseudonym, this.keys.generationOf(pseudonym));
  }

  /** The seal of a generation, unless it was erased or cannot be. */
  find(pseudonym: Uint8Array, generation: number): UserSeal | undefined {
    const name = hexOf(pseudonym);
    const retiring = this.#retiring.get(name);
    if (retiring?.generation === generation) return retiring;
    const known = this.#seals.get(name);
    if (known?.generation === generation) return known;
    const secret = this.keys.secretOf(pseudonym, generation);
    if (secret === undefined) return undefined;
    const seals = this.#seals;
    const made = new UserSeal({
      hasher: this.#hasher,
      sealer: this.#sealer,
      pseudonym: pseudonym.slice(),
      generation,
      secret,
    });
    secret.fill(0);
    seals.delete(name);
    if (seals.size >= SEALS_KEPT) seals.delete(seals.keys().next().value as string);
    seals.set(name, made);
    return made;
  }

  /**
   * Destroys a user's keys up to a generation, all but one seal that still reads what is about to be erased: so that
   * the keys can be gone from the disk before that is told.
   */
  retire(pseudonym: Uint8Array, upTo: number): void {
    const first = this.keys.generationOf(pseudonym);
    const seal = upTo < first ? undefined : this.find(pseudonym, first);
    if (this.erase(pseudonym, upTo) && seal !== undefined) this.#retiring.set(hexOf(pseudonym), seal);
  }

  /** Destroys a user's keys up to a generation; returns whether any was left. */
  erase(pseudonym: Uint8Array, upTo: number): boolean {
    this.#retiring.delete(hexOf(pseudonym));
    if (!this.keys.erase(pseudonym, upTo)) return false;
    this.#seals.delete(hexOf(pseudonym));
    this.#onErase?.();
    return true;
  }
}

/** What a sealed part is bound to: session id, lane, seqno (u64) and kind, each as u32-LE length and bytes. */
export function associatedData(session: string, lane: Uint8Array, seqno: number, kind: number): Uint8Array {
  const id = utf8.encode(session);
  const writer = new ByteWriter(id.length + lane.length + 32);
  writer.u32(id.length);
  writer.raw(id);
  writer.u32(lane.length);
  writer.raw(lane);
  writer.u32(8);
  writer.u64(seqno);
  writer.u32(1);
  writer.u8(kind);
  return writer.take();
}

/** The session that erasures of a user are numbered in: of its own, and it names nobody. */
export function erasureSession(pseudonym: Uint8Array): string {
  return `erase.${hexOf(pseudonym)}`;
}
