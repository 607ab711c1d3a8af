import { guardSafe } from "./safe-integer.ts";

const utf8 = new TextEncoder();
/** Below this many UTF-16 units a loop over ASCII is faster than a call into the encoder. */
const ASCII_LOOP_MAX = 64;

/**
 * Writes bytes into one growing buffer. Little-endian unless the name says otherwise. Reuse one writer
 * with {@link ByteWriter.reset} in a hot path: `view()` is only valid until the next write or reset.
 */
export class ByteWriter {
  /** The buffer under construction; replaced when it grows. */
  bytes: Uint8Array;
  /** Bytes written so far. */
  length: number = 0;
  #view: DataView;

  constructor(capacity: number = 256) {
    this.bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): this {
    this.length = 0;
    return this;
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const wanted = this.length + count;
    if (wanted <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** What was written, without a copy: valid until the next write or reset. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** What was written, as a copy of its own. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.#view.setUint16(this.length, value, true);
    this.length += 2;
  }

  /** Big-endian, for what must sort. */
  u16be(value: number): void {
    this.reserve(2);
    this.#view.setUint16(this.length, value, false);
    this.length += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
  }

  /** Big-endian 48 bits, for what must sort. */
  u48be(value: number): void {
    this.reserve(6);
    this.#view.setUint16(this.length, Math.floor(value / 0x1_0000_0000), false);
    this.#view.setUint32(this.length + 2, value >>> 0, false);
    this.length += 6;
  }

  /** A safe integer as 64 bits. @throws `RangeError` above 2^53-1. */
  u64(value: number): void {
    guardSafe(value, "u64");
    this.reserve(8);
    this.#view.setUint32(this.length, value >>> 0, true);
    this.#view.setUint32(this.length + 4, Math.floor(value / 0x1_0000_0000), true);
    this.length += 8;
  }

  f64(value: number): void {
    this.reserve(8);
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** Unsigned LEB128, canonical. @throws `RangeError` above 2^53-1. */
  varint(value: number): void {
    if (value < 128 && value >= 0) {
      // The common case, kept free of the guard; a fraction is caught by the branch below.
      if (Number.isInteger(value)) {
        this.reserve(1);
        this.bytes[this.length++] = value;
        return;
      }
    }
    guardSafe(value, "varint");
    this.reserve(8);
    let rest = value;
    while (rest >= 0x8000_0000) {
      this.bytes[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 128) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Varint length, then the bytes. */
  prefixed(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** Varint length, then UTF-8. A lone surrogate is the caller's to refuse: it would become U+FFFD. */
  text(value: string): void {
    const units = value.length;
    if (units <= ASCII_LOOP_MAX) {
      this.reserve(units + 1);
      const start = this.length;
      let at = start + 1;
      let unit = 0;
      for (; unit < units; unit++) {
        const code = value.charCodeAt(unit);
        if (code >= 0x80) break;
        this.bytes[at++] = code;
      }
      if (unit === units) {
        this.bytes[start] = units;
        this.length = at;
        return;
      }
    }
    this.prefixed(utf8.encode(value));
  }
}
