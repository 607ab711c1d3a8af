import type { Hasher } from "@tidemark/core";
import { type Kv, type KvItem, type KvKey, prefixRange } from "@tidemark/kv";
import type { BlobFence, BlobHolder, FenceStep } from "./blob-fence.ts";
import { blobBucketPartition, blobFenceKey, blobHolderKey, blobPartition } from "./blob-keys.ts";
import { type Decision, runDecision, type View, viewOf } from "./decision.ts";
import { asSessionStoreError } from "./errors.ts";
import { recordCodec, type RecordContext } from "./records.ts";
import { scanAll } from "./scan-all.ts";

const fences = recordCodec<BlobFence>("blob-fence", 1);
const holders = recordCodec<BlobHolder>("blob-holder", 1);

/** What a step sees: the fence as stored, and whether the session asked about is a holder. */
export interface FenceView {
  readonly fence: BlobFence | undefined;
  readonly held: boolean;
}

/** What a step came to. */
export interface FenceResult<Outcome extends string> {
  readonly outcome: Outcome;
  /** The fence as it is after the step. */
  readonly fence: BlobFence | undefined;
}

/** The fences and holders of all digests, over a key-value store: reads, and steps of `blob-fence.ts` made atomic. */
export class BlobLedger {
  readonly #kv: Kv;
  readonly #hasher: Hasher;

  constructor(kv: Kv, hasher: Hasher) {
    this.#kv = kv;
    this.#hasher = hasher;
  }

  /** The fence of a digest. */
  async fence(digest: string): Promise<BlobFence | undefined> {
    const key = blobFenceKey(digest);
    const place = this.#place(digest);
    try {
      const [bytes] = await this.#kv.get(place.partition, [key]);
      return fences.read(bytes, key, place);
    } catch (error) {
      throw asSessionStoreError(error);
    }
  }

  /** Digests of one bucket that have a fence, in order. */
  async digests(bucket: number): Promise<string[]> {
    const place = { partition: blobBucketPartition(bucket), hasher: this.#hasher };
    const items = await scanAll(viewOf(this.#kv, place.partition), prefixRange(["fence"]));
    return items.map(({ key, value }) => fences.read(value, key, place)!.digest);
  }

  /** Everybody who holds a digest, in order of their ids. */
  async holders(digest: string): Promise<BlobHolder[]> {
    const place = this.#place(digest);
    const items = await scanAll(viewOf(this.#kv, place.partition), prefixRange(["holder", digest]));
    return items.map(({ key, value }) => holders.read(value, key, place)!);
  }

  /** Takes one step: what `decide` says of the fence as stored, written only if it is still stored so. */
  step<Outcome extends string>(
    digest: string,
    session: string | undefined,
    decide: (view: FenceView, nowMs: number) => FenceStep<Outcome>,
  ): Promise<FenceResult<Outcome>> {
    const place = this.#place(digest);
    const fenceKey = blobFenceKey(digest);
    const keys = session === undefined ? [fenceKey] : [fenceKey, blobHolderKey(digest, session)];
    const read = (view: View) => view.get(keys);
    return runDecision(this.#kv, place.partition, read, ([stored, holder], nowMs) => {
      const seen = fences.read(stored, fenceKey, place);
      const step = decide({ fence: seen, held: holder !== undefined }, nowMs);
      const { outcome, fence = seen } = step;
      return {
        ...writesOf(step, fenceKey, place),
        checks: [{ key: fenceKey, value: stored }],
        result: { outcome, fence: fence === "removed" ? undefined : fence },
      };
    });
  }

  #place(digest: string): RecordContext {
    return { partition: blobPartition(digest), hasher: this.#hasher };
  }
}

function writesOf(
  { fence, addHolder, dropHolders = [] }: FenceStep<string>,
  fenceKey: KvKey,
  place: RecordContext,
): Pick<Decision<unknown>, "puts" | "deletes"> {
  const puts: KvItem[] = [];
  const deletes = dropHolders.map(({ digest, session }) => blobHolderKey(digest, session));
  if (fence === "removed") deletes.push(fenceKey);
  else if (fence !== undefined) puts.push(fences.item(fence, fenceKey, place));
  if (addHolder !== undefined) {
    const key = blobHolderKey(addHolder.digest, addHolder.session);
    puts.push(holders.item(addHolder, key, place));
  }
  return { puts, deletes };
}
