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
  return textOf(value, 0);
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
