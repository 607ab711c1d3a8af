/** Orders byte strings as `memcmp` does, a prefix first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const difference = (a[index] as number) - (b[index] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/**
 * Orders strings as their UTF-8 bytes sort, without encoding them. `<` on strings compares UTF-16 units and puts
 * U+1F600 before U+FF5E; the order of canonical bytes must not depend on how a language holds its strings.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return codePointRank(left) - codePointRank(right);
  }
  return a.length - b.length;
}

/** Moves the surrogates above the rest of the basic plane, where the code points they stand for belong. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Lone surrogates: the only thing a string can hold that UTF-8 cannot. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Returns `text`. @throws `TypeError` if it holds a lone surrogate, which has no UTF-8 and would not be read back. */
export function guardText(text: string, what: string): string {
  if (LONE_SURROGATE.test(text))
    throw new TypeError(`${what} must be well-formed Unicode: it holds a lone surrogate`);
  return text;
}
