import type { RegionId } from "@tidemark/core";

/** What to publish next, if anything: also the name of what is under way, until it is published or failed. */
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
  /** All bytes handed to the medium up to and with this frame. */
  readonly total: number;
}

/** A frame that the medium was given. */
interface UnderWay {
  /** 0 while it is read. */
  last: number;
  /** All bytes handed to the medium before it. */
  readonly before: number;
  outcome: "open" | "taken" | "failed";
}

/**
 * How far one own log was published, and whether to go on: a state machine of commits, acks and publishes.
 *
 * What commits while frames are under way goes into the next one, so frames grow under load and nothing waits when idle. A
 * further frame is begun behind those under way, up to a limit, as soon as it is worth one: {@link FURTHER_FRAME_BYTES}. So
 * a medium far away is kept busy. They are published in the order of the log, whichever way they end: after a failure
 * nothing is begun until all are settled, and then everything behind the last that was taken without a hole is published again.
 *
 * What is published once serves every follower; it goes on while at least one of them is within its window, so a slow one
 * holds nobody up: beyond its window it asks for ranges.
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
  readonly #underWayMax: number;
  readonly #followers: Map<RegionId, { acked: number; ackedBytes: number }> = new Map();
  #pending: Pending[] = [];
  #pendingBytes: number = 0;
  #marks: Mark[] = [];
  #total: number = 0;
  /** The last LSN that was handed to the medium. */
  #sent: number;
  /** In the order of the log. */
  readonly #underWay: Map<ShipEffect, UnderWay> = new Map();

  constructor(options: {
    /** Bytes published and not acknowledged, a follower. */
    readonly windowBytes: number;
    /** Bytes of batches in one frame. */
    readonly frameBytes: number;
    /** Frames under way at once. @defaultValue 1 */
    readonly underWayMax?: number;
    /** What was on disk before: followers get it by asking. */
    readonly shipped: number;
    readonly followers: readonly RegionId[];
  }) {
    this.#windowBytes = options.windowBytes;
    this.#frameBytes = options.frameBytes;
    this.#underWayMax = options.underWayMax ?? 1;
    this.shipped = this.#sent = options.shipped;
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
      this.shipped = this.#sent = last;
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
    if (follower.acked >= this.#sent) follower.ackedBytes = this.#total;
    this.#trimMarks();
  }

  /**
   * The next thing to do; nothing while as much is under way as may be, while something is read or was not taken, while what
   * waits is not worth a further frame, when everything is out, or when all are beyond their window.
   */
  next(): ShipEffect | undefined {
    if (this.#followers.size === 0 || this.#underWay.size >= this.#underWayMax) return undefined;
    for (const { last, outcome } of this.#underWay.values()) {
      if (last === 0 || outcome === "failed") return undefined;
    }
    this.#skipHeldByAll();
    if (this.#sent >= this.durable) {
      this.stalled = false;
      return undefined;
    }
    this.stalled = !this.#someoneWithinWindow();
    if (this.stalled) return undefined;
    let skip = 0;
    while (skip < this.#pending.length && (this.#pending[skip] as Pending).last <= this.#sent) skip += 1;
    this.#dropFirst(skip);
    const from = this.#sent + 1;
    // A mark within a batch: it is not to be cut.
    if ((this.#pending[0]?.first ?? from) < from) this.#dropPending();
    const kept = this.#pending[0];
    if (kept?.first !== from) {
      return this.#begin(
        { kind: "read", from, to: kept === undefined ? this.durable : kept.first - 1 },
        0,
        0,
      );
    }
    const parts: Uint8Array[] = [];
    let last = this.#sent;
    let bytes = 0;
    for (const batch of this.#pending) {
      if (parts.length > 0 && bytes + batch.bytes.length > this.#frameBytes) break;
      parts.push(batch.bytes);
      bytes += batch.bytes.length;
      last = batch.last;
    }
    const full = parts.length < this.#pending.length || bytes >= FURTHER_FRAME_BYTES;
    if (this.#underWay.size > 0 && !full) return undefined;
    this.#dropFirst(parts.length);
    return this.#begin({ kind: "publish", parts, first: from, last }, last, bytes);
  }

  /** What was read for a `read` effect is about to be published. */
  reading(effect: ShipEffect, last: number, bytes: number): void {
    (this.#underWay.get(effect) as UnderWay).last = last;
    this.#handOver(last, bytes);
  }

  /** The medium took a frame. */
  published(effect: ShipEffect): void {
    this.#settle(effect, "taken");
  }

  /** It did not, or nobody knows: the frame and those behind it are read from the log again at the next attempt. */
  failed(effect: ShipEffect): void {
    this.#settle(effect, "failed");
  }

  /** Bytes handed to the medium that a follower has not acknowledged. */
  unackedBytes(region: RegionId): number {
    const follower = this.#followers.get(region);
    return follower === undefined ? 0 : this.#total - follower.ackedBytes;
  }

  #begin(effect: ShipEffect, last: number, bytes: number): ShipEffect {
    this.#underWay.set(effect, { last, before: this.#total, outcome: "open" });
    if (effect.kind === "publish") this.#handOver(last, bytes);
    return effect;
  }

  #handOver(last: number, bytes: number): void {
    this.#sent = Math.max(this.#sent, last);
    this.#total += bytes;
    this.#marks.push({ last, total: this.#total });
    // Who fetched it has acknowledged it before it was handed over, and may not do so again.
    for (const follower of this.#followers.values())
      if (follower.acked >= last) follower.ackedBytes = this.#total;
  }

  #settle(effect: ShipEffect, outcome: "taken" | "failed"): void {
    const settled = this.#underWay.get(effect);
    if (settled === undefined) return;
    settled.outcome = outcome;
    for (const [first, { last, outcome: of }] of this.#underWay) {
      if (of !== "taken") break;
      this.#underWay.delete(first);
      this.shipped = Math.max(this.shipped, last);
    }
    const rest = [...this.#underWay.values()];
    if (rest.every(({ outcome: of }) => of !== "open")) this.#rollBack(rest);
  }

  /** Forgets what was handed over from the first frame on that the medium did not take. */
  #rollBack(rest: readonly UnderWay[]): void {
    const [first] = rest;
    if (first === undefined) return;
    this.#underWay.clear();
    this.#total = first.before;
    this.#marks = this.#marks.filter(({ total }) => total <= first.before);
    for (const follower of this.#followers.values()) {
      follower.ackedBytes = Math.min(follower.ackedBytes, first.before);
    }
    this.#sent = this.shipped;
    this.#dropPending();
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
    this.#sent = Math.max(this.#sent, this.shipped);
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
/** Bytes that are worth a frame behind those under way; less waits until they are settled. */
const FURTHER_FRAME_BYTES = 64 * 1024;
