import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { guardText } from "./compare.ts";
import { CoreError } from "./errors.ts";
import { guardSafe } from "./safe-integer.ts";

/**
 * How a value becomes bytes and comes back. Replicas exchange and compare the bytes, so a codec need not give equal
 * values equal bytes for them to agree.
 */
export interface ValueCodec<T> {
  encode(value: T): Uint8Array;
  /** Given a view that is only valid during the call. May throw anything; the caller sees `DECODE_FAILED`. */
  decode(bytes: Uint8Array): T;
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text as UTF-8. A string with a lone surrogate is a `TypeError`. */
export const textCodec: ValueCodec<string> = {
  encode: (value) => utf8.encode(guardText(value, "value")),
  decode: (bytes) => strictUtf8.decode(bytes),
};

/** Bytes as they are, copied both ways. */
export const bytesCodec: ValueCodec<Uint8Array> = {
  encode: (value) => value.slice(),
  decode: (bytes) => bytes.slice(),
};

/** Integers below 2^52 in magnitude: a varint of the zigzag form (twice the magnitude, less one if negative). */
export const integerCodec: ValueCodec<number> = {
  encode(value) {
    const writer = new ByteWriter(8);
    writer.varint(guardSafe(value < 0 ? -2 * value - 1 : 2 * value, "zigzag integer"));
    return writer.take();
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const zigzag = reader.varint();
    reader.finish();
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  },
};

/** Decodes and turns whatever the codec throws into a {@link CoreError} `DECODE_FAILED`. */
export function decodeValue<T>(codec: ValueCodec<T>, bytes: Uint8Array): T {
  try {
    return codec.decode(bytes);
  } catch (cause) {
    const offset = cause instanceof CoreError ? (cause.offset ?? 0) : 0;
    throw new CoreError("DECODE_FAILED", "Cannot read the value with the codec given", { offset, cause });
  }
}
