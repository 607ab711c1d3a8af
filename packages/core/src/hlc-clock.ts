import { CoreError } from "./errors.ts";
import { compareHlc, HLC_COUNTER_MAX, HLC_WALL_MS_MAX, type Hlc } from "./hlc.ts";
import { guardSafe, guardUpTo } from "./safe-integer.ts";
import { SkewSamples } from "./skew-samples.ts";

/** What a clock needs; time arrives from outside. */
export interface HlcClockOptions {
  /** u16, of this clock alone: in Tidemark the region. */
  readonly clockId: number;
  /** Milliseconds since 1970; may stop, repeat and jump. */
  readonly now: () => number;
  /** How far ahead a client's time may be, and how far another clock may pull this one. @defaultValue 500 */
  readonly driftMsMax?: number;
  /** What {@link HlcClockOptions.persistBound} stored last: every stamp of this clock is above it. Default: a new clock. */
  readonly resumeAboveMs?: number;
  /**
   * Stores a bound durably before it returns. Called before a stamp reaches the bound stored last, so that every stamp
   * ever issued is below what is on disk. If it throws, so does the call that needed it, and the clock has not moved.
   */
  readonly persistBound?: (boundMs: number) => void;
  /** How far ahead a bound is stored; a longer lead means fewer writes and a longer jump on restart. @defaultValue 2000 */
  readonly boundLeadMs?: number;
}

/**
 * The clock of one process: strictly increasing stamps from a wall clock that need not be.
 *
 * It orders, it never authorises. It follows its own wall clock wherever that goes, but another clock can pull it
 * no further than `driftMsMax` ahead of its wall clock.
 *
 * @example
 * ```ts
 * let now = 1_000;
 * const clock = new HlcClock({ clockId: 7, now: () => now });
 * assert.deepEqual(clock.tick(), { wallMs: 1_000, counter: 0, clockId: 7 });
 * now = 400; // The wall clock is set back: order is kept.
 * assert.deepEqual(clock.tick(), { wallMs: 1_000, counter: 1, clockId: 7 });
 * ```
 */
export class HlcClock {
  /** Of this clock alone. */
  readonly clockId: number;
  /** The bound in force, in milliseconds. */
  readonly driftMsMax: number;
  readonly #now: () => number;
  readonly #persistBound: ((boundMs: number) => void) | undefined;
  readonly #boundLeadMs: number;
  readonly #skews: Map<number, SkewSamples> = new Map();
  #wallMs: number;
  #counter: number = HLC_COUNTER_MAX;
  /** Stamps stay below this; it is on disk. */
  #boundMs: number;

  constructor(options: HlcClockOptions) {
    const { clockId, now, driftMsMax = 500, resumeAboveMs, persistBound, boundLeadMs = 2_000 } = options;
    this.clockId = guardUpTo(clockId, "clockId", 0xffff);
    this.driftMsMax = guardSafe(driftMsMax, "driftMsMax");
    this.#now = now;
    this.#persistBound = persistBound;
    this.#boundLeadMs = guardSafe(boundLeadMs, "boundLeadMs", 1);
    // With a full counter the first stamp is above everything in the millisecond resumed from.
    this.#wallMs =
      resumeAboveMs === undefined ? -1 : guardUpTo(resumeAboveMs, "resumeAboveMs", HLC_WALL_MS_MAX);
    this.#boundMs = persistBound === undefined ? Number.POSITIVE_INFINITY : this.#wallMs;
  }

