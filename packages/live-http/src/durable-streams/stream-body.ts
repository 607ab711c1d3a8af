import { concatBytes } from "../concat-bytes.ts";
import { messagesToArray } from "./json-messages.ts";
import { isJson, mediaType } from "./stream-state.ts";

/** How the bytes of a stream travel in server-sent events. */
export type EventEncoding = "json" | "text" | "base64";

const BASE64_STEP = 0x3000;
const LINE_BREAK = /\r\n|\r|\n/;
const lossyUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** How a stream of that type travels in server-sent events. */
export function eventEncoding(contentType: string): EventEncoding {
  if (isJson(contentType)) return "json";
  return mediaType(contentType).startsWith("text/") ? "text" : "base64";
}

/** The body of a response: the bytes as they were appended, or an array of the messages of a JSON stream. */
export function bodyOf(contentType: string, parts: readonly Uint8Array[]): Uint8Array {
  if (isJson(contentType)) return messagesToArray(parts);
  return concatBytes(parts);
}

/** The text of bytes in an event. */
export function eventText(encoding: EventEncoding, body: Uint8Array): string {
  return encoding === "base64" ? toBase64(body) : lossyUtf8.decode(body);
}

/** A server-sent event. A line that begins with a space gets another, which readers take away. */
export function streamEvent(name: "data" | "control", text: string): string {
  const lines = text.split(LINE_BREAK).map((line) => `data:${line.startsWith(" ") ? " " : ""}${line}\n`);
  return `event: ${name}\n${lines.join("")}\n`;
}

/** How many of the bytes are whole characters of UTF-8: an append may end within one, and the next goes on there. */
export function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  // A multiple of three, so that the parts are one text of base64 together.
  for (let at = 0; at < bytes.length; at += BASE64_STEP) {
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + BASE64_STEP)));
  }
  return text;
}
