import type { Hasher } from "@tidemark/core";
import type { ClusterKey } from "@tidemark/replication";
import { SEAL_NONCE_BYTES, UserSeals } from "@tidemark/session";
import type { Sealer } from "@tidemark/session";
import type { Timers, WalFs } from "@tidemark/wal";
import type { KeyFile } from "./key-file.ts";
import { writeKeyFile } from "./key-file.ts";
import { wrapKeys } from "./key-wrap.ts";
import type { RegionLogger } from "./options.ts";
import { waitFor } from "./wait.ts";

/** What a {@link KeyStore} works with. */
export interface KeyStoreOptions {
  readonly fs: WalFs;
  readonly dir: string;
  readonly hasher: Hasher;
  readonly timers: Timers;
  readonly randomBytes: (count: number) => Uint8Array;
  /** The secret that pseudonyms come from. */
  readonly seed: Uint8Array;
  readonly clusterId: Uint8Array;
  /** The first seals what other members are given. */
  readonly clusterKeys: readonly ClusterKey[];
  readonly sealer?: Sealer;
  readonly logger: RegionLogger | undefined;
  /** The region is closing. */
  readonly closed: AbortSignal;
}

/** Pauses between attempts to write the file. */
const PAUSE_MS = { min: 50, max: 5_000 };

/** The keys of users in memory and on disk: what is destroyed here is destroyed there before anybody is told. */
export class KeyStore {
  readonly seals: UserSeals;
  readonly #options: KeyStoreOptions;
  #cleaning: boolean;
  /** Changes so far, and how many of them are on disk. */
  #changes: number = 0;
  #saved: number = 0;
  #saving: Promise<void> | undefined;
  #problem: unknown;
  #wrapped: Uint8Array | undefined;

  constructor(file: KeyFile, options: KeyStoreOptions) {
    const { hasher, seed, sealer } = options;
    this.#options = options;
    this.#cleaning = file.cleaning;
    this.seals = new UserSeals({
      hasher,
      seed,
      keys: file.keys,
      ...(sealer === undefined ? {} : { sealer }),
      erased: () => this.#erased(),
    });
  }

  /** A checkpoint from before an erasure may still be on disk. */
  get cleaning(): boolean {
    return this.#cleaning;
  }

  /** Why what was destroyed is not destroyed on disk yet. */
  get problem(): unknown {
    return this.#problem;
  }

  /** Waits until the disk holds what memory does, tried for ever; `undefined` if it does. */
  saved(): Promise<void> | undefined {
    if (this.#saved === this.#changes) return undefined;
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  /** No checkpoint from before the erasures known at `mark` is left. */
  async cleaned(mark: number): Promise<void> {
    if (!this.#cleaning || mark !== this.#changes) return;
    this.#cleaning = false;
    this.#changes += 1;
    await this.saved();
  }

  /** Destroys a user's keys; what is folded under them is still read until it is erased. */
  retire(pseudonym: Uint8Array, upTo: number): void {
    this.seals.retire(pseudonym, upTo);
  }

  /** Names what has been erased so far. */
  get mark(): number {
    return this.#changes;
  }

  /** The table as another member may have it: the same bytes until it changes. */
  wrapped(): Uint8Array {
    const { clusterKeys, randomBytes } = this.#options;
    const [clusterKey] = clusterKeys;
    if (clusterKey === undefined) throw new TypeError("A region alone gives its keys to nobody");
    this.#wrapped ??= wrapKeys(
      this.seals.keys.encode(),
      clusterKey,
      randomBytes(SEAL_NONCE_BYTES),
      this.#options,
    );
    return this.#wrapped;
  }

  /** A user was erased in the state: a checkpoint may still hold what they wrote. */
  soil(): void {
    if (this.#cleaning) return;
    this.#cleaning = true;
    this.#changes += 1;
  }

  #erased(): void {
    this.#changes += 1;
    this.#cleaning = true;
    this.#wrapped = undefined;
    // Whoever has to know that it is done asks; the rest is only done soon.
    this.saved()?.catch(() => undefined);
  }

  async #save(): Promise<void> {
    const { fs, dir, hasher, timers, closed, logger } = this.#options;
    // All that one turn erases goes with one write.
    await Promise.resolve();
    for (let pauseMs = PAUSE_MS.min; this.#saved < this.#changes;) {
      const changes = this.#changes;
      try {
        await writeKeyFile(fs, dir, hasher, { keys: this.seals.keys, cleaning: this.#cleaning });
        this.#saved = changes;
        this.#problem = undefined;
        pauseMs = PAUSE_MS.min;
      } catch (error) {
        if (this.#problem === undefined)
          logger?.error({ err: error }, "Cannot write the keys of users: an erasure waits for it");
        this.#problem = error;
        await waitFor({ timers, timeoutMs: pauseMs, signals: [closed] }, () => () => undefined);
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS.max);
      }
    }
  }
}
