import { BUCKET_STRIDE, type BucketSums, forEachBucket } from "./bucket-sums.ts";
import { exp2Fraction, fraction48 } from "./exp2.ts";
import { BASE, type FixedPoint, scaleMagnitude, toDouble, UNITS } from "./fixed-point.ts";
import { guardSafe, guardUpTo } from "./safe-integer.ts";

/** How a contribution fades. */
export type SignalDecay =
  /** It loses half of its score in so many milliseconds, again and again. */
  | { readonly halfLifeMs: number }
  /** It fades in a straight line to nothing after so many milliseconds. */
  | { readonly linearMs: number }
  /** It never fades. */
  | { readonly permanent: true };

/** 2^40 - 1 ms, 34 years: the longest half-life, and the longest straight line. */
export const HALF_LIFE_MS_MAX: number = 2 ** 40 - 1;
/** Half-life epochs kept: what is older has decayed below 2^-95 of its weight. */
export const EPOCHS_KEPT = 96;
/** A straight line is read in so many steps: the time of a contribution is rounded down to one. */
export const LINEAR_STEPS = 128;
/** Steps kept below the newest: enough to read as far back as the line is long. */
export const LINEAR_STEPS_KEPT: number = 2 * LINEAR_STEPS;

const NOTHING: FixedPoint = { hi: 0, lo: 0 };

/** One way to fade: which bucket a contribution falls into, with what sum, and what the buckets are worth at a time. */
export interface DecayRule {
  readonly decay: SignalDecay;
  /** 0 half-life, 1 linear, 2 permanent: bits 1 and 2 of the flags of the encoding. */
  readonly code: number;
  /** The half-life, or the length of the line; 0 where nothing fades. */
  readonly spanMs: number;
  /** Milliseconds of one bucket; 0 where there are none. */
  readonly bucketMs: number;
  readonly bucketsKept: number;
  /** Sets `into` to what the bucket gets of a weight's magnitude. */
  contribute(magnitude: FixedPoint, intoBucketMs: number, into: FixedPoint): void;
  /** The score of the buckets at a time. */
  score(cells: BucketSums, nowMs: number): number;
}

/** Rules by their span, negative for lines: a program has a few, and a million sums share them. */
const RULES_KEPT = 64;
const rules: Map<number, DecayRule> = new Map();

/** The rule of a decay. @throws `RangeError` unless its span is 1 to {@link HALF_LIFE_MS_MAX} milliseconds. */
export function decayRule(decay: SignalDecay): DecayRule {
  if ("halfLifeMs" in decay) return ruleOf(0, span(decay.halfLifeMs, "halfLifeMs"));
  if ("linearMs" in decay) return ruleOf(1, span(decay.linearMs, "linearMs"));
  return PERMANENT;
}

/** The rule of what an encoding says, or `undefined`. */
export function decayRuleOf(code: number, spanMs: number): DecayRule | undefined {
  if (code === 2) return spanMs === 0 ? PERMANENT : undefined;
  if (spanMs < 1 || spanMs > HALF_LIFE_MS_MAX) return undefined;
  return code === 0 || code === 1 ? ruleOf(code, spanMs) : undefined;
}

function ruleOf(code: 0 | 1, spanMs: number): DecayRule {
  const key = code === 0 ? spanMs : -spanMs;
  let rule = rules.get(key);
  if (rule === undefined) {
    if (rules.size === RULES_KEPT) rules.clear();
    rules.set(key, (rule = code === 0 ? halfLife(spanMs) : linear(spanMs)));
  }
  return rule;
}

const PERMANENT: DecayRule = {
  decay: Object.freeze({ permanent: true }),
  code: 2,
  spanMs: 0,
  bucketMs: 0,
  bucketsKept: 0,
  contribute: (_magnitude, _intoBucketMs, into) => void Object.assign(into, NOTHING),
  score: () => 0,
};

function halfLife(halfLifeMs: number): DecayRule {
  // Of the last time that was read: a ranking reads hundreds of signals at one.
  let lastMs = 0;
  let nowEpoch = 0;
  let divisor = 1;
  return {
    decay: Object.freeze({ halfLifeMs }),
    code: 0,
    spanMs: halfLifeMs,
    bucketMs: halfLifeMs,
    bucketsKept: EPOCHS_KEPT,
    contribute(magnitude, intoBucketMs, into) {
      scaleMagnitude(magnitude, exp2Fraction(fraction48(intoBucketMs, halfLifeMs)), into);
    },
    score(cells, nowMs) {
      if (nowMs !== lastMs) {
        lastMs = nowMs;
        nowEpoch = Math.floor(nowMs / halfLifeMs);
        divisor = 1 + exp2Fraction(fraction48(nowMs - nowEpoch * halfLifeMs, halfLifeMs)) / BASE;
      }
      const end = cells.length;
      let at = Math.min(cells[0] as number, nowEpoch);
      let sum = toDouble(cells[2] as number, cells[3] as number);
      for (let cell = BUCKET_STRIDE; cell < end; cell += BUCKET_STRIDE) {
        const epoch = cells[cell] as number;
        const position = epoch < nowEpoch ? epoch : nowEpoch;
        const gap = position - at;
        const hi = cells[cell + 2] as number;
        const lo = cells[cell + 3] as number;
        // Most gaps are short, and most sums above zero: the calls are for the rest.
        sum =
          (gap < 31 ? sum / (1 << gap) : halve(sum, gap)) +
          (hi >= 0 ? (hi * BASE + lo) / UNITS : toDouble(hi, lo));
        at = position;
      }
      return (halve(sum, nowEpoch - at) * 2) / divisor + 0;
    },
  };
}

function linear(linearMs: number): DecayRule {
  const bucketMs = Math.ceil(linearMs / LINEAR_STEPS);
  return {
    decay: Object.freeze({ linearMs }),
    code: 1,
    spanMs: linearMs,
    bucketMs,
    bucketsKept: LINEAR_STEPS_KEPT,
    contribute(magnitude, _intoBucketMs, into) {
      into.hi = magnitude.hi;
      into.lo = magnitude.lo;
    },
    score(cells, nowMs) {
      let sum = 0;
      forEachBucket(cells, (step, _count, hi, lo) => {
        const ageMs = Math.max(0, nowMs - step * bucketMs);
        if (ageMs < linearMs) sum += (toDouble(hi, lo) * (linearMs - ageMs)) / linearMs;
      });
      return sum + 0;
    },
  };
}

function span(ms: number, what: string): number {
  guardSafe(ms, what, 1);
  return guardUpTo(ms, what, HALF_LIFE_MS_MAX);
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
