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
import { BASE, negate, toDouble, weightMagnitude, wrapHi } from "./fixed-point.ts";
import { guardUpTo } from "./safe-integer.ts";
import { type DecayRule, decayRule, decayRuleOf, type SignalDecay } from "./signal-decay.ts";

/** A sliding window of event time, or everything. */
export type SignalWindow = "1h" | "24h" | "7d" | "all";

/** How a signal decays, and what is kept of it. Sums of different options are not added. */
export type SignalSumsOptions = SignalDecay & {
  /** Whether windows can be asked for; without them a state is about a third of the size. @defaultValue true */
  readonly windows?: boolean;
};

/** What fell into a window. */
export interface WindowSum {
  readonly count: number;
  /** The undecayed sum of the weights. */
  readonly weight: number;
}

/** 2^48 - 1: the last event time a stamp could carry. */
export const EVENT_TIME_MS_MAX: number = 2 ** 48 - 1;
/** Minute buckets kept below the newest. */
export const MINUTES_KEPT = 120;
/** Hour buckets kept below the newest. */
export const HOURS_KEPT = 336;
/** Contributions of the greatest weight up to which no sum can have wrapped: 2^24. */
export const EXACT_COUNT_MAX: number = 2 ** 24;

const VERSION = 1;
const FLAG_WINDOWS = 1;
/** The bit of the flags above which the code of the decay is. */
const DECAY_SHIFT = 1;
const FLAGS_MAX = 0b101;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const magnitude = { hi: 0, lo: 0 };
const scaled = { hi: 0, lo: 0 };

