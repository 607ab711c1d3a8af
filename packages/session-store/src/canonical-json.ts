/** What JSON can say. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** How deep arrays and objects may be nested. */
export const JSON_DEPTH_MAX: number = 512;

/**
 * The one text of a JSON value: RFC 8785 (JSON Canonicalization Scheme), refusing what has no such text.
 *
 * Keys are sorted by their UTF-16 code units, numbers are the shortest that read back the same (`-0` is `0`), there
 * is no white space, and a string is escaped only where it must be. `undefined`, `NaN`, infinities, lone surrogates,
 * functions, symbols, bigints, holes of arrays and objects that are no plain objects are refused: a value that would
 * be read back as another one is a bug of the caller. `test/golden/canonical-json.json` has vectors.
 *
 * @throws `TypeError` for what JSON cannot say; `RangeError` for more than {@link JSON_DEPTH_MAX} levels, cycles among them.
 *
 * @example
 * ```ts
 * assert.equal(canonicalJson({ b: [1.0, -0, 1e21], a: "é" }), '{"a":"é","b":[1,0,1e+21]}');
 * ```
 */
export function canonicalJson(value: JsonValue): string {
  const ordered = inOrder(value, 0);
  if (ordered !== UNUSUAL) {
    // One call of the engine writes the whole text. It escapes lone surrogates: those are looked for more closely.
    const text = JSON.stringify(ordered);
    if (!text.includes("\\ud")) return text;
  }
  return textOf(value, 0);
}

/** Says that a value is to be written, or refused, step by step. */
const UNUSUAL: unique symbol = Symbol("unusual");

/** Keys that an object does not enumerate where they were added, or does not take as any other. */
const UNUSUAL_KEY = /^(?:\d|__proto__$)/;

/** The value with the keys of every object in order, a copy only where they are not; never throws. */
function inOrder(value: unknown, depth: number): unknown {
  if (depth > JSON_DEPTH_MAX) return UNUSUAL;
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : UNUSUAL;
    case "object":
      if (value === null) return null;
      return Array.isArray(value) ? itemsInOrder(value, depth) : fieldsInOrder(value, depth);
    default:
      return UNUSUAL;
  }
}

function itemsInOrder(values: readonly unknown[], depth: number): unknown {
  let copy: unknown[] | undefined;
  for (let index = 0; index < values.length; index++) {
    const item = inOrder(values[index], depth + 1);
    if (item === UNUSUAL) return UNUSUAL;
    if (copy === undefined && item !== values[index]) copy = values.slice(0, index);
    copy?.push(item);
  }
  return copy ?? values;
}

function fieldsInOrder(value: object, depth: number): unknown {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return UNUSUAL;
  const fields = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(fields);
  let same = true;
  for (let index = 0; index < keys.length; index++) {
    if (UNUSUAL_KEY.test(keys[index]!)) return UNUSUAL;
    if (index > 0 && keys[index]! < keys[index - 1]!) same = false;
  }
  if (!same) keys.sort();
  const copy: Record<string, unknown> = {};
  for (const key of keys) {
    const field = inOrder(fields[key], depth + 1);
    if (field === UNUSUAL) return UNUSUAL;
    if (field !== fields[key]) same = false;
    copy[key] = field;
  }
  return same ? value : copy;
}

function textOf(value: unknown, depth: number): string {
  if (depth > JSON_DEPTH_MAX) {
    throw new RangeError(`JSON must be nested at most ${JSON_DEPTH_MAX} deep`);
  }
  switch (typeof value) {
    case "string":
      return stringText(value);
    case "number":
      if (!Number.isFinite(value)) throw new TypeError(`JSON has no ${value}`);
      return JSON.stringify(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? arrayText(value, depth) : objectText(value, depth);
    default:
      throw new TypeError(`JSON has no ${typeof value}`);
  }
}

function arrayText(values: readonly unknown[], depth: number): string {
  let text = "[";
  for (let index = 0; index < values.length; index++) {
    if (index > 0) text += ",";
    text += textOf(values[index], depth + 1);
  }
  return `${text}]`;
}

function objectText(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) {
    throw new TypeError("JSON has only plain objects and arrays");
  }
  const fields = value as Readonly<Record<string, unknown>>;
  let text = "{";
  // The order of RFC 8785 §3.2.3: UTF-16 code units, which is how strings compare here.
  for (const key of Object.keys(fields).sort()) {
    if (text.length > 1) text += ",";
    text += `${stringText(key)}:${textOf(fields[key], depth + 1)}`;
  }
  return `${text}}`;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

function stringText(text: string): string {
  const json = JSON.stringify(text);
  // A lone surrogate is escaped; nothing else that is written so is, but for text that says so itself.
  if (json.includes("\\ud") && LONE_SURROGATE.test(text)) throw new TypeError("JSON has no lone surrogates");
  return json;
}
