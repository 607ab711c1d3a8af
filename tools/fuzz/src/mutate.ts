import type { Random } from "./random.ts";

/** Numbers at which formats and arithmetic change their mind. */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
/** What decoders, JSON and shells trip over. */
const WORDS = [
  "__proto__",
  "constructor",
  "\u0000",
  "\ud800",
  "\ufeff",
  "../",
  "-1",
  "1e999",
  "NaN",
  '{"__proto__":1}',
  "[[[[[[[[",
  "9007199254740993",
];
const VARINTS: readonly Uint8Array[] = [
  Uint8Array.of(0x80, 0x00),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f),
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
  Uint8Array.of(0xff, 0xff, 0x03),
  Uint8Array.of(0xff, 0x7f),
];
const CHANGES_MAX = 6;

/** Changes an input in one to six places; `other` lends it parts. */
export function mutate(input: Uint8Array, other: Uint8Array, random: Random, bytesMax: number): Uint8Array {
  let bytes = input;
  for (let left = 1 + random.below(CHANGES_MAX); left > 0; left--) bytes = change(bytes, other, random);
  return bytes.length > bytesMax ? bytes.slice(0, bytesMax) : bytes;
}

function change(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(random.below(8) === 0 ? 64 : 4);
  switch (random.below(11)) {
    case 0:
      return overwritten(bytes, at, Uint8Array.of((bytes[at] ?? 0) ^ (1 << random.below(8))));
    case 1:
      return overwritten(bytes, at, Uint8Array.of(random.below(256)));
    case 2:
      return overwritten(bytes, at, Uint8Array.of((bytes[at] ?? 0) + (random.below(2) === 0 ? 1 : 255)));
    case 3:
      return overwritten(bytes, at, edge(random));
    case 4:
      return spliced(bytes, at, 0, random.pick(VARINTS));
    case 5:
      return spliced(bytes, at, length, random.pick(VARINTS));
    case 6:
      return spliced(bytes, at, length, new Uint8Array(0));
    case 7:
      return spliced(bytes, at, 0, bytes.slice(at, at + length));
    case 8: {
      const from = random.below(other.length + 1);
      return spliced(bytes, at, random.below(2) * length, other.slice(from, from + length * 4));
    }
    case 9:
      return spliced(bytes, at, random.below(2) * length, new TextEncoder().encode(random.pick(WORDS)));
    default:
      return random.below(2) === 0
        ? bytes.slice(0, at)
        : spliced(bytes, at, 0, new Uint8Array(length).fill(random.below(256)));
  }
}

function edge(random: Random): Uint8Array {
  const bytes = new Uint8Array(random.pick([1, 2, 4]));
  const value = random.pick(EDGES);
  for (let index = 0; index < bytes.length; index++) bytes[index] = value >>> (8 * index);
  return random.below(4) === 0 ? bytes.toReversed() : bytes;
}

function overwritten(bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  const result = bytes.slice();
  result.set(part.subarray(0, Math.max(0, result.length - at)), Math.min(at, result.length));
  return result;
}

function spliced(bytes: Uint8Array, at: number, removed: number, part: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(bytes.length, at + removed));
  const result = new Uint8Array(at + part.length + rest.length);
  result.set(bytes.subarray(0, at));
  result.set(part, at);
  result.set(rest, at + part.length);
  return result;
}
