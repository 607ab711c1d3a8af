import { formatLogId, type LogId } from "@tidemark/core";
import { Vector, type VectorEntry, type WalBatch } from "@tidemark/wal";

/**
 * The high-water mark of every log: what was applied here, contiguous, forward only. Part of every checkpoint.
 */
export class ReplicationState {
  readonly #marks: Map<string, VectorEntry> = new Map();
  #vector: Vector | undefined;

  /** @param applied - What the restored state covers. */
  constructor(applied: Vector = Vector.empty) {
    for (const entry of applied.entries()) this.#marks.set(formatLogId(entry.log), entry);
  }

  /** The highest LSN applied, 0 if none. */
  lsnOf(log: LogId): number {
    return this.#marks.get(formatLogId(log))?.lsn ?? 0;
  }

  /**
   * Moves the mark of a log to the end of its next batch.
   *
   * @throws `RangeError` for a batch that is not the next: a hole or a repeat here is a bug of the caller.
   */
  advance(batch: WalBatch): void {
    const applied = this.lsnOf(batch.log);
    if (batch.firstLsn !== applied + 1) {
      throw new RangeError(
        `Batch ${batch.firstLsn} of ${formatLogId(batch.log)} does not follow LSN ${applied}`,
      );
    }
    this.#marks.set(formatLogId(batch.log), {
      log: batch.log,
      lsn: batch.lastLsn,
      digest: batch.digest.slice(0, 8),
    });
    this.#vector = undefined;
  }

  /** All states were replaced by others, which cover a vector: the one way back. */
  reset(applied: Vector): void {
    this.#marks.clear();
    for (const entry of applied.entries()) this.#marks.set(formatLogId(entry.log), entry);
    this.#vector = undefined;
  }

  /** Whether every entry is reached here. Digests are compared elsewhere: a fork has its own report. */
  covers(vector: Vector): boolean {
    for (const { log, lsn } of vector.entries()) if (this.lsnOf(log) < lsn) return false;
    return true;
  }

  /** All marks. */
  vector(): Vector {
    this.#vector ??= Vector.of(this.#marks.values());
    return this.#vector;
  }
}
