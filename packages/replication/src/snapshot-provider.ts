import type { Hasher } from "@tidemark/core";
import { encodeCheckpoint, type Checkpoint, type Timers, type Vector } from "@tidemark/wal";
import { equalBytes } from "./equal-bytes.ts";
import { SNAPSHOT_ID_BYTES, type SnapshotPart, type SnapshotToken } from "./snapshot-token.ts";

/** What a {@link SnapshotProvider} works with. */
export interface SnapshotProviderOptions {
  readonly hasher: Hasher;
  readonly timers: Timers;
  /** A snapshot nobody has asked for so long is dropped. */
  readonly idleMs: number;
  /** The largest piece. */
  readonly partBytes: number;
  /** All state of this moment: between two batches of every log. */
  readonly take: () => Promise<Checkpoint>;
  /** Whether the tail above a vector is still held here; a snapshot without its tail is worth nothing. */
  readonly followed: (vector: Vector) => boolean;
}

interface Held {
  readonly id: Uint8Array;
  readonly vector: Vector;
  readonly bytes: Uint8Array;
}

/**
 * Serves one snapshot at a time, in pieces, while writes go on: it is the bytes of a checkpoint file, so that it carries its
 * vector and its digest. Whoever asks next gets the one that is held while that is of use; it is dropped when idle.
 */
export class SnapshotProvider {
  /** Snapshots taken. */
  taken: number = 0;
  readonly #options: SnapshotProviderOptions;
  #held: Held | undefined;
  #taking: Promise<Held> | undefined;
  #cancel: (() => void) | undefined;
  #closed: boolean = false;

  constructor(options: SnapshotProviderOptions) {
    this.#options = options;
  }

  /** What a snapshot under way covers: its tail must not be removed meanwhile. */
  get held(): Vector | undefined {
    return this.#held?.vector;
  }

  /** The piece at a token; the first of another snapshot if that one is gone. */
  async part(token: SnapshotToken | undefined): Promise<SnapshotPart> {
    const { partBytes } = this.#options;
    const held = this.#usable(token) ?? (await this.#take());
    this.#keepUntilIdle();
    const known = token !== undefined && equalBytes(token.id, held.id) && token.offset < held.bytes.length;
    const offset = known ? token.offset : 0;
    const bytes = held.bytes.subarray(offset, offset + partBytes);
    return { id: held.id, offset, totalBytes: held.bytes.length, bytes };
  }

  /** Drops what is held: the state it was taken of is no longer ours. */
  drop(): void {
    this.#held = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  close(): void {
    this.#closed = true;
    this.drop();
  }

  /** One under way is finished whatever happened meanwhile: what it lacks is its tail, which is kept for it. */
  #usable(token: SnapshotToken | undefined): Held | undefined {
    const held = this.#held;
    if (held === undefined) return undefined;
    const asked = token !== undefined && equalBytes(token.id, held.id);
    return asked || this.#options.followed(held.vector) ? held : undefined;
  }

  /** Those who ask meanwhile share it. */
  #take(): Promise<Held> {
    this.#taking ??= this.#takeNow().finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  async #takeNow(): Promise<Held> {
    const { take, hasher } = this.#options;
    const { vector, body } = await take();
    const bytes = encodeCheckpoint({ vector, body }, hasher);
    this.taken += 1;
    this.#held = { id: bytes.slice(-SNAPSHOT_ID_BYTES), vector, bytes };
    return this.#held;
  }

  #keepUntilIdle(): void {
    this.#cancel?.();
    if (this.#closed) return this.drop();
    this.#cancel = this.#options.timers.setTimer(this.#options.idleMs, () => this.drop());
  }
}
