import { ByteWriter, guardText } from "@tidemark/core";
import { KvError } from "./errors.ts";
import type { KvKey, KvRange } from "./kv.ts";
import { KEY_BYTES_MAX } from "./limits.ts";

/** One part of a tuple key: an integer from 0 to 2^64-1, text, or bytes. */
export type KeyPart = number | bigint | string | Uint8Array;

/** The tag of the integer 0; an integer of n bytes has this plus n. */
const INTEGER = 0x10;
const INTEGER_BYTES_MAX = 8;
const TEXT = 0x20;
const BYTES = 0x30;
/** Ends text and bytes. */
const END = 0x00;
/** Before a byte of text or bytes that is 0x00 or 0x01, which is written as itself plus one. */
const ESCAPE = 0x01;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const scratch = new ByteWriter();

/**
 * Encodes a tuple as a key, such that the bytes order as the tuples do: part by part, integers before text before
 * bytes; integers by value, text by its UTF-8, bytes bytewise; a tuple that begins another comes first. The bytes of
 * a tuple are a prefix of those of another if and only if the tuple begins it.
 *
 * | part    | bytes                                                                                          |
 * | :------ | :--------------------------------------------------------------------------------------------- |
 * | integer | 0x10 plus the count n of its bytes (0 to 8), then n bytes, big-endian, the first not 0          |
 * | text    | 0x20, its UTF-8 with 0x00 as 0x01 0x01 and 0x01 as 0x01 0x02, then 0x00                        |
 * | bytes   | 0x30, then as text                                                                             |
 *
 * A number and a bigint of one value are one part.
 *
 * @throws `RangeError` if there is no part, or an integer is not one from 0 to 2^53-1 (a bigint: to 2^64-1);
 * `TypeError` for another type or text with a lone surrogate; {@link KvError} `KV_TOO_LARGE` above
 * {@link KEY_BYTES_MAX} bytes.
 *
 * @example
 * ```ts
 * const key = encodeKey(["node", 258]);
 * assert.deepEqual(key, Uint8Array.of(0x20, 0x6e, 0x6f, 0x64, 0x65, 0x00, 0x12, 0x01, 0x02));
 * assert.deepEqual(decodeKey(key), ["node", 258]);
 * ```
 */
export function encodeKey(parts: readonly KeyPart[]): KvKey {
  if (parts.length === 0) throw new RangeError("A tuple key must have at least one part");
  scratch.reset();
  for (const part of parts) writePart(scratch, part);
  if (scratch.length > KEY_BYTES_MAX) {
    const { length: actual } = scratch;
    throw new KvError("KV_TOO_LARGE", `Cannot take a key of ${actual} bytes: the limit is ${KEY_BYTES_MAX}`, {
      limit: KEY_BYTES_MAX,
      actual,
    });
  }
  return scratch.take();
}

/**
 * The tuple of a key. Integers above 2^53-1 come as bigint. Only what {@link encodeKey} writes is read, so that a
 * tuple has one key.
 *
 * @throws {@link KvError} `KV_CORRUPT` for any other bytes.
 */
export function decodeKey(key: KvKey): KeyPart[] {
  if (key.length === 0 || key.length > KEY_BYTES_MAX) throw corrupt(`it has ${key.length} bytes`);
  const parts: KeyPart[] = [];
  for (let at = 0; at < key.length;) {
    const tag = key[at]!;
    const from = at + 1;
    if (tag >= INTEGER && tag <= INTEGER + INTEGER_BYTES_MAX) {
      at = from + tag - INTEGER;
      parts.push(integerOf(key, from, at));
    } else if (tag === TEXT || tag === BYTES) {
      const end = key.indexOf(END, from);
      if (end === -1) throw corrupt(`the part at ${from - 1} does not end`);
      const content = unescape(key.subarray(from, end), from);
      parts.push(tag === BYTES ? content : textOf(content, from));
      at = end + 1;
    } else {
      throw corrupt(`0x${tag.toString(16)} at ${at} is no tag`);
    }
  }
  return parts;
}

