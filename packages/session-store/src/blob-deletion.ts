import { decideGone } from "./blob-fence.ts";
import type { BlobLedger } from "./blob-ledger.ts";
import type { BlobName, BlobStore } from "./blob-store.ts";

/** How many holders one step forgets at most. */
export const HOLDERS_A_STEP = 100;

/**
 * Ends a life of a digest that is in deletion: its bytes go, then its holders, then its fence. Anybody may do it,
 * at any time and together with others: a writer who finds the digest in deletion does it itself rather than wait
 * for a collector that may have died.
 *
 * @returns `false` if somebody else ended it, or it was never in deletion.
 */
export async function finishDeletion(ledger: BlobLedger, blobs: BlobStore, name: BlobName): Promise<boolean> {
  await blobs.delete(name);
  for (;;) {
    const holders = await ledger.holders(name.digest);
    const last = holders.slice(0, HOLDERS_A_STEP);
    const more = holders.length > last.length;
    const { outcome } = await ledger.step(name.digest, undefined, ({ fence }) =>
      decideGone(fence, name.incarnation, last, more),
    );
    if (outcome !== "more") return outcome === "gone";
  }
}