/**
 * The decaying sums of one signal: a pure function of the *set* of contributions (weight, event time), so
 * that any order and any grouping of them give the same bytes.
 *
 * Forward decay in integers (Cormode et al., "Forward Decay", ICDE 2009), counted from the Unix epoch. A weight
 * is rounded to 40 fractional bits, half away from zero. What it adds depends on the decay:
 *
 * - `halfLifeMs`: a contribution at `t` falls into epoch `e = floor(t / halfLifeMs)` and adds its weight decayed to
 *   the end of that epoch, `weight * 2^(f - 1)` with `f = floor(2^48 * (t mod halfLifeMs) / halfLifeMs) / 2^48` and
 *   2^f from {@link exp2Fraction}; that product is rounded like the weight.
 * - `linearMs`: it falls into step `floor(t / s)`, `s = ceil(linearMs / 128)`, and adds its weight: it is read as if
 *   it had happened when its step began, so that it fades out up to a 128th of the line early.
 * - `permanent`: it only adds to the plain sum.
 *
 * Nothing is decayed in place, so that late events need no special case. The score is computed when it is read.
 *
 * Bounded: 96 epochs or 256 steps, 120 minutes and 336 hours below the newest *folded* event; `now` never prunes.
 * The all-time count and sum forget nothing.
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
  readonly windows: boolean;
  readonly #rule: DecayRule;
  #count: number = 0;
  #hi: number = 0;
  #lo: number = 0;
  /** By epoch or step; absent where nothing fades. */
  #fading: BucketSums | undefined;
  #minutes: BucketSums | undefined;
  #hours: BucketSums | undefined;

  constructor(options: SignalSumsOptions) {
    this.#rule = decayRule(options);
    this.windows = options.windows ?? true;
  }

  /** How it fades. */
  get decay(): SignalDecay {
    return this.#rule.decay;
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
    const { bucketMs, bucketsKept } = this.#rule;
    const bucket = bucketMs === 0 ? 0 : Math.floor(eventTimeMs / bucketMs);
    if (bucketMs > 0) this.#rule.contribute(magnitude, eventTimeMs - bucket * bucketMs, scaled);
    if (weight < 0) {
      negate(magnitude);
      negate(scaled);
    }
    this.#count = count;
    this.#addPlain(magnitude.hi, magnitude.lo);
    if (bucketMs > 0) {
      if (this.#fading === undefined) this.#fading = [bucket, 1, scaled.hi, scaled.lo];
      else addToBucket(this.#fading, bucketsKept, bucket, 1, scaled.hi, scaled.lo);
    }
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
      throw new TypeError("Cannot add sums of another decay or without the same windows");
    this.#count = addCounts(this.#count, other.#count);
    this.#addPlain(other.#hi, other.#lo);
    this.#fading = union(this.#fading, other.#fading, this.#rule.bucketsKept);
    this.#minutes = union(this.#minutes, other.#minutes, MINUTES_KEPT);
    this.#hours = union(this.#hours, other.#hours, HOURS_KEPT);
  }

  /** Whether `other` decays alike, so that the two can be added. */
  sameOptions(other: SignalSums): boolean {
    const { code, spanMs } = this.#rule;
    return code === other.#rule.code && spanMs === other.#rule.spanMs && this.windows === other.windows;
  }

  /** Sums of the same options with nothing in them. */
  emptied(): SignalSums {
    return new SignalSums({ ...this.decay, windows: this.windows });
  }

  /** The same sums, apart from these. */
  copy(): SignalSums {
    const copy = this.emptied();
    copy.addAll(this);
    return copy;
  }

  /**
   * What is left of all weights: `weight * 2^((eventTime - now) / halfLife)` each, or `weight * (1 - age / line)`.
   * Always finite, and the same double everywhere for the same contributions. An epoch or step that has not begun at
   * `nowMs` is read as at its beginning, so that a stamp from the far future is worth at most twice its weight
   * instead of burying the rest.
   *
   * A straight line is exact while `nowMs` is no more than its length below the newest event, and at any time after.
   */
  score(nowMs: number): number {
    guardUpTo(nowMs, "nowMs", EVENT_TIME_MS_MAX);
    if (this.#rule.bucketMs === 0) return this.weight + 0;
    return this.#fading === undefined ? 0 : this.#rule.score(this.#fading, nowMs);
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
   * | flags | u8: bit 0 = windows; bits 1 and 2: 0 half-life, 1 linear, 2 permanent |
   * | span | varint: milliseconds of the half-life or the line; 0 if permanent |
   * | count | varint; nothing follows 0 |
   * | plain sum | sum |
   * | epochs or steps | buckets, at most 96 or 256; absent if permanent |
   * | minutes, hours | buckets, at most 120 and 336, if windows |
   *
   * sum = varint zigzag `hi`, varint `lo`: `hi * 2^52 + lo` units of 2^-40, `lo < 2^52`. buckets = varint
   * count; each varint index (after the first: the difference to the one before, never 0), varint count of
   * contributions (never 0), sum.
   */
  encode(writer: ByteWriter): void {
    writer.u8(VERSION);
    writer.u8((this.windows ? FLAG_WINDOWS : 0) | (this.#rule.code << DECAY_SHIFT));
    writer.varint(this.#rule.spanMs);
    writer.varint(this.#count);
    if (this.#count === 0) return;
    writeSum(writer, this.#hi, this.#lo);
    if (this.#rule.bucketMs > 0) writeBuckets(writer, this.#fading ?? []);
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
    if (flags > FLAGS_MAX) reader.fail("Cannot accept unknown flags", reader.offset - 1);
    const start = reader.offset;
    const rule = decayRuleOf(flags >> DECAY_SHIFT, reader.varint());
    if (rule === undefined) return reader.fail("Cannot accept the decay", start);
    const sums = new SignalSums({ ...rule.decay, windows: (flags & FLAG_WINDOWS) !== 0 });
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
    if (rule.bucketMs > 0) sums.#fading = read(rule.bucketsKept, rule.bucketMs);
    if (!sums.windows) return sums;
    sums.#minutes = read(MINUTES_KEPT, MINUTE_MS);
    sums.#hours = read(HOURS_KEPT, HOUR_MS);
    sums.#checkNewest(reader, start);
    return sums;
  }

  /** One newest event made the newest bucket of each kind: buckets that cannot overlap were never encoded. */
  #checkNewest(reader: ByteReader, start: number): void {
    const minuteMs = newestBucket(this.#minutes as BucketSums) * MINUTE_MS;
    const hour = newestBucket(this.#hours as BucketSums);
    const { bucketMs } = this.#rule;
    const fadingMs = bucketMs === 0 ? minuteMs : newestBucket(this.#fading as BucketSums) * bucketMs;
    if (
      Math.floor(minuteMs / HOUR_MS) !== hour ||
      fadingMs >= minuteMs + MINUTE_MS ||
      (bucketMs > 0 && fadingMs + bucketMs <= minuteMs)
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