/**
 * The range of all tuples that begin with these parts, the tuple of just these included; without parts, all.
 *
 * @example
 * ```ts
 * const { prefix } = prefixRange(["work"]);
 * assert.deepEqual(prefix, encodeKey(["work"]));
 * ```
 */
export function prefixRange(parts: readonly KeyPart[]): KvRange & { readonly prefix: KvKey } {
  return { prefix: parts.length === 0 ? new Uint8Array(0) : encodeKey(parts) };
}

function writePart(writer: ByteWriter, part: KeyPart): void {
  if (typeof part === "string") {
    writer.u8(TEXT);
    if (isPlain(part)) {
      for (let at = 0; at < part.length; at++) writer.u8(part.charCodeAt(at));
      writer.u8(END);
    } else {
      writeEscaped(writer, encoder.encode(guardText(part, "A part of a key")));
    }
  } else if (part instanceof Uint8Array) {
    writer.u8(BYTES);
    writeEscaped(writer, part);
  } else if (typeof part === "number") {
    if (!Number.isSafeInteger(part) || part < 0) {
      throw new RangeError(`A number in a key must be an integer from 0 to 2^53-1: ${part}`);
    }
    if (part <= 0xffff_ffff) writeSmallInteger(writer, part);
    else writeInteger(writer, BigInt(part));
  } else if (typeof part === "bigint") {
    if (part < 0n || part >= 1n << 64n) {
      throw new RangeError(`A bigint in a key must be from 0 to 2^64-1: ${part}`);
    }
    writeInteger(writer, part);
  } else {
    throw new TypeError("A part of a key must be an integer, a string or a Uint8Array");
  }
}

/** Whether every character is its own byte in a key, as nearly always: then nothing has to be encoded or escaped. */
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= ESCAPE || code > 0x7f) return false;
  }
  return true;
}

function writeSmallInteger(writer: ByteWriter, value: number): void {
  const count = value === 0 ? 0 : 4 - (Math.clz32(value) >> 3);
  writer.u8(INTEGER + count);
  for (let index = count - 1; index >= 0; index--) writer.u8((value >>> (8 * index)) & 0xff);
}

function writeInteger(writer: ByteWriter, value: bigint): void {
  let count = 0;
  while (value >> BigInt(8 * count) > 0n) count += 1;
  writer.u8(INTEGER + count);
  for (let index = count - 1; index >= 0; index--) writer.u8(Number((value >> BigInt(8 * index)) & 0xffn));
}

function writeEscaped(writer: ByteWriter, bytes: Uint8Array): void {
  let from = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte > ESCAPE) continue;
    writer.raw(bytes.subarray(from, at));
    writer.u8(ESCAPE);
    writer.u8(byte + 1);
    from = at + 1;
  }
  writer.raw(bytes.subarray(from));
  writer.u8(END);
}

function integerOf(key: KvKey, from: number, to: number): number | bigint {
  if (to > key.length) throw corrupt(`the integer at ${from - 1} does not end`);
  if (to > from && key[from] === 0) throw corrupt(`the integer at ${from - 1} begins with a zero`);
  let value = 0n;
  for (const byte of key.subarray(from, to)) value = (value << 8n) | BigInt(byte);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function unescape(bytes: Uint8Array, offset: number): Uint8Array {
  if (!bytes.includes(ESCAPE)) return bytes.slice();
  const out = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    let byte = bytes[at]!;
    if (byte === ESCAPE) {
      at += 1;
      byte = (bytes[at] ?? 0) - 1;
      if (byte !== 0 && byte !== 1) throw corrupt(`nothing to escape at ${offset + at}`);
    }
    out[length++] = byte;
  }
  return out.slice(0, length);
}

function textOf(bytes: Uint8Array, offset: number): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw corrupt(`the text at ${offset} is not UTF-8`, cause);
  }
}

function corrupt(what: string, cause?: unknown): KvError {
  return new KvError("KV_CORRUPT", `Cannot read a tuple key: ${what}`, { cause });
}
