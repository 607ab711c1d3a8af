/**
 * A number in [0, 1) that depends on a seed and two more numbers, and on nothing else.
 *
 * Decisions are looked up rather than drawn one after the other, so none depends on how many came before.
 * Source: the finaliser of MurmurHash3 (Appleby), chained over 32-bit words.
 *
 * @param topic - What is decided, so that two decisions about one line differ.
 */
export function chance(seed: number, topic: number, index: number): number {
  let hash = 0x9e37_79b9;
  for (const word of [seed, seed / 2 ** 32, topic, index, index / 2 ** 32])
    hash = mix(hash ^ Math.floor(word));
  return (hash >>> 0) / 2 ** 32;
}

function mix(value: number): number {
  let hash = Math.imul(value, 0x85eb_ca6b) + 0x7f4a_7c15;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}
