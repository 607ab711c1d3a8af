import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";

/** Authenticated encryption of the sealed parts of operations, synchronous. Keys have 32 bytes, nonces 24, tags 16. */
export interface Sealer {
  /** Ciphertext and tag: 16 bytes more than the plaintext. */
  seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, associated: Uint8Array): Uint8Array;
  /** The plaintext, or `undefined` if the bytes are not what was sealed under this key, nonce and associated data. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated: Uint8Array,
  ): Uint8Array | undefined;
}

/** Bytes of a nonce. */
export const SEAL_NONCE_BYTES = 24;
/** Bytes that sealing adds. */
export const SEAL_TAG_BYTES = 16;

/** XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) of `@noble/ciphers`. */
export const nobleSealer: Sealer = {
  seal: (key, nonce, plain, associated) => xchacha20poly1305(key, nonce, associated).encrypt(plain),
  open(key, nonce, sealed, associated) {
    if (sealed.length < SEAL_TAG_BYTES) return undefined;
    try {
      return xchacha20poly1305(key, nonce, associated).decrypt(sealed);
    } catch {
      // Lengths were right: the one thing it still throws for is the tag.
      return undefined;
    }
  },
};
