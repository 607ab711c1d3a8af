import { HASH_CONTEXTS, type Channel, type Hasher } from "@tidemark/core";
import type { Vector } from "@tidemark/wal";
import { equalBytes } from "./equal-bytes.ts";
import type { Replicated } from "./replicated.ts";

/** "State digest D at vector V": two regions with one V and two D have diverged. */
export interface Certificate {
  readonly vector: Vector;
  /** 32 bytes over the digests of all channels. */
  readonly digest: Uint8Array;
}

/** The certificate of this moment. With one channel its digest is the state digest of that channel. */
export function certify(
  hasher: Hasher,
  vector: Vector,
  channels: ReadonlyMap<Channel, Replicated>,
): Certificate {
  const digests = [...channels]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, replicated]) => replicated.digest());
  const only = digests[0];
  if (digests.length === 1 && only !== undefined) return { vector, digest: only };
  const bytes = new Uint8Array(digests.length * 32);
  digests.forEach((digest, at) => bytes.set(digest, at * 32));
  return { vector, digest: hasher.digest(HASH_CONTEXTS.state, bytes) };
}

/** What a comparison of two states says; under two schemas, or folded by two versions, there is nothing to compare. */
export type Verdict = "equal" | "behind" | "diverged" | "other-schema" | "other-version";

/** What two certificates say about each other. */
export function compareCertificates(
  a: Certificate,
  b: Certificate,
): Exclude<Verdict, "other-schema" | "other-version"> {
  if (!(a.vector.covers(b.vector) && b.vector.covers(a.vector))) return "behind";
  return equalBytes(a.digest, b.digest) ? "equal" : "diverged";
}
