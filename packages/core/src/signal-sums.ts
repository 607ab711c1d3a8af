import {
  addCounts,
  addToBucket,
  forEachBucket,
  newestBucket,
  readBuckets,
  readSum,
  sumBuckets,
  writeBuckets,
  writeSum,
  type BucketSums,
} from "./bucket-sums.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { exp2Fraction, fraction48 } from "./exp2.ts";
import { BASE, negate, scaleMagnitude, toDouble, weightMagnitude, wrapHi } from "./fixed-point.ts";
import { guardSafe, guardUpTo } from "./safe-integer.ts";

/** A sliding window of event time, or everything. */
export type SignalWindow = "1h" | "24h" | "7d" | "all";

/** How a signal decays. Sums of different options are not added. */
export interface SignalSumsOptions {
  /** Milliseconds in which a contribution loses half of its score: 1 to {@link HALF_LIFE_MS_MAX}. */
  readonly halfLifeMs: number;
  /** Whether windows can be asked for; without them a state is about a third of the size. @defaultValue true */
  readonly windows?: boolean;
}

/** What fell into a window. */
export interface WindowSum {
  readonly count: number;
  /** The undecayed sum of the weights. */
  readonly weight: number;
}

/** 2^40 - 1 ms, 34 years. */
export const HALF_LIFE_MS_MAX: number = 2 ** 40 - 1;
/** 2^48 - 1: the last event time a stamp could carry. */
export const EVENT_TIME_MS_MAX: number = 2 ** 48 - 1;
/** Half-life epochs kept: what is older has decayed below 2^-95 of its weight. */
export const EPOCHS_KEPT = 96;
/** Minute buckets kept below the newest. */
export const MINUTES_KEPT = 120;
/** Hour buckets kept below the newest. */
export const HOURS_KEPT = 336;
/** Contributions of the greatest weight up to which no sum can have wrapped: 2^24. */
export const EXACT_COUNT_MAX: number = 2 ** 24;

const VERSION = 1;
const FLAG_WINDOWS = 1;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const magnitude = { hi: 0, lo: 0 };
const scaled = { hi: 0, lo: 0 };

/**
 * The decaying sums of one signal: a pure function of the *set* of contributions (weight, event time), so
 * that any order and any grouping of them give the same bytes.
 *
 * Forward decay in integers (Cormode et al., "Forward Decay", ICDE 2009), counted from the Unix epoch. A
 * contribution at `t` falls into half-life epoch `e = floor(t / halfLifeMs)` and adds its weight decayed to
 * the end of that epoch, `weight * 2^(f - 1)` with `f = floor(2^48 * (t mod halfLifeMs) / halfLifeMs) / 2^48`
 * and 2^f from {@link exp2Fraction}. A weight is rounded to 40 fractional bits, half away from zero; so is
 * the product. Nothing is decayed in place, so that late events need no special case. The score is
 * computed when it is read.
 *
 * Bounded: 96 epochs, 120 minutes and 336 hours below the newest *folded* event; `now` never prunes. The
 * all-time count and sum forget nothing.
 *
 * A sum wraps modulo 2^105 units of 2^-40, which keeps order out of it even where it overflows. That takes
 * more than 2^24 contributions next to the greatest weight: {@link SignalSums.exact} says when it could have.
 *
 * @example
 * ```ts
 * const likes = new SignalSums({ halfLifeMs: 86_400_000 });
 * likes.add(1, 1_790_000_000_000);
 * likes.add(0.5, 1_790_000_000_000 - 86_400_000);
 * assert.ok(Math.abs(likes.score(1_790_000_000_000) - 1.25) < 1e-9);
 * assert.deepEqual(likes.window("1h", 1_790_000_000_000), { count: 1, weight: 1 });
 * ```
 */
export class SignalSums {
  readonly halfLifeMs: number;
  readonly windows: boolean;
  #count: number = 0;
  #hi: number = 0;
  #lo: number = 0;
  #epochs: BucketSums | undefined;
  #minutes: BucketSums | undefined;
  #hours: BucketSums | undefined;

  constructor(options: SignalSumsOptions) {
    const { halfLifeMs, windows = true } = options;
    guardSafe(halfLifeMs, "halfLifeMs", 1);
    guardUpTo(halfLifeMs, "halfLifeMs", HALF_LIFE_MS_MAX);
    this.halfLifeMs = halfLifeMs;
    this.windows = windows;
  }

  /** Contributions ever added. */
  get count(): number {
    return this.#count;
  }

