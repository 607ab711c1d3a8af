import type { RegionId } from "@tidemark/core";
import type { Replication } from "@tidemark/replication";
import type { Erasure, SessionFold } from "@tidemark/session";
import type { Checkpoints } from "./checkpoints.ts";
import type { KeyStore } from "./key-store.ts";
import type { RegionLogger } from "./options.ts";
import type { ErasureReport } from "./region.ts";

/** What {@link Erasures} work with. */
export interface ErasuresOptions {
  readonly keys: KeyStore;
  readonly fold: SessionFold;
  readonly replication: Replication;
  readonly checkpoints: Checkpoints;
  readonly self: RegionId;
  readonly logger: RegionLogger | undefined;
}

/** What is left to do once users are erased in the fold, and what is to be told of it. */
export class Erasures {
  readonly #options: ErasuresOptions;
  #cleaning: Promise<void> | undefined;
  #again: boolean = false;

  constructor(options: ErasuresOptions) {
    this.#options = options;
    if (options.keys.cleaning) this.changed();
  }

  /** Somebody was erased: checkpoints that hold what they wrote are replaced. */
  changed(): void {
    this.#again = true;
    this.#cleaning ??= this.#clean().finally(() => {
      this.#cleaning = undefined;
    });
  }

  /** Resolves once nothing is under way. */
  async settled(): Promise<void> {
    await this.#cleaning;
  }

  /** Everybody who was erased, by pseudonym. */
  all(): ErasureReport[] {
    const { erasing } = this.#options.fold;
    return [...(erasing?.erasures.values() ?? [])]
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map((erasure) => this.#report(erasure));
  }

  of(pseudonym: string): ErasureReport | undefined {
    const erasure = this.#options.fold.erasing?.erasures.get(pseudonym);
    return erasure === undefined ? undefined : this.#report(erasure);
  }

  #report({ id, upTo, place }: Erasure): ErasureReport {
    const { fold, keys, replication, self } = this.#options;
    const log = place === undefined ? undefined : fold.logs.ids[place.log];
    const here = !keys.cleaning && keys.saved() === undefined;
    const members = [...replication.membership.regions].map(([name, region]) => {
      if (region === self) return [name, here] as const;
      // Where it is acknowledged the keys are gone from the disk.
      const acked = log !== undefined && replication.acknowledgedLsn(region, log) >= (place?.lsn ?? 0);
      return [name, acked] as const;
    });
    return { pseudonym: id, generation: upTo, members: Object.fromEntries(members) };
  }

  async #clean(): Promise<void> {
    const { keys, replication, checkpoints, logger } = this.#options;
    while (this.#again) {
      this.#again = false;
      try {
        const { mark } = keys;
        // The batch that told of it is applied before the state is taken.
        await keys.saved();
        await checkpoints.replace(replication);
        await keys.cleaned(mark);
      } catch (error) {
        // What is on disk says that it is to be done: the next erasure, or the next start, tries again.
        logger?.warn({ err: error }, "Cannot replace the checkpoints from before an erasure");
      }
    }
  }
}
