/** One well-formed line of a recording. */
export type Operation =
  | {
      readonly op: "start";
      readonly session: string;
      readonly user: string;
      readonly agent: string;
      readonly metadata: ReadonlyMap<string, string>;
    }
  | {
      readonly op: "signal";
      readonly session: string;
      readonly entity: string;
      readonly signal: string;
      readonly weight: number;
    }
  | { readonly op: "prefer"; readonly session: string; readonly key: string; readonly value: string }
  | { readonly op: "annotate"; readonly session: string; readonly text: string; readonly entity?: string }
  | { readonly op: "hide" | "unhide"; readonly session: string; readonly item: string }
  | { readonly op: "search"; readonly session: string; readonly query: string }
  | { readonly op: "close"; readonly session: string };

/** The kinds of operation, in the order reports list them. */
export const OPERATION_KINDS = [
  "start",
  "signal",
  "prefer",
  "annotate",
  "hide",
  "unhide",
  "search",
  "close",
] as const;

/** A name (session, user, agent, entity, signal, item, key) has 1 to this many UTF-8 bytes. */
export const NAME_BYTES_MAX = 128;
/** A text (text, value, query, metadata value) has at most this many UTF-8 bytes. */
export const TEXT_BYTES_MAX: number = 16 * 1024;
/** A line has at most this many bytes, without its end. */
export const LINE_BYTES_MAX: number = 1024 * 1024;

/** A line is not an operation; `message` says what was expected. */
export class MalformedLine extends Error {
  override readonly name = "MalformedLine";
}

const LONE_SURROGATE = /\p{Surrogate}/u;
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads one line, strictly. Unknown extra fields are ignored; of a key given twice the last one counts,
 * as `JSON.parse` has it.
 *
 * @throws MalformedLine naming what was expected.
 */
export function parseOperation(line: Uint8Array): Operation {
  if (line.length > LINE_BYTES_MAX) throw new MalformedLine(`a line of at most ${LINE_BYTES_MAX} bytes`);
  const fields = parseObject(decode(line));
  const op = fields["op"];
  const session = (): string => name(fields, "session");
  switch (op) {
    case "start":
      return {
        op,
        session: session(),
        user: name(fields, "user"),
        agent: name(fields, "agent"),
        metadata: metadata(fields),
      };
    case "signal":
      return {
        op,
        session: session(),
        entity: name(fields, "entity"),
        signal: name(fields, "signal"),
        weight: weight(fields),
      };
    case "prefer":
      return { op, session: session(), key: name(fields, "key"), value: text(fields, "value") };
    case "annotate":
      return Object.hasOwn(fields, "entity")
        ? { op, session: session(), text: text(fields, "text"), entity: name(fields, "entity") }
        : { op, session: session(), text: text(fields, "text") };
    case "hide":
    case "unhide":
      return { op, session: session(), item: name(fields, "item") };
    case "search":
      return { op, session: session(), query: text(fields, "query") };
    case "close":
      return { op, session: session() };
    default:
      throw new MalformedLine(`"op" to be one of ${OPERATION_KINDS.join(", ")}`);
  }
}

function decode(line: Uint8Array): string {
  try {
    return strictUtf8.decode(line);
  } catch {
    throw new MalformedLine("UTF-8");
  }
}

/** The object's own fields without a prototype, so that `__proto__` is a key like any other. */
function parseObject(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new MalformedLine("one JSON object");
  }
  if (!isObject(value)) throw new MalformedLine("a JSON object");
  return Object.setPrototypeOf(value, null) as Readonly<Record<string, unknown>>;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function name(fields: Readonly<Record<string, unknown>>, field: string): string {
  const value = fields[field];
  if (typeof value !== "string") throw new MalformedLine(`"${field}" to be a string`);
  checkSurrogates(value, field);
  if (value === "" || exceeds(value, NAME_BYTES_MAX)) {
    throw new MalformedLine(`"${field}" to have 1 to ${NAME_BYTES_MAX} UTF-8 bytes`);
  }
  return value;
}

function text(fields: Readonly<Record<string, unknown>>, field: string): string {
  const value = fields[field];
  if (typeof value !== "string") throw new MalformedLine(`"${field}" to be a string`);
  return boundedText(value, field);
}

function boundedText(value: string, field: string): string {
  checkSurrogates(value, field);
  if (exceeds(value, TEXT_BYTES_MAX)) {
    throw new MalformedLine(`"${field}" to have at most ${TEXT_BYTES_MAX} UTF-8 bytes`);
  }
  return value;
}

function weight(fields: Readonly<Record<string, unknown>>): number {
  const value = fields["weight"];
  // JSON.parse makes Infinity of 1e999.
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new MalformedLine(`"weight" to be a finite number`);
  return value;
}

function metadata(fields: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  if (!Object.hasOwn(fields, "metadata")) return entries;
  const value = fields["metadata"];
  if (!isObject(value)) throw new MalformedLine(`"metadata" to be an object of strings`);
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry !== "string") throw new MalformedLine(`"metadata" to be an object of strings`);
    entries.set(boundedText(key, "metadata"), boundedText(entry, "metadata"));
  }
  return entries;
}

function checkSurrogates(value: string, field: string): void {
  if (LONE_SURROGATE.test(value))
    throw new MalformedLine(`"${field}" to be well-formed Unicode without lone surrogates`);
}

function exceeds(value: string, bytesMax: number): boolean {
  // A UTF-16 unit is at most three bytes: most strings are short enough without counting.
  return value.length * 3 > bytesMax && Buffer.byteLength(value) > bytesMax;
}
