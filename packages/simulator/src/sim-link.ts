import type { Timers } from "@tidemark/wal";
import type { Random } from "./random.ts";

/** What happens to frames, as shares from 0 to 1. */
export interface NetworkRates {
  /** Frames that never arrive. @defaultValue 0 */
  readonly loss?: number;
  /** Frames that arrive a second time, later. @defaultValue 0 */
  readonly duplicate?: number;
  /** Frames that are held back, so that later ones overtake them. @defaultValue 0 */
  readonly reorder?: number;
}

/** How long a frame is under way, drawn anew for each. */
export interface NetworkDelay {
  readonly minMs: number;
  readonly maxMs: number;
}

/** What a network carried so far. */
export interface NetworkCounts {
  /** Frames handed to a link. */
  sent: number;
  arrived: number;
  /** Frames lost at random. */
  lost: number;
  /** Frames that a cut link lost, those in flight included. */
  cut: number;
  duplicated: number;
  reordered: number;
  /** Frames that found a link or a queue full. */
  overflowed: number;
}

/** How every link of a network is now; shared by its links. */
export interface LinkClimate {
  rates: Required<NetworkRates>;
  delay: NetworkDelay;
}

/** What a {@link SimLink} is made of. */
export interface SimLinkOptions {
  readonly timers: Timers;
  readonly random: Random;
  readonly climate: LinkClimate;
  readonly counts: NetworkCounts;
  /** Frames in flight at most; beyond them frames are lost. */
  readonly framesMax: number;
}

/** More than the rounding of a moment, less than anything a test could see: keeps frames of one lane apart. */
const APART_MS = 0.001;

/**
 * One direction between two machines.
 *
 * Frames of one lane arrive in the order they were sent in, but for those that are held back or doubled; lanes do not
 * wait for each other.
 */
export class SimLink {
  readonly #options: SimLinkOptions;
  /** When the last frame of a lane arrives. */
  readonly #lastAtMs: Map<string, number> = new Map();
  #bytesPerSecond: number = Number.POSITIVE_INFINITY;
  /** Until when a slow link is busy with what it was given. */
  #busyUntilMs: number = 0;
  #inFlight: number = 0;
  #cut: "no" | "told" | "silent" = "no";
  /** Grows with each cut: a frame that left before one never arrives. */
  #cuts: number = 0;

  constructor(options: SimLinkOptions) {
    this.#options = options;
  }

  /** Whether frames are lost here, and whether anybody knows. */
  get cut(): "no" | "told" | "silent" {
    return this.#cut;
  }

  /** Loses what is in flight, and what comes. */
  sever(silent: boolean): void {
    this.#cut = silent ? "silent" : "told";
    this.#cuts += 1;
  }

  mend(): void {
    this.#cut = "no";
  }

  /** Carries so many bytes a second; without a number as many as there are. */
  throttle(bytesPerSecond: number = Number.POSITIVE_INFINITY): void {
    this.#bytesPerSecond = bytesPerSecond;
    // What comes does not wait behind what was too slow.
    this.#busyUntilMs = 0;
    this.#lastAtMs.clear();
  }

  get throttled(): boolean {
    return this.#bytesPerSecond !== Number.POSITIVE_INFINITY;
  }

  /** Takes a frame; `arrive` runs later, twice or never. */
  carry(lane: string, byteLength: number, arrive: () => void): void {
    const { random, climate, counts } = this.#options;
    counts.sent += 1;
    // As many draws for every frame: one rate shifts no decision of another.
    const lost = random.chance(climate.rates.loss);
    const doubled = random.chance(climate.rates.duplicate);
    const heldBack = random.chance(climate.rates.reorder);
    const { minMs, maxMs } = climate.delay;
    const spanMs = maxMs - minMs;
    const delayMs = minMs + random.next() * spanMs;
    // Long enough for several others to pass.
    const detourMs = (1 + 4 * random.next()) * Math.max(1, maxMs);
    if (this.#cut !== "no") {
      counts.cut += 1;
      return;
    }
    if (lost) {
      counts.lost += 1;
      return;
    }
    const now = this.#options.timers.now();
    const leaveMs = this.#leaveAt(now, byteLength);
    if (heldBack) {
      counts.reordered += 1;
      this.#after(leaveMs - now + delayMs + detourMs, arrive);
    } else {
      const atMs = Math.max(leaveMs + delayMs, (this.#lastAtMs.get(lane) ?? 0) + APART_MS);
      this.#lastAtMs.set(lane, atMs);
      this.#after(atMs - now, arrive);
    }
    if (doubled) {
      counts.duplicated += 1;
      this.#after(leaveMs - now + delayMs + detourMs, arrive);
    }
  }

  /** When the last byte leaves: a slow link sends one frame after the other. */
  #leaveAt(now: number, byteLength: number): number {
    if (!this.throttled) return now;
    this.#busyUntilMs = Math.max(now, this.#busyUntilMs) + (byteLength * 1_000) / this.#bytesPerSecond;
    return this.#busyUntilMs;
  }

  #after(ms: number, arrive: () => void): void {
    const { timers, counts, framesMax } = this.#options;
    if (this.#inFlight >= framesMax) {
      counts.overflowed += 1;
      return;
    }
    this.#inFlight += 1;
    const cuts = this.#cuts;
    timers.setTimer(ms, () => {
      this.#inFlight -= 1;
      if (cuts !== this.#cuts) {
        counts.cut += 1;
        return;
      }
      counts.arrived += 1;
      arrive();
    });
  }
}
