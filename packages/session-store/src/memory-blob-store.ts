import type { BlobName, BlobPage, BlobStore, DigestOf } from "./blob-store.ts";

/** A blob store in memory: for tests, and for sessions that may die with the process. */
export class MemoryBlobStore implements BlobStore {
  readonly durability = "memory";
  readonly #digestOf: DigestOf;
  readonly #blobs = new Map<string, { readonly name: BlobName; readonly bytes: Uint8Array }>();

  constructor(digestOf: DigestOf) {
    this.#digestOf = digestOf;
  }

  put(name: BlobName, bytes: Uint8Array): Promise<string> {
    const copy = bytes.slice();
    this.#blobs.set(keyOf(name), { name: { ...name }, bytes: copy });
    return Promise.resolve(this.#digestOf(copy));
  }

  get(name: BlobName): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#blobs.get(keyOf(name))?.bytes.slice());
  }

  delete(name: BlobName): Promise<void> {
    this.#blobs.delete(keyOf(name));
    return Promise.resolve();
  }

  list(): Promise<BlobPage> {
    return Promise.resolve({ names: [...this.#blobs.values()].map(({ name }) => ({ ...name })) });
  }
}

function keyOf({ digest, incarnation }: BlobName): string {
  return `${digest}.${incarnation}`;
}
