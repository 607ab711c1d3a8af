import { compareUtf8 } from "@tidemark/core";

/** The entries of a map, ascending by the UTF-8 bytes of the key. */
export function sortedByText<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].sort((a, b) => compareUtf8(a[0], b[0]));
}
