import { formatLogId, type RegionId } from "@tidemark/core";
import { BATCH_HEADER_BYTES, decodeBatchHeader, type Log, type Timers } from "@tidemark/wal";
import { Backoff } from "./backoff.ts";
import type { ReplicationEvents } from "./events.ts";
import type { ReplicationLimits } from "./limits.ts";
import type { Link } from "./link.ts";
import type { ReplicationLogger } from "./logger.ts";
import { ShipWindow, type ShipEffect } from "./ship-window.ts";
import { frameSubject } from "./subject.ts";

/**
 * Publishes the durable batches of one own log, as the bytes the log wrote.
 *
 * Frames are handed to the medium in the order of the log, at most `publishesInFlightMax` before it took the first of them.
 */
export class WalShipper {
  readonly log: Log;
  readonly window: ShipWindow;
  /** Frames the medium took. */
  frames: number = 0;
  /** Publishes that failed and were tried again. */
  failures: number = 0;
  readonly #link: Link;
  readonly #logger: ReplicationLogger;
  readonly #events: ReplicationEvents;
  readonly #subject: string;
  readonly #frameBytes: number;
  readonly #backoff: Backoff;
  readonly #stopCommits: () => void;
  readonly #releasePauseMs: number;
  #released: number = 0;
  #releaseAfterMs: number = Number.NEGATIVE_INFINITY;
  readonly #underWay: Set<Promise<void>> = new Set();
  /** Between a failure and the next attempt. */
  #resting: boolean = false;
  #closed: boolean = false;

  constructor(options: {
    readonly log: Log;
    /** What followers get by asking, because it was there before. */
    readonly shipped: number;
    readonly followers: readonly RegionId[];
    readonly link: Link;
    readonly timers: Timers;
    readonly limits: ReplicationLimits;
    readonly logger: ReplicationLogger;
    readonly events: ReplicationEvents;
    /** Bytes of batches that fit a frame. */
    readonly frameBytes: number;
  }) {
    const { log, shipped, followers, limits, frameBytes } = options;
    this.log = log;
    this.#link = options.link;
    this.#logger = options.logger;
    this.#events = options.events;
    this.#frameBytes = frameBytes;
    this.#subject = frameSubject(log.id.channel, log.id.region, log.id.shard);
    this.#releasePauseMs = limits.heartbeatMs;
    this.#backoff = new Backoff(options.timers, limits.retryMs);
    this.window = new ShipWindow({
      windowBytes: limits.shipWindowBytes,
      frameBytes,
      underWayMax: limits.publishesInFlightMax,
      shipped,
      followers,
    });
    this.window.durable = log.durable.lsn;
    this.#stopCommits = log.onCommit((batch) => {
      this.window.committed(batch.firstLsn, batch.lastLsn, batch.bytes);
      this.#kick();
    });
    this.#kick();
  }

  /** A follower holds the log up to `lsn`. */
  acknowledged(region: RegionId, lsn: number): void {
    this.window.acknowledged(region, lsn);
    this.#kick();
  }

  /** The members changed. */
  setFollowers(followers: readonly RegionId[]): void {
    this.window.setFollowers(followers);
    this.#kick();
  }

  /** Every member holds the log up to `lsn`: the medium may forget it. Said at most once a heartbeat. */
  release(lsn: number, now: number): void {
    const upTo = Math.min(lsn, this.window.shipped);
    if (this.#closed || upTo <= this.#released || now < this.#releaseAfterMs) return;
    this.#released = upTo;
    this.#releaseAfterMs = now + this.#releasePauseMs;
    this.#link.release(this.#subject, { epoch: this.log.id.epoch, last: upTo });
  }

  /** Publishes no more; resolves once nothing is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopCommits();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #kick(): void {
    while (!this.#closed && !this.#resting) {
      const effect = this.window.next();
      if (effect === undefined) return;
      this.#track(this.#ship(effect));
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => {
      this.#underWay.delete(tracked);
      this.#kick();
    });
    this.#underWay.add(tracked);
  }

  async #ship(effect: ShipEffect): Promise<void> {
    try {
      const { parts, last } = effect.kind === "publish" ? effect : await this.#read(effect);
      const { channel, shard, epoch } = this.log.id;
      const published = this.#link.publish(this.#subject, channel, parts, {
        shard,
        sequence: { epoch, last },
      });
      // What follows goes out behind it, and not before.
      if (effect.kind === "read") this.#kick();
      await published;
      const before = this.window.shipped;
      this.window.published(effect);
      this.frames += 1;
      // A frame that is taken behind one that is refused for ever is no progress.
      if (this.window.shipped > before) this.#backoff.reset();
      this.#events.published?.(this.log.id, last, bytesOf(parts));
    } catch (error) {
      this.window.failed(effect);
      this.#failed(error);
    }
  }

  async #read(effect: Extract<ShipEffect, { kind: "read" }>): Promise<{
    readonly parts: readonly Uint8Array[];
    readonly last: number;
  }> {
    const bytes = await this.log.readBatches(effect.from, effect.to, this.#frameBytes);
    const last = lastLsnOf(bytes);
    this.window.reading(effect, last, bytes.length);
    return { parts: [bytes], last };
  }

  #failed(error: unknown): void {
    if (this.#closed || this.#link.signal.aborted) return;
    this.failures += 1;
    if (this.failures === 1) {
      this.#logger.warn({ log: formatLogId(this.log.id), err: error }, "Publishing failed: trying again");
    }
    // Those behind it most likely fail as well: one pause for all.
    if (this.#resting) return;
    this.#resting = true;
    this.#track(
      this.#backoff.pause(this.#link.signal).then(() => {
        this.#resting = false;
      }),
    );
  }
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** The last LSN of whole batches: of the header of the last one. */
function lastLsnOf(bytes: Uint8Array): number {
  let last = 0;
  for (let at = 0; at < bytes.length;) {
    const header = decodeBatchHeader(bytes, at);
    last = header.firstLsn + header.recordCount - 1;
    at += BATCH_HEADER_BYTES + header.payloadBytes;
  }
  return last;
}
