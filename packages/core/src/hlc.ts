import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { guardUpTo } from "./safe-integer.ts";

/**
 * A hybrid logical clock stamp: what time it was, which event of that millisecond, and whose clock.
 *
 * Source: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.
 */
export interface Hlc {
  /** Milliseconds since 1970, u48. */
  readonly wallMs: number;
  /** Which event of that millisecond, u16. */
  readonly counter: number;
  /** Whose clock, u16; two clocks never share one, so no two events compare equal. */
  readonly clockId: number;
}

/** Bytes of a stamp. */
export const HLC_BYTES = 10;
/** The last millisecond a stamp can name (the year 10889). */
export const HLC_WALL_MS_MAX: number = 2 ** 48 - 1;
/** The last event of one millisecond; the next one carries into `wallMs`. */
export const HLC_COUNTER_MAX = 0xffff;
/** Before every stamp of a clock. */
export const HLC_ZERO: Hlc = Object.freeze({ wallMs: 0, counter: 0, clockId: 0 });

/** The total order (wall, counter, clock id): negative when `a` is first, zero only for one and the same stamp. */
export function compareHlc(a: Hlc, b: Hlc): number {
  return a.wallMs - b.wallMs || a.counter - b.counter || a.clockId - b.clockId;
}

/** The later of two stamps. */
export function laterHlc(a: Hlc, b: Hlc): Hlc {
  return compareHlc(a, b) >= 0 ? a : b;
}

/**
 * The smallest stamp above `after` that has `clockId`: how an op is ordered behind something from a clock
 * that runs ahead, without moving any clock. A full counter carries into `wallMs`.
 *
 * @throws `RangeError` if there is no stamp above.
 *
 * @example
 * ```ts
 * const ahead = { wallMs: 10, counter: 0xffff, clockId: 7 };
 * assert.deepEqual(stepHlc(ahead, 9), { wallMs: 10, counter: 0xffff, clockId: 9 });
 * assert.deepEqual(stepHlc(ahead, 7), { wallMs: 11, counter: 0, clockId: 7 });
 * ```
 */
export function stepHlc(after: Hlc, clockId: number): Hlc {
  const { wallMs, counter } = after;
  if (clockId > after.clockId) return { wallMs, counter, clockId };
  if (counter < HLC_COUNTER_MAX) return { wallMs, counter: counter + 1, clockId };
  return { wallMs: guardUpTo(wallMs + 1, "wallMs", HLC_WALL_MS_MAX), counter: 0, clockId };
}

/**
 * Appends the ten bytes of a stamp. **Big-endian**: the bytes of two stamps sort as the stamps do.
 *
 * | offset | bytes | type    | field     |
 * | -----: | ----: | :------ | :-------- |
 * |      0 |     6 | u48, BE | `wallMs`  |
 * |      6 |     2 | u16, BE | `counter` |
 * |      8 |     2 | u16, BE | `clockId` |
 *
 * @throws `RangeError` if a field does not fit.
 */
export function writeHlc(writer: ByteWriter, stamp: Hlc): void {
  writer.u48be(guardUpTo(stamp.wallMs, "wallMs", HLC_WALL_MS_MAX));
  writer.u16be(guardUpTo(stamp.counter, "counter", HLC_COUNTER_MAX));
  writer.u16be(guardUpTo(stamp.clockId, "clockId", 0xffff));
}

/** Reads what {@link writeHlc} wrote; every ten bytes are a stamp. @throws {@link CoreError} `DECODE_FAILED`. */
export function readHlc(reader: ByteReader): Hlc {
  reader.need(HLC_BYTES);
  return { wallMs: reader.u48be(), counter: reader.u16be(), clockId: reader.u16be() };
}
