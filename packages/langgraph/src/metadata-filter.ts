/** Whether the metadata has every field of the filter, with an equal value. */
export function matchesMetadata(metadata: object, filter: Readonly<Record<string, unknown>>): boolean {
  const fields = new Map<string, unknown>(Object.entries(metadata));
  return Object.entries(filter).every(([field, value]) => isEqual(fields.get(field), value));
}

/** Equal as JSON: numbers, texts and booleans by value, arrays and objects by what they hold. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = new Map<string, unknown>(Object.entries(a));
  const right = new Map<string, unknown>(Object.entries(b));
  return (
    left.size === right.size &&
    [...left].every(([key, value]) => right.has(key) && isEqual(value, right.get(key)))
  );
}
