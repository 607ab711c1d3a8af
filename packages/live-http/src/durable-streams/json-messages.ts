import { StreamRefusal } from "./stream-refusal.ts";

/** The messages of one append: what is stored of them, and how many positions they take. */
export interface StreamMessages {
  readonly data: Uint8Array;
  readonly count: number;
}

const LINE_FEED = 0x0a;
const COMMA = 0x2c;
const OPEN = new TextEncoder().encode("[");
const CLOSE = new TextEncoder().encode("]");
const utf8 = new TextEncoder();
// A mark of byte order is no JSON: it stays in, and is refused.
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The messages of a JSON body: the elements of an array, or the one value. They are kept as they were written, numbers
 * with all their digits; only the line breaks between tokens become spaces, so that a line feed can part messages.
 *
 * @throws {@link StreamRefusal} `BAD_REQUEST` if the body is not JSON.
 */
export function parseMessages(body: Uint8Array): StreamMessages {
  const text = textOf(body);
  const value = valueOf(text);
  const parts = Array.isArray(value) ? elementsOf(text, value.length) : [text];
  const data = utf8.encode(parts.map(onOneLine).join("\n"));
  return { data, count: parts.length };
}

/** How many messages are stored here. */
export function countMessages(data: Uint8Array): number {
  let count = 1;
  for (const byte of data) if (byte === LINE_FEED) count += 1;
  return count;
}

/** The messages from `from` inclusive to `to` exclusive of those stored here. */
export function sliceMessages(data: Uint8Array, from: number, to: number): Uint8Array {
  return data.subarray(startOf(data, from), to >= countMessages(data) ? data.length : startOf(data, to) - 1);
}

/** An array of JSON of all messages stored in these parts. */
export function messagesToArray(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length + 1, parts.length === 0 ? 2 : 1);
  const bytes = new Uint8Array(length);
  bytes.set(OPEN, 0);
  let at = 1;
  for (const part of parts) {
    if (at > 1) bytes[at++] = COMMA;
    for (const byte of part) bytes[at++] = byte === LINE_FEED ? COMMA : byte;
  }
  bytes.set(CLOSE, at);
  return bytes;
}

/** Where the message of that index begins. */
function startOf(data: Uint8Array, index: number): number {
  let at = 0;
  for (let passed = 0; passed < index; passed++) at = data.indexOf(LINE_FEED, at) + 1;
  return at;
}

/** The texts of the elements of an array that is known to be JSON. */
function elementsOf(text: string, count: number): string[] {
  if (count === 0) return [];
  const parts: string[] = [];
  let depth = 0;
  let from = text.indexOf("[") + 1;
  for (let at = from; ; at++) {
    const sign = text[at];
    if (sign === '"') at = endOfString(text, at);
    else if (sign === "[" || sign === "{") depth += 1;
    else if (depth === 0 && (sign === "," || sign === "]")) {
      parts.push(text.slice(from, at));
      from = at + 1;
      if (sign === "]") return parts;
    } else if (sign === "]" || sign === "}") depth -= 1;
  }
}

/** Where the text ends that begins with the quotation mark at `at`. */
function endOfString(text: string, at: number): number {
  for (let end = at + 1; ; end++) {
    if (text[end] === "\\") end += 1;
    else if (text[end] === '"') return end;
  }
}

function onOneLine(part: string): string {
  return part.replaceAll(/[\r\n]/g, " ").trim();
}

function textOf(body: Uint8Array): string {
  try {
    return strictUtf8.decode(body);
  } catch {
    throw new StreamRefusal("BAD_REQUEST", "The body is not UTF-8");
  }
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new StreamRefusal("BAD_REQUEST", "The body is not JSON");
  }
}
