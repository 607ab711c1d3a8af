import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { CoreError } from "./errors.ts";
import { BASE, wrapHi } from "./fixed-point.ts";

/**
 * Sparse sums by bucket: `index, count, hi, lo` four by four in one flat array, sorted by index. Flat,
 * because a session holds many of these with one or two buckets each.
 */
export type BucketSums = number[];

/** Numbers of one bucket. */
export const BUCKET_STRIDE = 4;

/** Buckets held. */
export function bucketCount(cells: BucketSums): number {
  return cells.length / BUCKET_STRIDE;
}

/** The highest index, or -1. */
export function newestBucket(cells: BucketSums): number {
  return cells.length === 0 ? -1 : (cells[cells.length - BUCKET_STRIDE] as number);
}

/**
 * Adds a sum of `count` contributions to a bucket and forgets the buckets at or below the newest minus
 * `keep`. What is kept is a function of the indices ever added, whatever their order.
 */
export function addToBucket(
  cells: BucketSums,
  keep: number,
  index: number,
  count: number,
  hi: number,
  lo: number,
): void {
  const last = cells.length - BUCKET_STRIDE;
  const newest = last < 0 ? -1 : (cells[last] as number);
  if (index === newest) {
    addAt(cells, last, count, hi, lo);
  } else if (index > newest) {
    cells.push(index, count, hi, lo);
    prune(cells, index - keep);
  } else if (index > newest - keep) {
    const at = lowerBound(cells, index);
    if (cells[at] === index) addAt(cells, at, count, hi, lo);
    else cells.splice(at, 0, index, count, hi, lo);
  }
}

/** Adds the counts and sums of the buckets in [from, to] to `into`. */
export function sumBuckets(
  cells: BucketSums,
  from: number,
  to: number,
  into: { count: number; hi: number; lo: number },
): void {
  for (
    let at = lowerBound(cells, from);
    at < cells.length && (cells[at] as number) <= to;
    at += BUCKET_STRIDE
  ) {
    let hi = into.hi + (cells[at + 2] as number);
    let lo = into.lo + (cells[at + 3] as number);
    if (lo >= BASE) {
      lo -= BASE;
      hi += 1;
    }
    into.count += cells[at + 1] as number;
    into.hi = wrapHi(hi);
    into.lo = lo;
  }
}

/** Calls `visit` for each bucket in ascending order. */
export function forEachBucket(
  cells: BucketSums,
  visit: (index: number, count: number, hi: number, lo: number) => void,
): void {
  for (let at = 0; at < cells.length; at += BUCKET_STRIDE) {
    visit(cells[at] as number, cells[at + 1] as number, cells[at + 2] as number, cells[at + 3] as number);
  }
}

/** Varint count; per bucket the index (from the second on: the difference), count and sum. */
export function writeBuckets(writer: ByteWriter, cells: BucketSums): void {
  writer.varint(bucketCount(cells));
  let previous = 0;
  forEachBucket(cells, (index, count, hi, lo) => {
    writer.varint(index - previous);
    writer.varint(count);
    writeSum(writer, hi, lo);
    previous = index;
  });
}

/** The inverse of {@link writeBuckets}: accepts what it writes and nothing else. */
export function readBuckets(
  reader: ByteReader,
  keep: number,
  indexMax: number,
  countMax: number,
): BucketSums {
  const start = reader.offset;
  const buckets = reader.count(4);
  if (buckets > keep) reader.fail(`Cannot accept ${buckets} buckets: the limit is ${keep}`, start);
  const cells: BucketSums = [];
  let total = 0;
  for (let i = 0; i < buckets; i++) {
    const at = reader.offset;
    const step = reader.varint();
    const index = newestBucket(cells) + step + (i === 0 ? 1 : 0);
    if ((i > 0 && step === 0) || index > indexMax)
      reader.fail("Cannot accept an unsorted or impossible bucket", at);
    const count = reader.varint();
    total += count;
    if (count === 0 || total > countMax) reader.fail("Cannot accept the count of a bucket", at);
    const { hi, lo } = readSum(reader);
    cells.push(index, count, hi, lo);
  }
  if (buckets > 0 && (cells[0] as number) <= newestBucket(cells) - keep) {
    reader.fail("Cannot accept a bucket that is too old to be kept", start);
  }
  return cells;
}

/** `hi` zigzag, then `lo`, as varints. */
export function writeSum(writer: ByteWriter, hi: number, lo: number): void {
  writer.varint(hi >= 0 ? hi * 2 : -hi * 2 - 1);
  writer.varint(lo);
}

/** The inverse of {@link writeSum}. */
export function readSum(reader: ByteReader): { hi: number; lo: number } {
  const zigzag = reader.varint();
  const half = Math.floor(zigzag / 2);
  const start = reader.offset;
  const lo = reader.varint();
  if (lo >= BASE) reader.fail("Cannot accept a sum whose low part reaches 2^52", start);
  return { hi: zigzag === half * 2 ? half : -half - 1, lo };
}

/** Adds two counts. @throws {@link CoreError} `COUNTER_OVERFLOW` past 2^53-1. */
export function addCounts(a: number, b: number): number {
  const sum = a + b;
  if (sum > Number.MAX_SAFE_INTEGER) {
    throw new CoreError("COUNTER_OVERFLOW", `Cannot count ${a} and ${b} contributions: the limit is 2^53-1`);
  }
  return sum;
}

function addAt(cells: BucketSums, at: number, count: number, hi: number, lo: number): void {
  let sumHi = (cells[at + 2] as number) + hi;
  let sumLo = (cells[at + 3] as number) + lo;
  if (sumLo >= BASE) {
    sumLo -= BASE;
    sumHi += 1;
  }
  cells[at + 1] = (cells[at + 1] as number) + count;
  cells[at + 2] = wrapHi(sumHi);
  cells[at + 3] = sumLo;
}

function prune(cells: BucketSums, upTo: number): void {
  let stale = 0;
  while ((cells[stale] as number) <= upTo) stale += BUCKET_STRIDE;
  if (stale > 0) cells.splice(0, stale);
}

/** The offset of the first bucket at or above `index`. */
function lowerBound(cells: BucketSums, index: number): number {
  let low = 0;
  let high = bucketCount(cells);
  while (low < high) {
    const mid = (low + high) >>> 1;
    if ((cells[mid * BUCKET_STRIDE] as number) < index) low = mid + 1;
    else high = mid;
  }
  return low * BUCKET_STRIDE;
}
