import { finishDeletion, HOLDERS_A_STEP } from "./blob-deletion.ts";
import { type BlobFence, type BlobHolder, decideCondemn, decideVerdict } from "./blob-fence.ts";
import { BLOB_BUCKETS } from "./blob-keys.ts";
import type { BlobLedger } from "./blob-ledger.ts";
import type { BlobPage, BlobStore } from "./blob-store.ts";

/** What a collection did. */
export interface BlobReport {
  /** Sessions' references that were found, over all digests. */
  readonly roots: number;
  /** Digests that stay, because a session refers to them, announced itself lately, or could not be looked at. */
  readonly retained: number;
  /** Digests that are gone, with their bytes. */
  readonly deleted: number;
  /** Bytes that belonged to no life of any digest: what interrupted or late writers left. */
  readonly strays: number;
  /** Holders, digests, buckets and pages that could not be looked at or removed; nothing was concluded from them. */
  readonly failures: readonly unknown[];
  /** Whether everything was enumerated and looked at. Only then does "deleted nothing" mean "there was nothing". */
  readonly complete: boolean;
}

/** What a collector works with. */
export interface BlobCollectorOptions {
  readonly ledger: BlobLedger;
  readonly blobs: BlobStore;
  /** Looks whether a session holds a row for a digest. Rejects if it cannot look. */
  readonly holdsRow: (session: string, digest: string) => Promise<boolean>;
  readonly nowMs: () => Promise<number>;
  /** A name never used before. */
  readonly fresh: () => string;
  /** How long a session that announced itself may take to write its row before it is not believed any more. */
  readonly graceMs: number;
}

/** What became of one digest: `gone` if there was nothing, or another collector ended it. */
export interface DigestReport {
  readonly outcome: "retained" | "deleted" | "gone";
  readonly roots: number;
  readonly failures: readonly unknown[];
}

interface Look {
  /** Holders whose sessions hold no row, and that had the time to write it. */
  readonly dead: readonly BlobHolder[];
  /** All other holders: with a row, too young to judge, or of a session that could not be looked at. */
  readonly alive: number;
  /** Holders with a row. */
  readonly roots: number;
  readonly failures: readonly unknown[];
}

/** Removes blobs that no session refers to. Nothing but a host calls it; no commit ever does. */
export class BlobCollector {
  readonly #options: BlobCollectorOptions;

  constructor(options: BlobCollectorOptions) {
    this.#options = options;
  }

  /** Looks at every digest, then at every name in the blob store. */
  async collect(): Promise<BlobReport> {
    const tally = { roots: 0, retained: 0, deleted: 0, strays: 0 };
    const failures: unknown[] = [];
    for (let bucket = 0; bucket < BLOB_BUCKETS; bucket++) {
      await noting(failures, async () => {
        for (const digest of await this.#options.ledger.digests(bucket)) {
          await noting(failures, async () => {
            const one = await this.collectOne(digest);
            tally.roots += one.roots;
            if (one.outcome !== "gone") tally[one.outcome] += 1;
            failures.push(...one.failures);
          });
        }
      });
    }
    await noting(failures, async () => {
      tally.strays = await this.#removeStrays(failures);
    });
    return { ...tally, failures, complete: failures.length === 0 };
  }

  /** Looks at one digest, and removes it if no session refers to it. */
  async collectOne(digest: string): Promise<DigestReport> {
    const { ledger, blobs, fresh } = this.#options;
    const fence = await ledger.fence(digest);
    // A first look without condemning: what is referred to costs no write.
    const look = await this.#look(digest);
    if (fence?.state !== "deleting" && look.dead.length === 0 && look.alive > 0) return retained(look);

    const condemned = await ledger.step(digest, undefined, ({ fence: now }) => decideCondemn(now, fresh()));
    if (condemned.fence === undefined) return { outcome: "gone", roots: 0, failures: [] };
    const { incarnation } = condemned.fence;
    if (condemned.outcome === "condemned") {
      const again = await this.#judge(condemned.fence);
      if (again !== undefined) return retained(again);
    }
    const mine = await finishDeletion(ledger, blobs, { digest, incarnation });
    return { outcome: mine ? "deleted" : "gone", roots: 0, failures: [] };
  }

  /** Looks again now that the digest is condemned, and decides. `undefined` if it went into deletion. */
  async #judge(condemned: BlobFence): Promise<Look | undefined> {
    const { ledger, fresh } = this.#options;
    const look = await this.#look(condemned.digest);
    const dead = look.dead.slice(0, HOLDERS_A_STEP);
    const { outcome } = await ledger.step(condemned.digest, undefined, ({ fence }) =>
      decideVerdict(fence, condemned, dead, look.alive, fresh()),
    );
    return outcome === "deleting" ? undefined : look;
  }

  /** Asks each holder's session whether it refers to the digest: proof first, and age only where there is none. */
  async #look(digest: string): Promise<Look> {
    const { ledger, holdsRow, nowMs, graceMs } = this.#options;
    const dead: BlobHolder[] = [];
    const failures: unknown[] = [];
    let roots = 0;
    let alive = 0;
    const youngFromMs = (await nowMs()) - graceMs;
    for (const holder of await ledger.holders(digest)) {
      const proof = await holdsRow(holder.session, digest).catch((error: unknown) => {
        failures.push(error);
      });
      if (proof === true) roots += 1;
      if (proof === false && holder.atMs <= youngFromMs) dead.push(holder);
      else alive += 1;
    }
    return { dead, alive, roots, failures };
  }

  /** Deletes bytes whose incarnation is not the living one. An incarnation is never used again, so this is always safe. */
  async #removeStrays(failures: unknown[]): Promise<number> {
    const { ledger, blobs } = this.#options;
    let strays = 0;
    let after: string | undefined;
    do {
      const page: BlobPage = await blobs.list(after);
      for (const name of page.names) {
        await noting(failures, async () => {
          const fence = await ledger.fence(name.digest);
          if (fence?.incarnation === name.incarnation) return;
          await blobs.delete(name);
          strays += 1;
        });
      }
      after = page.next;
    } while (after !== undefined);
    return strays;
  }
}

function retained({ roots, failures }: Look): DigestReport {
  return { outcome: "retained", roots, failures };
}

/** Runs one part of a collection; what could not be looked at is noted, and the rest goes on. */
async function noting(failures: unknown[], part: () => Promise<void>): Promise<void> {
  try {
    await part();
  } catch (error) {
    failures.push(error);
  }
}
