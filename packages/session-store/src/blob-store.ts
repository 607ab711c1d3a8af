/**
 * Where the bytes of one life of a digest lie. The incarnation is never used twice, so a deletion that comes late
 * can never hit bytes that were stored again.
 */
export interface BlobName {
  /** The hash of the bytes, as hexadecimal text. */
  readonly digest: string;
  /** Which life of the digest this is: short hexadecimal text. */
  readonly incarnation: string;
}

/** Some of the names of a blob store, in its own order. */
export interface BlobPage {
  readonly names: readonly BlobName[];
  /** Where to go on; absent once everything was listed. */
  readonly next?: string;
}

/** A hash of bytes as hexadecimal text: what attachments are called. */
export type DigestOf = (bytes: Uint8Array) => string;

/**
 * Bytes by name, nothing else: who may read or delete them is decided above.
 *
 * Every method answers only for what it looked at. "Nothing there" is a value (`undefined`, an empty page without
 * `next`); "could not look" is a rejection, so that an outage can never be taken for emptiness.
 */
export interface BlobStore {
  /** What a resolved `put` survives. */
  readonly durability: "memory" | "process" | "disk" | "region";
  /**
   * Stores the bytes under the name, all or nothing, and resolves once they are durable. Storing a name twice is
   * fine: its bytes never differ.
   *
   * @returns The digest of what was stored, as the store computed it.
   */
  put(name: BlobName, bytes: Uint8Array): Promise<string>;
  /** The bytes, or `undefined` if the store looked and has none. */
  get(name: BlobName): Promise<Uint8Array | undefined>;
  /** Removes the bytes and what an interrupted `put` left of them. Fine if there is nothing. */
  delete(name: BlobName): Promise<void>;
  /** All names, also of interrupted puts, a page at a time; `after` is the `next` of the page before. */
  list(after?: string): Promise<BlobPage>;
}
