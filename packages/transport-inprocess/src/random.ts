/**
 * A small seeded generator of numbers from 0 up to 1: the same seed gives the same numbers.
 *
 * Source: mulberry32, Tommy Ettinger 2017, public domain. 32 bits of state: good for deciding faults,
 * never for secrets.
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** The seed of one link: FNV-1a over both names, so that traffic on one link changes nothing on another. */
export function linkSeed(seed: number, from: string, to: string): number {
  let hash = 0x811c9dc5 ^ (seed >>> 0) ^ Math.floor(seed / 0x1_0000_0000);
  for (const char of `${from}\u0000${to}`) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193);
  return hash >>> 0;
}
