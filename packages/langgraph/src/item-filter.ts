import { isEqual } from "./metadata-filter.ts";

/** What a field of a filter may ask, beside equality. Numbers are compared as JavaScript's `Number` makes them. */
const OPERATORS: ReadonlyMap<string, (value: unknown, bound: unknown) => boolean> = new Map([
  ["$eq", isEqual],
  ["$ne", (value: unknown, bound: unknown) => !isEqual(value, bound)],
  ["$gt", (value: unknown, bound: unknown) => Number(value) > Number(bound)],
  ["$gte", (value: unknown, bound: unknown) => Number(value) >= Number(bound)],
  ["$lt", (value: unknown, bound: unknown) => Number(value) < Number(bound)],
  ["$lte", (value: unknown, bound: unknown) => Number(value) <= Number(bound)],
  [
    "$in",
    (value: unknown, bound: unknown) => Array.isArray(bound) && bound.some((one) => isEqual(value, one)),
  ],
  [
    "$nin",
    (value: unknown, bound: unknown) => !Array.isArray(bound) || !bound.some((one) => isEqual(value, one)),
  ],
]);

/** Whether every field of the filter holds of a value: equal to what it says, or as all of its operators ask. */
export function matchesItem(value: object, filter: Readonly<Record<string, unknown>>): boolean {
  const fields = new Map<string, unknown>(Object.entries(value));
  return Object.entries(filter).every(([field, asked]) => {
    const operators = operatorsOf(asked);
    if (operators === undefined) return isEqual(fields.get(field), asked);
    return operators.every(([operator, bound]) => OPERATORS.get(operator)!(fields.get(field), bound));
  });
}

/** The operators of an object that holds nothing else. */
function operatorsOf(asked: unknown): [string, unknown][] | undefined {
  if (typeof asked !== "object" || asked === null) return undefined;
  const entries = Object.entries(asked);
  return entries.every(([name]) => OPERATORS.has(name)) ? entries : undefined;
}
