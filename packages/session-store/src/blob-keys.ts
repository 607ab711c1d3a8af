import { encodeKey, type KvKey, type Partition } from "@tidemark/kv";

/** How many partitions the digests are spread over. */
export const BLOB_BUCKETS = 256;

/**
 * The partition of a digest: one of {@link BLOB_BUCKETS}, by its first byte. Many digests share one, so that what
 * exists can be enumerated without a directory that could disagree with it; each digest has rows of its own there, so
 * that they do not contend.
 *
 * | key                       | record                                                                    |
 * | :------------------------ | :------------------------------------------------------------------------ |
 * | `fence`, digest           | register: free, condemned or deleting, and which life of the digest it is |
 * | `holder`, digest, session | a session that refers to the digest, or is about to                       |
 */
export function blobPartition(digest: string): Partition {
  return blobBucketPartition(Number.parseInt(digest.slice(0, 2), 16));
}

/** The partition of one bucket, for enumerating. */
export function blobBucketPartition(bucket: number): Partition {
  return `blob/${bucket.toString(16).padStart(2, "0")}`;
}

/** Where the fence of a digest lies. */
export function blobFenceKey(digest: string): KvKey {
  return encodeKey(["fence", digest]);
}

/** Where it says that a session holds a digest. */
export function blobHolderKey(digest: string, session: string): KvKey {
  return encodeKey(["holder", digest, session]);
}
