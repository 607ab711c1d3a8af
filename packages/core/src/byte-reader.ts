import { CoreError } from "./errors.ts";
import { guardSafe } from "./safe-integer.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Below this many bytes a loop over ASCII is faster than a call into the decoder. */
const ASCII_LOOP_MAX = 48;
/** Eight bytes of a float on their way. */
const floatBytes = new Uint8Array(8);
const floatView = new DataView(floatBytes.buffer);

/**
 * Reads hostile bytes: every length is checked against what remains before anything is allocated,
 * varints must be canonical, text must be strict UTF-8. Each failure is a {@link CoreError}
 * `DECODE_FAILED` with the offset. Little-endian unless the name says otherwise.
 */
export class ByteReader {
  /** The input; never written to. */
  readonly bytes: Uint8Array;
  /** Where the next read begins. */
  offset: number;
  /** Where the input ends (exclusive). */
  readonly end: number;

  constructor(bytes: Uint8Array, offset: number = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.end - this.offset;
  }

  /** Fails with the offset of the next read, or the one given. */
  fail(message: string, offset: number = this.offset): never {
    throw new CoreError("DECODE_FAILED", message, { offset });
  }

  /** Fails unless `count` bytes remain. */
  need(count: number): void {
    if (count > this.end - this.offset) {
      this.fail(`Cannot read ${count} bytes: ${this.end - this.offset} remain`);
    }
  }

  /** Fails unless everything was read. */
  finish(): void {
    if (this.offset !== this.end) this.fail(`Cannot accept ${this.remaining} trailing bytes`);
  }

  u8(): number {
    this.need(1);
    return this.bytes[this.offset++] as number;
  }

  u16(): number {
    this.need(2);
    const low = this.bytes[this.offset] as number;
    const high = this.bytes[this.offset + 1] as number;
    this.offset += 2;
    return (high << 8) | low;
  }

  /** Big-endian, for what must sort. */
  u16be(): number {
    this.need(2);
    const high = this.bytes[this.offset] as number;
    const low = this.bytes[this.offset + 1] as number;
    this.offset += 2;
    return (high << 8) | low;
  }

  u32(): number {
    this.need(4);
    const value = wordAt(this.bytes, this.offset);
    this.offset += 4;
    return value;
  }

  /** Big-endian 48 bits, for what must sort. */
  u48be(): number {
    this.need(6);
    const high = this.u16be();
    const middle = this.u16be();
    const low = this.u16be();
    return high * 0x1_0000_0000 + middle * 0x1_0000 + low;
  }

  /** 64 bits on the wire, a safe integer in the API: anything above 2^53-1 is refused. */
  u64(): number {
    this.need(8);
    const low = wordAt(this.bytes, this.offset);
    const high = wordAt(this.bytes, this.offset + 4);
    if (high > 0x1f_ffff) this.fail("Cannot read a number above 2^53-1");
    this.offset += 8;
    return high * 0x1_0000_0000 + low;
  }

  f64(): number {
    this.need(8);
    for (let at = 0; at < 8; at++) floatBytes[at] = this.bytes[this.offset++] as number;
    return floatView.getFloat64(0, true);
  }

  /** Unsigned LEB128, canonical, at most 2^53-1. */
  varint(): number {
    const start = this.offset;
    const first = this.bytes[start] as number;
    if (first < 0x80 && start < this.end) {
      this.offset = start + 1;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (let length = 1; length <= 8; length++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && length > 1) this.fail("Cannot accept a varint with a zero tail", start);
        if (value > Number.MAX_SAFE_INTEGER) this.fail("Cannot read a number above 2^53-1", start);
        return value;
      }
      scale *= 128;
    }
    return this.fail("Cannot accept a varint longer than 8 bytes", start);
  }

  /**
   * A count of things that take at least `bytesEach` bytes each, refused before anyone allocates by it.
   */
  count(bytesEach: number): number {
    const start = this.offset;
    const count = this.varint();
    if (count * bytesEach > this.remaining) {
      this.fail(`Cannot hold ${count} entries in ${this.remaining} bytes`, start);
    }
    return count;
  }

  /** A view of the next `length` bytes: copy it to keep it. */
  view(length: number): Uint8Array {
    this.need(length);
    const view = this.bytes.subarray(this.offset, this.offset + length);
    this.offset += length;
    return view;
  }

  /** Varint length and that many bytes, as a view: copy it to keep it. */
  prefixed(lengthMax: number = Number.MAX_SAFE_INTEGER): Uint8Array {
    const start = this.offset;
    const length = this.varint();
    if (length > lengthMax) this.fail(`Cannot accept ${length} bytes: the limit is ${lengthMax}`, start);
    return this.view(length);
  }

  /** Strict UTF-8 behind a varint length. */
  text(bytesMax: number = Number.MAX_SAFE_INTEGER): string {
    const start = this.offset;
    const length = this.varint();
    if (length > bytesMax) this.fail(`Cannot accept ${length} bytes: the limit is ${bytesMax}`, start);
    this.need(length);
    const from = this.offset;
    const to = from + length;
    this.offset = to;
    if (length <= ASCII_LOOP_MAX) {
      let out = "";
      let at = from;
      for (; at + 4 <= to; at += 4) {
        const [a, b] = [this.bytes[at] as number, this.bytes[at + 1] as number];
        const [c, d] = [this.bytes[at + 2] as number, this.bytes[at + 3] as number];
        if ((a | b | c | d) >= 0x80) break;
        out += String.fromCharCode(a, b, c, d);
      }
      for (; at < to; at++) {
        const byte = this.bytes[at] as number;
        if (byte >= 0x80) break;
        out += String.fromCharCode(byte);
      }
      if (at === to) return out;
    }
    try {
      return utf8.decode(this.bytes.subarray(from, to));
    } catch {
      return this.fail("Cannot read text that is not UTF-8", from);
    }
  }
}

/** Bytes a varint takes: 1 to 8. */
export function varintBytes(value: number): number {
  guardSafe(value, "varint");
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length += 1;
  return length;
}

function wordAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  return (low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)) >>> 0;
}
