import type { LogId } from "@tidemark/core";
import type { LogPosition, WalBatch } from "@tidemark/wal";
import { equalBytes } from "./equal-bytes.ts";

/** What is to be done about a batch that arrived. */
export type ReceiveEffect =
  /** Store these, in this order: they continue the log exactly. */
  | { readonly kind: "store"; readonly batches: readonly WalBatch[] }
  /** It is at or below what we hold: compare its digest with the stored one, then forget it. */
  | { readonly kind: "compare"; readonly batch: WalBatch }
  /** It waits for the batches before it. */
  | { readonly kind: "ahead" }
  /** It is known already, byte for byte, or no longer of use. */
  | { readonly kind: "duplicate" }
  /** No room to keep it: it will be asked for again. */
  | { readonly kind: "dropped" }
  /** Its bytes cannot be of the log that we hold. */
  | { readonly kind: "forked"; readonly batch: WalBatch };

/** A range that is missing, ends inclusive. */
export interface MissingRange {
  readonly from: number;
  readonly to: number;
}

/** What was only announced is probably under way: it is given this many times as long as a hole. */
const ANNOUNCED_FACTOR = 10;
/** A longer pause between two batches says nothing about how long the next one is under way. */
const PACE_MS_MAX = 300;
const ZERO_DIGEST = new Uint8Array(16);

/**
 * The receiving end of one log, as a state machine: batches come in any order, any number of times; out go
 * batches that continue the log exactly.
 *
 * It never advances over a hole, never drops a record it should store without remembering to ask for it,
 * never stops for a duplicate, and stops for good when two different histories claim one LSN.
 */
export class LogReceiver {
  readonly id: LogId;
  /** The last batch that was handed out to be stored. */
  accepted: LogPosition;
  /** Set once: the log is stopped, and why. */
  stopped: "forked" | "failed" | undefined;
  /** Bytes kept ahead of a hole. */
  aheadBytes: number = 0;
  /** When the present hole was first seen. */
  holeSince: number | undefined;
  /** When `accepted` last moved. */
  progressAt: number = Number.NEGATIVE_INFINITY;
  /** Time between the last two times `accepted` moved. */
  #paceMs: number = 0;
  readonly #aheadBytesMax: number;
  readonly #ahead: Map<number, WalBatch> = new Map();
  /** The highest LSN that somebody is known to hold, and when we heard of it. */
  #known: { lsn: number; sinceMs: number } | undefined;

  constructor(options: {
    readonly id: LogId;
    readonly durable: LogPosition;
    readonly aheadBytesMax: number;
  }) {
    this.id = options.id;
    this.accepted = options.durable;
    this.#aheadBytesMax = options.aheadBytesMax;
  }

  /** A verified batch of this log arrived. */
  receive(now: number, batch: WalBatch): ReceiveEffect {
    if (this.stopped !== undefined) return { kind: "duplicate" };
    const { firstLsn, lastLsn } = batch;
    if (lastLsn <= this.accepted.lsn) return { kind: "compare", batch };
    if (firstLsn <= this.accepted.lsn) return this.#fork(batch);
    if (firstLsn > this.accepted.lsn + 1) return this.#keepAhead(now, batch);
    if (!this.#continues(batch)) return this.#fork(batch);
    const batches = [batch];
    this.#accept(batch);
    for (;;) {
      const next = this.#ahead.get(this.accepted.lsn + 1);
      if (next === undefined) break;
      this.#forget(next);
      if (!this.#continues(next)) {
        // What is stored so far stays; the batch that does not follow is the evidence.
        this.#fork(next);
        break;
      }
      batches.push(next);
      this.#accept(next);
    }
    const pauseMs = now - this.progressAt;
    this.#paceMs = pauseMs <= PACE_MS_MAX ? pauseMs : 0;
    this.progressAt = now;
    this.#noteHole(now);
    return { kind: "store", batches };
  }

  /** Somebody holds the log up to `lsn`. */
  announce(now: number, lsn: number): void {
    if (this.#known === undefined || lsn > this.#known.lsn) {
      const caughtUp = this.#known === undefined || this.#known.lsn <= this.accepted.lsn;
      this.#known = { lsn, sinceMs: caughtUp ? now : this.#known!.sinceMs };
    }
  }

  /** Storing failed: what the log really holds is where we go on from, and the rest is asked for again. */
  storeFailed(now: number, durable: LogPosition): void {
    this.announce(now, this.accepted.lsn);
    this.accepted = durable;
    this.#noteHole(now);
  }

  /** Stops the log for good. */
  stop(reason: "forked" | "failed"): void {
    this.stopped ??= reason;
    this.#ahead.clear();
    this.aheadBytes = 0;
    this.holeSince = undefined;
  }

  /** What to ask for next, if anything is known to be missing. */
  missing(): MissingRange | undefined {
    if (this.stopped !== undefined) return undefined;
    const from = this.accepted.lsn + 1;
    let to = this.#known?.lsn ?? 0;
    for (const first of this.#ahead.keys()) {
      if (first > from && (to < from || first - 1 < to)) to = first - 1;
    }
    return to < from ? undefined : { from, to };
  }

  /**
   * When to ask for what is missing: a hole may be filled by a frame under way, and a log that is moving may
   * reach what was announced by itself.
   */
  dueAt(repairDelayMs: number): number | undefined {
    if (this.missing() === undefined) return undefined;
    if (this.holeSince !== undefined) return this.holeSince + repairDelayMs;
    // A large frame on a slow link takes longer than that: what comes at such a pace is asked for later.
    const patienceMs = Math.max(ANNOUNCED_FACTOR * repairDelayMs, 2 * this.#paceMs);
    return Math.max(this.#known!.sinceMs, this.progressAt) + patienceMs;
  }

  /** The highest LSN that anybody is known to hold. */
  get knownLsn(): number {
    return Math.max(this.#known?.lsn ?? 0, this.accepted.lsn);
  }

  #keepAhead(now: number, batch: WalBatch): ReceiveEffect {
    const held = this.#ahead.get(batch.firstLsn);
    if (held !== undefined) {
      return equalBytes(held.digest, batch.digest) ? { kind: "duplicate" } : this.#fork(batch);
    }
    this.announce(now, batch.lastLsn);
    const room = this.#aheadBytesMax - this.aheadBytes;
    const kept = batch.bytes.length <= room;
    if (kept) {
      this.#ahead.set(batch.firstLsn, batch);
      this.aheadBytes += batch.bytes.length;
    }
    this.holeSince ??= now;
    return { kind: kept ? "ahead" : "dropped" };
  }

  #continues(batch: WalBatch): boolean {
    return equalBytes(batch.previous, this.accepted.lsn === 0 ? ZERO_DIGEST : this.accepted.digest);
  }

  #accept(batch: WalBatch): void {
    this.accepted = { lsn: batch.lastLsn, digest: batch.digest };
  }

  #forget(batch: WalBatch): void {
    this.#ahead.delete(batch.firstLsn);
    this.aheadBytes -= batch.bytes.length;
  }

  #noteHole(now: number): void {
    this.holeSince = this.#ahead.size === 0 ? undefined : now;
  }

  #fork(batch: WalBatch): ReceiveEffect {
    this.stop("forked");
    return { kind: "forked", batch };
  }
}