  /** The undecayed sum of all weights: off by at most `count * 2^-41` and one rounding to a double. */
  get weight(): number {
    return toDouble(this.#hi, this.#lo);
  }

  /** Whether no sum can have wrapped, whatever the weights were. */
  get exact(): boolean {
    return this.#count <= EXACT_COUNT_MAX;
  }

  /**
   * Adds one contribution.
   *
   * @param eventTimeMs - An integer from 0 to {@link EVENT_TIME_MS_MAX}; late ones are as good as any.
   * @throws {@link CoreError} `INVALID_WEIGHT` unless `|weight| < 2^40`; nothing was added then.
   */
  add(weight: number, eventTimeMs: number): void {
    weightMagnitude(weight, magnitude);
    guardUpTo(eventTimeMs, "eventTimeMs", EVENT_TIME_MS_MAX);
    const count = addCounts(this.#count, 1);
    const epoch = Math.floor(eventTimeMs / this.halfLifeMs);
    const intoEpochMs = eventTimeMs - epoch * this.halfLifeMs;
    scaleMagnitude(magnitude, exp2Fraction(fraction48(intoEpochMs, this.halfLifeMs)), scaled);
    if (weight < 0) {
      negate(magnitude);
      negate(scaled);
    }
    this.#count = count;
    this.#addPlain(magnitude.hi, magnitude.lo);
    if (this.#epochs === undefined) this.#epochs = [epoch, 1, scaled.hi, scaled.lo];
    else addToBucket(this.#epochs, EPOCHS_KEPT, epoch, 1, scaled.hi, scaled.lo);
    if (!this.windows) return;
    const minute = Math.floor(eventTimeMs / MINUTE_MS);
    const hour = Math.floor(eventTimeMs / HOUR_MS);
    if (this.#minutes === undefined || this.#hours === undefined) {
      this.#minutes = [minute, 1, magnitude.hi, magnitude.lo];
      this.#hours = [hour, 1, magnitude.hi, magnitude.lo];
    } else {
      addToBucket(this.#minutes, MINUTES_KEPT, minute, 1, magnitude.hi, magnitude.lo);
      addToBucket(this.#hours, HOURS_KEPT, hour, 1, magnitude.hi, magnitude.lo);
    }
  }

  /**
   * Adds every contribution of `other`, which must have been given none of the same.
   *
   * @throws `TypeError` if the two do not decay alike.
   */
  addAll(other: SignalSums): void {
    if (!this.sameOptions(other))
      throw new TypeError("Cannot add sums of another half-life or without the same windows");
    this.#count = addCounts(this.#count, other.#count);
    this.#addPlain(other.#hi, other.#lo);
    this.#epochs = union(this.#epochs, other.#epochs, EPOCHS_KEPT);
    this.#minutes = union(this.#minutes, other.#minutes, MINUTES_KEPT);
    this.#hours = union(this.#hours, other.#hours, HOURS_KEPT);
  }

  /** Whether `other` decays alike, so that the two can be added. */
  sameOptions(other: SignalSums): boolean {
    return this.halfLifeMs === other.halfLifeMs && this.windows === other.windows;
  }

  /**
   * The sum of `weight * 2^((eventTime - now) / halfLife)`: always finite, and the same double everywhere for
   * the same contributions. An epoch that has not begun at `nowMs` is read as at its beginning, so that a
   * stamp from the far future is worth at most twice its weight instead of burying the rest.
   */
  score(nowMs: number): number {
    guardUpTo(nowMs, "nowMs", EVENT_TIME_MS_MAX);
    if (this.#epochs === undefined) return 0;
    const nowEpoch = Math.floor(nowMs / this.halfLifeMs);
    const fraction = exp2Fraction(fraction48(nowMs - nowEpoch * this.halfLifeMs, this.halfLifeMs));
    let sum = 0;
    let at = 0;
    forEachBucket(this.#epochs, (epoch, _count, hi, lo) => {
      const position = Math.min(epoch, nowEpoch);
      sum = halve(sum, position - at) + toDouble(hi, lo);
      at = position;
    });
    return (halve(sum, nowEpoch - at) * 2) / (1 + fraction / BASE) + 0;
  }

  /**
   * What fell into a window that ends with the bucket of `nowMs`: 60 minute buckets, 24 or 168 hour buckets,
   * exactly; events after `nowMs` in its bucket included.
   *
   * Exact while `nowMs` is within an hour (`1h`) or a week (`24h`, `7d`) below the newest event, and at any
   * time after it.
   *
   * @throws `TypeError` if windows were switched off, but for `all`.
   */
  window(name: SignalWindow, nowMs: number): WindowSum {
    guardUpTo(nowMs, "nowMs", EVENT_TIME_MS_MAX);
    if (name === "all") return { count: this.#count, weight: this.weight };
    if (!this.windows) throw new TypeError("Cannot read a window: windows are off for this signal");
    const [cells, bucketMs, buckets] =
      name === "1h" ? [this.#minutes, MINUTE_MS, 60] : [this.#hours, HOUR_MS, name === "24h" ? 24 : 168];
    const sum = { count: 0, hi: 0, lo: 0 };
    const last = Math.floor(nowMs / bucketMs);
    if (cells !== undefined) sumBuckets(cells, last - buckets + 1, last, sum);
    return { count: sum.count, weight: toDouble(sum.hi, sum.lo) };
  }

  /**
   * Writes the canonical bytes: the same contributions, the same bytes.
   *
   * | field | type |
   * | :--- | :--- |
   * | version | u8, 1 |
   * | flags | u8: bit 0 = windows |
   * | half-life ms | varint |
   * | count | varint; nothing follows 0 |
   * | plain sum | sum |
   * | epochs | buckets, at most 96 |
   * | minutes, hours | buckets, at most 120 and 336, if windows |
   *
   * sum = varint zigzag `hi`, varint `lo`: `hi * 2^52 + lo` units of 2^-40, `lo < 2^52`. buckets = varint
   * count; each varint index (after the first: the difference to the one before, never 0), varint count of
   * contributions (never 0), sum.
   */
  encode(writer: ByteWriter): void {
    writer.u8(VERSION);
    writer.u8(this.windows ? FLAG_WINDOWS : 0);
    writer.varint(this.halfLifeMs);
    writer.varint(this.#count);
    if (this.#count === 0) return;
    writeSum(writer, this.#hi, this.#lo);
    writeBuckets(writer, this.#epochs ?? []);
    if (!this.windows) return;
    writeBuckets(writer, this.#minutes ?? []);
    writeBuckets(writer, this.#hours ?? []);
  }

  /**
   * Reads what {@link SignalSums.encode} wrote and leaves the reader behind it.
   *
   * @throws {@link CoreError} `DECODE_FAILED` for anything else.
   */
  static decode(reader: ByteReader): SignalSums {
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of signal sums", reader.offset - 1);
    const flags = reader.u8();
    if (flags > FLAG_WINDOWS) reader.fail("Cannot accept unknown flags", reader.offset - 1);
    const start = reader.offset;
    const halfLifeMs = reader.varint();
    if (halfLifeMs === 0 || halfLifeMs > HALF_LIFE_MS_MAX) reader.fail("Cannot accept the half-life", start);
    const sums = new SignalSums({ halfLifeMs, windows: flags === FLAG_WINDOWS });
    const count = reader.varint();
    if (count === 0) return sums;
    sums.#count = count;
    const { hi, lo } = readSum(reader);
    sums.#hi = hi;
    sums.#lo = lo;
    const read = (keep: number, bucketMs: number): BucketSums => {
      const at = reader.offset;
      const cells = readBuckets(reader, keep, Math.floor(EVENT_TIME_MS_MAX / bucketMs), count);
      if (cells.length === 0) reader.fail("Cannot accept sums without a bucket", at);
      return cells;
    };
    sums.#epochs = read(EPOCHS_KEPT, halfLifeMs);
    if (!sums.windows) return sums;
    sums.#minutes = read(MINUTES_KEPT, MINUTE_MS);
    sums.#hours = read(HOURS_KEPT, HOUR_MS);
    sums.#checkNewest(reader, start);
    return sums;
  }

  /** One newest event made the newest bucket of each kind: buckets that cannot overlap were never encoded. */
  #checkNewest(reader: ByteReader, start: number): void {
    const minuteMs = newestBucket(this.#minutes as BucketSums) * MINUTE_MS;
    const epochMs = newestBucket(this.#epochs as BucketSums) * this.halfLifeMs;
    const hour = newestBucket(this.#hours as BucketSums);
    if (
      Math.floor(minuteMs / HOUR_MS) !== hour ||
      epochMs >= minuteMs + MINUTE_MS ||
      epochMs + this.halfLifeMs <= minuteMs
    ) {
      reader.fail("Cannot accept newest buckets of different times", start);
    }
  }

  #addPlain(hi: number, lo: number): void {
    let sumHi = this.#hi + hi;
    let sumLo = this.#lo + lo;
    if (sumLo >= BASE) {
      sumLo -= BASE;
      sumHi += 1;
    }
    this.#hi = wrapHi(sumHi);
    this.#lo = sumLo;
  }
}

function union(
  into: BucketSums | undefined,
  from: BucketSums | undefined,
  keep: number,
): BucketSums | undefined {
  if (from === undefined) return into;
  if (into === undefined) return from.slice();
  forEachBucket(from, (index, count, hi, lo) => addToBucket(into, keep, index, count, hi, lo));
  return into;
}

/** `value / 2^times`, by exact powers of two. */
function halve(value: number, times: number): number {
  // Below the smallest double whatever the value: no loop is as long as a caller's time span.
  if (times > 1300) return 0;
  let out = value;
  let rest = times;
  for (; rest >= 30; rest -= 30) out /= 0x4000_0000;
  return out / (1 << rest);
}
