import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { compareBytes } from "./compare.ts";
import { compareHlc, type Hlc, readHlc, writeHlc } from "./hlc.ts";
import { decodeValue, type ValueCodec } from "./value-codec.ts";

const VERSION = 1;

/** A write of an {@link LWWRegister}: what replicas exchange. */
export interface LWWWrite {
  readonly stamp: Hlc;
  /** The value, encoded; not to be written to. */
  readonly bytes: Uint8Array;
}

/**
 * One value; the last write wins.
 *
 * A write takes effect only if it is strictly later by (wall, counter, clock id). Two writes with equal stamps, which
 * a sound clock never makes, fall to the byte order of the encoded values: replicas cannot disagree for ever.
 *
 * @example
 * ```ts
 * const here = new LWWRegister(textCodec);
 * const there = new LWWRegister(textCodec);
 * here.set("blue", { wallMs: 5, counter: 0, clockId: 1 });
 * there.set("green", { wallMs: 5, counter: 0, clockId: 2 });
 * here.merge(there);
 * there.merge(here);
 * assert.equal(here.value, "green");
 * assert.deepEqual(here.encode(), there.encode());
 * ```
 */
export class LWWRegister<T> {
  readonly #codec: ValueCodec<T>;
  #write: LWWWrite | undefined;

  constructor(codec: ValueCodec<T>) {
    this.#codec = codec;
  }

  /** The value, decoded at each call; `undefined` while nothing is written. @throws {@link CoreError} `DECODE_FAILED`. */
  get value(): T | undefined {
    return this.#write === undefined ? undefined : decodeValue(this.#codec, this.#write.bytes);
  }

  /** The stamp of the value. */
  get stamp(): Hlc | undefined {
    return this.#write?.stamp;
  }

  /** The write in force: hand it to {@link LWWRegister.apply} of another replica. */
  get write(): LWWWrite | undefined {
    return this.#write;
  }

  /** Writes a value; returns whether it took effect. */
  set(value: T, stamp: Hlc): boolean {
    return this.apply({ stamp, bytes: this.#codec.encode(value) });
  }

  /** Takes in a write of another replica and keeps it; returns whether it took effect. */
  apply(write: LWWWrite): boolean {
    if (this.#write !== undefined && compareWrites(write, this.#write) <= 0) return false;
    this.#write = write;
    return true;
  }

  /** Takes in what the other register holds; returns whether it took effect. */
  merge(other: LWWRegister<T>): boolean {
    return other.#write !== undefined && this.apply(other.#write);
  }

  /**
   * Canonical bytes: equal states, equal bytes.
   *
   * | offset | type    | field   | notes                                      |
   * | -----: | :------ | :------ | :----------------------------------------- |
   * |      0 | u8      | version | 1                                          |
   * |      1 | u8      | written | 0: nothing follows; 1                      |
   * |      2 | 10      | stamp   | {@link writeHlc}                           |
   * |     12 | `bytes` | value   | varint length, then as the codec made them |
   */
  encode(): Uint8Array {
    const writer = new ByteWriter(32);
    writer.u8(VERSION);
    writer.u8(this.#write === undefined ? 0 : 1);
    if (this.#write !== undefined) {
      writeHlc(writer, this.#write.stamp);
      writer.prefixed(this.#write.bytes);
    }
    return writer.take();
  }

  /**
   * The exact inverse of {@link LWWRegister.encode}. The value is not looked into: whoever reads it finds out.
   *
   * @throws {@link CoreError} `DECODE_FAILED`.
   */
  static decode<T>(bytes: Uint8Array, codec: ValueCodec<T>): LWWRegister<T> {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== VERSION) reader.fail("Cannot read this version of a register", 0);
    const register = new LWWRegister(codec);
    const written = reader.u8();
    if (written > 1) reader.fail("Cannot read a flag that is neither 0 nor 1", 1);
    if (written === 1) register.#write = { stamp: readHlc(reader), bytes: reader.prefixed().slice() };
    reader.finish();
    return register;
  }
}

function compareWrites(a: LWWWrite, b: LWWWrite): number {
  return compareHlc(a.stamp, b.stamp) || compareBytes(a.bytes, b.bytes);
}
