import type { RegionId } from "@tidemark/core";

/** What to publish next, if anything. */
export type ShipEffect =
  /** Publish these batches, which were kept, as one frame. */
  | {
      readonly kind: "publish";
      readonly parts: readonly Uint8Array[];
      readonly first: number;
      readonly last: number;
    }
  /** Read batches from the log from here on, then publish them. */
  | { readonly kind: "read"; readonly from: number; readonly to: number };

interface Pending {
  readonly first: number;
  readonly last: number;
  readonly bytes: Uint8Array;
}

interface Mark {
  readonly last: number;
  /** All bytes published up to and with this frame. */
  readonly total: number;
}

/**
 * How far one own log was published, and whether to go on: a state machine of commits, acks and publishes.
 *
 * One frame is under way at a time. What commits meanwhile goes into the next one, so frames grow under
 * load and nothing waits when idle. What is published once serves every follower; it goes on while at least
 * one of them is within its window, so a slow one holds nobody up: beyond its window it asks for ranges.
 */
export class ShipWindow {
  /** The last LSN that the medium took. */
  shipped: number;
  /** The last LSN on our disk. */
  durable: number;
  /** Whether every follower is beyond its window. */
  stalled: boolean = false;
  readonly #windowBytes: number;
  readonly #frameBytes: number;
  readonly #followers: Map<RegionId, { acked: number; ackedBytes: number }> = new Map();
  #pending: Pending[] = [];
  #pendingBytes: number = 0;
  #marks: Mark[] = [];
  #total: number = 0;
  #underWay: { last: number; bytes: number } | undefined;

  constructor(options: {
    /** Bytes published and not acknowledged, a follower. */
    readonly windowBytes: number;
    /** Bytes of batches in one frame. */
    readonly frameBytes: number;
    /** What was on disk before: followers get it by asking. */
    readonly shipped: number;
    readonly followers: readonly RegionId[];
  }) {
    this.#windowBytes = options.windowBytes;
    this.#frameBytes = options.frameBytes;
    this.shipped = options.shipped;
    this.durable = options.shipped;
    this.setFollowers(options.followers);
  }

  /** The members changed. */
  setFollowers(followers: readonly RegionId[]): void {
    for (const region of this.#followers.keys())
      if (!followers.includes(region)) this.#followers.delete(region);
    for (const region of followers) {
      if (!this.#followers.has(region)) this.#followers.set(region, { acked: 0, ackedBytes: 0 });
    }
  }

  /**
   * A batch became durable. It is kept while it fits the window; else it is read again when its turn comes.
   *
   * What is kept may begin behind what has to be read first: or a writer that never pauses, once read from
   * disk, would be read from disk for good.
   */
  committed(first: number, last: number, bytes: Uint8Array): void {
    this.durable = last;
    if (this.#followers.size === 0) {
      this.shipped = last;
      return;
    }
    const follows = this.#pending.length > 0 ? (this.#pending.at(-1) as Pending).last + 1 : first;
    if (first !== follows || this.#pendingBytes + bytes.length > this.#windowBytes) this.#dropPending();
    if (bytes.length > this.#windowBytes) return;
    this.#pending.push({ first, last, bytes });
    this.#pendingBytes += bytes.length;
  }

  /** A follower holds the log up to `lsn`. */
  acknowledged(region: RegionId, lsn: number): void {
    const follower = this.#followers.get(region);
    if (follower === undefined || lsn <= follower.acked) return;
    follower.acked = Math.min(lsn, this.durable);
    for (const mark of this.#marks) {
      if (mark.last > follower.acked) break;
      follower.ackedBytes = Math.max(follower.ackedBytes, mark.total);
    }
    if (follower.acked >= this.shipped) follower.ackedBytes = this.#total;
    this.#trimMarks();
  }

  /** The next thing to do; nothing while a frame is under way, everything is out, or all are beyond their window. */
  next(): ShipEffect | undefined {
    if (this.#underWay !== undefined || this.#followers.size === 0) return undefined;
    this.#skipHeldByAll();
    if (this.shipped >= this.durable) {
      this.stalled = false;
      return undefined;
    }
    this.stalled = !this.#someoneWithinWindow();
    if (this.stalled) return undefined;
    let skip = 0;
    while (skip < this.#pending.length && (this.#pending[skip] as Pending).last <= this.shipped) skip += 1;
    this.#dropFirst(skip);
    const from = this.shipped + 1;
    // A mark within a batch: it is not to be cut.
    if ((this.#pending[0]?.first ?? from) < from) this.#dropPending();
    const kept = this.#pending[0];
    if (kept?.first !== from) {
      this.#underWay = { last: this.shipped, bytes: 0 };
      return { kind: "read", from, to: kept === undefined ? this.durable : kept.first - 1 };
    }
    const parts: Uint8Array[] = [];
    let last = this.shipped;
    let bytes = 0;
    for (const batch of this.#pending) {
      if (parts.length > 0 && bytes + batch.bytes.length > this.#frameBytes) break;
      parts.push(batch.bytes);
      bytes += batch.bytes.length;
      last = batch.last;
    }
    this.#dropFirst(parts.length);
    this.#underWay = { last, bytes };
    return { kind: "publish", parts, first: from, last };
  }

  /** What was read for a `read` effect is about to be published. */
  reading(last: number, bytes: number): void {
    this.#underWay = { last, bytes };
  }

  /** The medium took the frame under way. */
  published(): void {
    const { last, bytes } = this.#underWay as { last: number; bytes: number };
    this.#underWay = undefined;
    this.shipped = Math.max(this.shipped, last);
    this.#total += bytes;
    this.#marks.push({ last, total: this.#total });
  }

  /** It did not: the frame is read from the log again at the next attempt. */
  failed(): void {
    this.#underWay = undefined;
    this.#dropPending();
  }

  /** Published bytes that a follower has not acknowledged. */
  unackedBytes(region: RegionId): number {
    const follower = this.#followers.get(region);
    return follower === undefined ? 0 : this.#total - follower.ackedBytes;
  }

  #someoneWithinWindow(): boolean {
    for (const { ackedBytes } of this.#followers.values()) {
      if (this.#total - ackedBytes < this.#windowBytes) return true;
    }
    return false;
  }

  /** What every follower has by asking for it need not be published any more. */
  #skipHeldByAll(): void {
    let least = this.durable;
    for (const { acked } of this.#followers.values()) least = Math.min(least, acked);
    this.shipped = Math.max(this.shipped, least);
  }

  #dropFirst(count: number): void {
    for (const { bytes } of this.#pending.splice(0, count)) this.#pendingBytes -= bytes.length;
  }

  #dropPending(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** Marks below what every follower acknowledged are of no use; a dead follower's are thinned out. */
  #trimMarks(): void {
    let least = this.#total;
    for (const { ackedBytes } of this.#followers.values()) least = Math.min(least, ackedBytes);
    let drop = 0;
    while (drop < this.#marks.length && (this.#marks[drop] as Mark).total <= least) drop += 1;
    if (drop > 0) this.#marks.splice(0, drop);
    if (this.#marks.length > MARKS_MAX) this.#marks = this.#marks.filter((_, at) => at % 2 === 1);
  }
}

const MARKS_MAX = 4_096;
