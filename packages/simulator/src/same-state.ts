/**
 * Whether two states that a reducer made are the same: plain data, lists, maps, sets and bytes by what they hold, in their order;
 * any other object by its kind and its own fields.
 */
export function sameState(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false;
  if (one instanceof Date && other instanceof Date) return Object.is(one.getTime(), other.getTime());
  const [ours, theirs] = [partsOf(one), partsOf(other)];
  return ours.length === theirs.length && ours.every((part, at) => sameState(part, theirs[at]));
}

/** What an object holds, names and values in turn. */
function partsOf(value: object): unknown[] {
  if (value instanceof Map) return [...value].flat(1);
  if (value instanceof Set || Array.isArray(value)) return [...(value as Iterable<unknown>)];
  if (ArrayBuffer.isView(value)) return [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)];
  // The order of fields is no part of a state.
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flat(1);
}
