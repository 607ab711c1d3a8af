import { compareUtf8 } from "./utf8-order.ts";

/** The JSON text of an object whose values are JSON text already: keys sorted, and any key is a key. */
export function objectJson(entries: Iterable<readonly [string, string]>): string {
  const sorted = [...entries].sort(([a], [b]) => compareUtf8(a, b));
  return `{${sorted.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`;
}