  /** The latest stamp issued or passed in receiving; zero in a new clock. */
  get last(): Hlc {
    if (this.#wallMs < 0) return { wallMs: 0, counter: 0, clockId: this.clockId };
    return { wallMs: this.#wallMs, counter: this.#counter, clockId: this.clockId };
  }

  /**
   * The stamp of a new event, above every earlier one and above everything received.
   *
   * @param nowMs - A reading of the wall clock, so that a batch reads it once.
   * @throws `RangeError` past the year 10889, and whatever `persistBound` throws.
   */
  tick(nowMs: number = this.#now()): Hlc {
    const readingMs = Math.floor(nowMs);
    let wallMs = this.#wallMs;
    let counter = this.#counter + 1;
    if (readingMs > wallMs) {
      wallMs = readingMs;
      counter = 0;
    } else if (counter > HLC_COUNTER_MAX) {
      wallMs += 1;
      counter = 0;
    }
    if (counter === 0) this.#moveTo(wallMs);
    this.#counter = counter;
    return { wallMs, counter, clockId: this.clockId };
  }

  /**
   * Moves past a stamp of another clock, so that the next event here is ordered after it. Never refuses: a stamp
   * further ahead than `driftMsMax` does not pull the clock (order after such a stamp is {@link stepHlc}'s to keep).
   *
   * @param nowMs - A reading of the wall clock, so that a batch reads it once.
   */
  receive(remote: Hlc, nowMs: number = this.#now()): void {
    const own = this.last;
    const pulls = compareHlc(remote, own) > 0;
    const full = remote.counter >= HLC_COUNTER_MAX;
    const wallMs = full ? remote.wallMs + 1 : remote.wallMs;
    const counter = full ? 0 : remote.counter + 1;
    // A reading above the remote stamp wins anyway, and NaN pulls nothing.
    if (!pulls || !(wallMs <= nowMs + this.driftMsMax) || Math.floor(nowMs) > wallMs) {
      this.tick(nowMs);
      return;
    }
    if (wallMs !== this.#wallMs) this.#moveTo(wallMs);
    this.#counter = counter;
  }

  /**
   * Refuses a time given by a client that is too far in the future. The past is never checked: late is not wrong.
   *
   * @param what - Names the time in the message.
   * @throws {@link CoreError} `HLC_DRIFT_EXCEEDED` with `aheadMs` and `driftMsMax`.
   * @throws `RangeError` if `timeMs` is not a finite number.
   */
  checkIngest(timeMs: number, what: string, nowMs: number = this.#now()): void {
    if (!Number.isFinite(timeMs))
      throw new RangeError(`${what} must be a finite number of milliseconds: ${timeMs}`);
    const aheadMs = timeMs - nowMs;
    if (aheadMs <= this.driftMsMax) return;
    const { driftMsMax } = this;
    throw new CoreError(
      "HLC_DRIFT_EXCEEDED",
      `Cannot accept ${what} ${aheadMs} ms ahead: the limit is ${driftMsMax} ms`,
      { aheadMs, driftMsMax },
    );
  }

  /** Notes a fresh stamp of another region as it arrives; the latest 63 a region are kept. */
  observeSkew(region: number, remoteMs: number, nowMs: number = this.#now()): void {
    let samples = this.#skews.get(region);
    if (samples === undefined) {
      samples = new SkewSamples();
      this.#skews.set(guardUpTo(region, "region", 0xffff), samples);
    }
    samples.add(remoteMs - nowMs);
  }

  /**
   * How far another region's clock is ahead of this one (negative: behind), in milliseconds, less the time a stamp
   * takes to arrive: the median of the samples kept, or `undefined` if there are none.
   */
  skewMs(region: number): number | undefined {
    return this.#skews.get(region)?.median();
  }

  /** Nothing changes unless the bound is on disk. */
  #moveTo(wallMs: number): void {
    if (!(wallMs <= HLC_WALL_MS_MAX)) guardUpTo(wallMs, "wallMs", HLC_WALL_MS_MAX);
    if (wallMs >= this.#boundMs) this.#extendBound(wallMs);
    this.#wallMs = wallMs;
  }

  #extendBound(wallMs: number): void {
    const boundMs = Math.min(wallMs + this.#boundLeadMs, HLC_WALL_MS_MAX);
    this.#persistBound?.(boundMs);
    this.#boundMs = boundMs;
  }
}
