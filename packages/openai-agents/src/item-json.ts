import { base64, bytesOfBase64 } from "@tidemark/session-store";

/** The one field of an object that stands for bytes. */
const BYTES = "~bytes";
/** How deep items may be nested. */
const DEPTH_MAX = 256;

/**
 * What an item becomes in JSON: bytes are `{"~bytes": base64}`, and a field whose name begins with `~` gets another.
 * Fields that are `undefined` are left out, as JSON does.
 *
 * @throws `TypeError` for what would be read back as something else: functions, symbols, bigints, `NaN`, infinities,
 * `undefined` in arrays, and objects of classes; `RangeError` for more than 256 levels, cycles among them.
 */
export function jsonOfItem(item: unknown): unknown {
  return toJson(item, 0);
}

/** The exact inverse. */
export function itemOfJson(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(itemOfJson);
  if (typeof json !== "object" || json === null) return json;
  const entries = Object.entries(json);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === BYTES) return bytesOfBase64(String(first[1]));
  return Object.fromEntries(
    entries.map(([name, value]) => [name.startsWith("~") ? name.slice(1) : name, itemOfJson(value)]),
  );
}

/** One text for all JSON values that are equal, whatever the order of their fields. */
export function textOfJson(json: unknown): string {
  return JSON.stringify(json, (_name, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function toJson(value: unknown, depth: number): unknown {
  if (depth > DEPTH_MAX) throw new RangeError(`An item must be nested at most ${DEPTH_MAX} deep`);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (value instanceof Uint8Array) return { [BYTES]: base64(value) };
  // Holes are `undefined`, which `map` would pass over.
  if (Array.isArray(value)) return Array.from(value, (one: unknown) => toJson(one, depth + 1));
  if (typeof value !== "object" || !isPlain(value))
    throw new TypeError(`An item cannot hold a ${typeof value}`);
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) =>
      field === undefined ? [] : [[name.startsWith("~") ? `~${name}` : name, toJson(field, depth + 1)]],
    ),
  );
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
