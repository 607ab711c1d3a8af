import type { Channel, Hasher } from "@tidemark/core";
import { CoreError, formatLogId } from "@tidemark/core";
import { restoreSnapshotBody, takeSnapshot } from "@tidemark/replication";
import type { Replicated, Replication } from "@tidemark/replication";
import type { SessionFold } from "@tidemark/session";
import { SignalError } from "@tidemark/signals";
import { readCheckpoint, WalError, writeCheckpoint } from "@tidemark/wal";
import type { Checkpoint, StoredCheckpoint, Vector, Wal, WalFs } from "@tidemark/wal";
import { RegionError } from "./errors.ts";
import type { RegionLogger } from "./options.ts";

/** How many the log keeps, the newest. */
const CHECKPOINTS_KEPT = 2;

/** What {@link Checkpoints} work with. */
export interface CheckpointsOptions {
  readonly fs: WalFs;
  readonly dir: string;
  readonly hasher: Hasher;
  readonly wal: Wal;
  /** What is kept, at one vector. */
  readonly channels: ReadonlyMap<Channel, Replicated>;
  readonly fold: SessionFold;
}

/** Keeps the folded state on disk, so that a start replays only what came after it. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  /** What the newest one on disk holds. */
  #stored: string = "";
  /** What the newest ones on disk cover that were read and verified, in this run. */
  #verified: Vector[] = [];
  #writing: Promise<void> = Promise.resolve();

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /**
   * Restores a checkpoint, if it is one of these very logs and this version can read it; without it all is replayed.
   *
   * @returns what the restored state covers.
   */
  async restore(
    checkpoint: Checkpoint | undefined,
    logger: RegionLogger | undefined,
  ): Promise<Vector | undefined> {
    if (checkpoint === undefined) return undefined;
    if (!(await this.#fits(checkpoint.vector))) {
      logger?.warn({}, "The checkpoint is not of these logs: replaying them instead");
      return undefined;
    }
    try {
      restoreSnapshotBody(this.#options.channels, checkpoint.body);
    } catch (error) {
      if (error instanceof SignalError && error.code === "SCHEMA_DIFFERS") {
        this.#requireWhole(error);
        logger?.info({}, "The schema of signals is another one: folding the logs anew");
        return undefined;
      }
      if (!(error instanceof CoreError)) throw error;
      logger?.warn({ err: error }, "The checkpoint cannot be read: replaying the logs instead");
      return undefined;
    }
    this.#stored = this.#mark(checkpoint.vector);
    this.#verified = [checkpoint.vector];
    return checkpoint.vector;
  }

  /**
   * Writes a checkpoint, unless the one on disk says the same.
   *
   * @param both - Unless both that are kept cover as much: while a region is idle the older one would hold segments back
   * for ever.
   */
  async write(
    vector: Vector,
    membershipVersion: number,
    { both = false }: { readonly both?: boolean } = {},
  ): Promise<void> {
    const { fs, dir, hasher, wal, channels } = this.#options;
    const mark = this.#mark(vector);
    if (mark === this.#stored && (!both || this.floor?.covers(vector) === true)) return;
    // The state of this moment, whatever is being written still.
    const taken = takeSnapshot({ wal, vector, channels, membershipVersion });
    const before = this.#writing;
    this.#writing = Promise.all([taken, before.catch(() => undefined)]).then(async ([snapshot]) => {
      const sequence = await writeCheckpoint(fs, dir, hasher, snapshot);
      this.#stored = mark;
      // Segments go by what was read back, not by what was meant to be written.
      const read = await findCheckpoint(fs, dir, hasher, undefined);
      if (read?.sequence === sequence) this.#verified = [...this.#verified, read.vector].slice(-2);
    });
    await this.#writing;
  }

  /** The older of the two newest checkpoints that were verified: a start never needs more of the logs than what is above. */
  get floor(): Vector | undefined {
    return this.#verified.length < 2 ? undefined : this.#verified[0];
  }

  /** The state was replaced: what is on disk says something else, whatever the vector is. */
  forget(): void {
    this.#stored = "";
  }

  /** What was folded under one schema is folded under another from the very beginning of the logs. */
  #requireWhole(cause: SignalError): void {
    const trimmed = this.#options.wal.logs().find(({ first }) => first > 1);
    if (trimmed === undefined) return;
    throw new RegionError(
      "SCHEMA_CHANGED",
      `Cannot fold signals under this schema: ${formatLogId(trimmed.id)} is stored from LSN ${trimmed.first} only; open with the schema of before, or give changed signals a name of their own`,
      { cause },
    );
  }

  /** Writes as many as are kept: none that is older is left, nor what only it holds. */
  async replace(replication: Pick<Replication, "vector" | "membership">): Promise<void> {
    for (let written = 0; written < CHECKPOINTS_KEPT; written++) {
      this.#stored = "";
      await this.write(replication.vector(), replication.membership.version);
    }
  }

  /** Whether every position is the end of a batch that is stored here: an older image of the logs has less. */
  async #fits(vector: Vector): Promise<boolean> {
    for (const { log: id, lsn, digest } of vector.entries()) {
      const log = this.#options.wal.log(id);
      if (log === undefined || log.durable.lsn < lsn) return false;
      const held = lsn === log.durable.lsn ? log.durable.digest : await log.digestAt(lsn);
      if (held === undefined || !digest.every((byte, at) => byte === held[at])) return false;
    }
    return true;
  }

  /** What a checkpoint taken now would say: the operations, and what of them is settled. */
  #mark(vector: Vector): string {
    const { counts, heldUnhides } = this.#options.fold;
    const logs = vector
      .entries()
      .map(({ log, lsn }) => `${log.channel} ${log.region} ${log.shard} ${log.epoch} ${lsn}`);
    return [...logs, counts.unstable, counts.unhidesPending, heldUnhides.length].join(", ");
  }
}

/** The newest checkpoint of a directory; where none can be trusted, the logs are replayed from their beginning. */
export async function findCheckpoint(
  fs: WalFs,
  dir: string,
  hasher: Hasher,
  logger: RegionLogger | undefined,
): Promise<StoredCheckpoint | undefined> {
  try {
    return await readCheckpoint(fs, dir, hasher);
  } catch (error) {
    if (!(error instanceof WalError) || error.code !== "WAL_BAD_FILE") throw error;
    logger?.warn({ err: error }, "No checkpoint can be trusted: replaying the logs instead");
    return undefined;
  }
}
