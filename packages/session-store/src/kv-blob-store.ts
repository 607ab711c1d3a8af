import type { Hasher } from "@tidemark/core";
import { encodeKey, type Kv, type KvKey, type Partition, prefixRange } from "@tidemark/kv";
import { BLOB_BUCKETS } from "./blob-keys.ts";
import type { BlobName, BlobPage, BlobStore, DigestOf } from "./blob-store.ts";
import { nothing, runDecision, type View, viewOf } from "./decision.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import { recordCodec, type RecordContext } from "./records.ts";
import { scanAll } from "./scan-all.ts";

/** How many bytes one chunk has at most; less where the key-value store takes less. */
export const BLOB_CHUNK_BYTES: number = 65_536;

/** What is known of a blob before its chunks are complete, and after. */
interface BlobHead {
  readonly digest: string;
  readonly incarnation: string;
  readonly bytes: number;
  readonly chunks: number;
  /** `going` while chunks are removed: no chunk is added any more. */
  readonly state: "coming" | "complete" | "going";
}

const heads = recordCodec<BlobHead>("blob-head", 1);

/**
 * A blob store in a key-value store, in chunks: for attachments of moderate size where no object store is at hand.
 *
 * A head is written before the first chunk and says `complete` after the last; each chunk is written only while the
 * head says `coming`. So a half-written blob is never read, always listed, and a deletion leaves no chunk behind,
 * however late a writer is.
 */
export class KvBlobStore implements BlobStore {
  readonly #kv: Kv;
  readonly #hasher: Hasher;
  readonly #digestOf: DigestOf;
  readonly #chunkBytes: number;

  constructor(kv: Kv, hasher: Hasher, digestOf: DigestOf) {
    this.#kv = kv;
    this.#hasher = hasher;
    this.#digestOf = digestOf;
    const { valueBytesMax, commitBytesMax } = kv.capabilities;
    // A commit carries a chunk, its key and the head it rests on.
    this.#chunkBytes = Math.min(BLOB_CHUNK_BYTES, valueBytesMax, commitBytesMax - 4_096);
  }

  get durability(): BlobStore["durability"] {
    return this.#kv.capabilities.durability;
  }

  async put(name: BlobName, bytes: Uint8Array): Promise<string> {
    const chunks = Math.ceil(bytes.length / this.#chunkBytes);
    const { digest, incarnation } = name;
    const coming: BlobHead = { digest, incarnation, bytes: bytes.length, chunks, state: "coming" };
    const begun = await this.#head(name, (head) => head ?? coming);
    if (begun?.state === "complete") return this.#digestOf(bytes);
    if (begun?.state !== "coming") throw interrupted();
    for (let index = 0; index < chunks; index++) {
      const chunk = bytes.subarray(index * this.#chunkBytes, (index + 1) * this.#chunkBytes);
      await this.#putChunk(name, coming, index, chunk);
    }
    const ended = await this.#head(
      name,
      (head) => head && { ...head, state: head.state === "going" ? "going" : "complete" },
    );
    if (ended?.state !== "complete") throw interrupted();
    return this.#digestOf(bytes);
  }

  async get(name: BlobName): Promise<Uint8Array | undefined> {
    const place = this.#place(name);
    const key = headKey(name);
    try {
      const [stored] = await this.#kv.get(place.partition, [key]);
      const head = heads.read(stored, key, place);
      if (head?.state !== "complete") return undefined;
      const bytes = new Uint8Array(head.bytes);
      let at = 0;
      for (let index = 0; index < head.chunks; index++) {
        const [chunk] = await this.#kv.get(place.partition, [chunkKey(name, index)]);
        if (chunk === undefined) return undefined;
        bytes.set(chunk, at);
        at += chunk.length;
      }
      return bytes;
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  async delete(name: BlobName): Promise<void> {
    const going = await this.#head(name, (head) => head && { ...head, state: "going" });
    if (going === undefined) return;
    const place = this.#place(name);
    const head = heads.item(going, headKey(name), place);
    try {
      for (let index = 0; index < going.chunks; index++)
        await this.#kv.commit(place.partition, { deletes: [chunkKey(name, index)] });
      // Only this life of the name: a late writer may have begun another, and keeps its head.
      await this.#kv.commit(place.partition, { checks: [head], deletes: [head.key] });
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  async list(after: string = "0"): Promise<BlobPage> {
    const bucket = Number(after);
    const place = { partition: bucketPartition(bucket), hasher: this.#hasher };
    const items = await scanAll(viewOf(this.#kv, place.partition), prefixRange(["head"]));
    const names = items.map(({ key, value }) => {
      const { digest, incarnation } = heads.read(value, key, place)!;
      return { digest, incarnation };
    });
    return bucket + 1 < BLOB_BUCKETS ? { names, next: String(bucket + 1) } : { names };
  }

  /** Changes the head of a blob. @returns the head afterwards. */
  #head(
    name: BlobName,
    change: (head: BlobHead | undefined) => BlobHead | undefined,
  ): Promise<BlobHead | undefined> {
    const place = this.#place(name);
    const key = headKey(name);
    const read = (view: View) => view.get([key]);
    return runDecision(this.#kv, place.partition, read, ([stored]) => {
      const head = heads.read(stored, key, place);
      const next = change(head);
      if (next === undefined || next === head) return nothing(next);
      const puts = [heads.item(next, key, place)];
      return { checks: [{ key, value: stored }], puts, deletes: [], result: next };
    });
  }

  async #putChunk(name: BlobName, coming: BlobHead, index: number, chunk: Uint8Array): Promise<void> {
    const place = this.#place(name);
    const checks = [heads.item(coming, headKey(name), place)];
    const puts = [{ key: chunkKey(name, index), value: chunk }];
    const { committed } = await this.#kv.commit(place.partition, { checks, puts }).catch((error: unknown) => {
      throw asSessionStoreError(error);
    });
    // Another writer of the same bytes may have completed them: then every chunk is there.
    if (!committed && (await this.#head(name, (head) => head))?.state !== "complete") throw interrupted();
  }

  #place({ digest }: BlobName): RecordContext {
    return { partition: bucketPartition(Number.parseInt(digest.slice(0, 2), 16)), hasher: this.#hasher };
  }
}

function bucketPartition(bucket: number): Partition {
  return `bytes/${bucket.toString(16).padStart(2, "0")}`;
}

function headKey({ digest, incarnation }: BlobName): KvKey {
  return encodeKey(["head", digest, incarnation]);
}

function chunkKey({ digest, incarnation }: BlobName, index: number): KvKey {
  return encodeKey(["chunk", digest, incarnation, index]);
}

function interrupted(): SessionStoreError {
  return new SessionStoreError("STORAGE_FAILED", "Cannot store bytes that are being deleted", {
    retryable: true,
  });
}
