import type { Random } from "./random.ts";

const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  65_536,
  4_294_967_296,
  9_007_199_254_740_992,
  1e308,
  "",
  "__proto__",
  "\ud800",
  "0".repeat(32),
  [],
  {},
  [[[[]]]],
  JSON.parse('{"__proto__":{"format":1}}'),
];

/** Changes a text in JSON at one place to another value; anything else comes back as it was. */
export function mutateJson(input: Uint8Array, random: Random): Uint8Array {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(input));
    return new TextEncoder().encode(JSON.stringify(changed(value, random)));
  } catch {
    return input;
  }
}

function changed(value: unknown, random: Random): unknown {
  if (typeof value !== "object" || value === null || random.below(6) === 0) return random.pick(VALUES);
  if (Array.isArray(value)) {
    const at = random.below(value.length + 1);
    return value.toSpliced(at, at < value.length ? 1 : 0, changed(value[at], random));
  }
  const entries = Object.entries(value);
  const at = random.below(entries.length + 1);
  const [key, inner] = entries[at] ?? [random.pick(["x", "1", "format", "constructor"]), null];
  if (random.below(8) === 0) return Object.fromEntries(entries.toSpliced(at, 1));
  return Object.fromEntries(
    entries.toSpliced(at, 1, [random.below(8) === 0 ? `${key}x` : key, changed(inner, random)]),
  );
}
