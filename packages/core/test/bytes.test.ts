import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter, CoreError, TidemarkError, varintBytes } from "../src/index.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const written = (write: (writer: ByteWriter) => void) => {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.take();
};
const failure = (run: () => unknown): CoreError => {
  try {
    run();
  } catch (error) {
    if (error instanceof CoreError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

test("CORE-13 the bytes of every primitive", () => {
  const bytes = written((writer) => {
    writer.u8(0x01);
    writer.u16(0x0203);
    writer.u16be(0x0203);
    writer.u32(0x0405_0607);
    writer.u48be(0x0102_0304_0506);
    writer.u64(2 ** 53 - 1);
    writer.f64(1.5);
    writer.varint(300);
    writer.text("é");
    writer.prefixed(Uint8Array.of(9));
  });
  expect(hex(bytes)).toBe("010302020307060504010203040506ffffffffffff1f00000000000000f83fac0202c3a90109");
  const reader = new ByteReader(bytes);
  expect([
    reader.u8(),
    reader.u16(),
    reader.u16be(),
    reader.u32(),
    reader.u48be(),
    reader.u64(),
    reader.f64(),
  ]).toEqual([1, 0x203, 0x203, 0x4050607, 0x10203040506, 2 ** 53 - 1, 1.5]);
  expect([reader.varint(), reader.text(), reader.prefixed()]).toEqual([300, "é", Uint8Array.of(9)]);
  reader.finish();
});

test("CORE-13 varints round-trip, in the bytes varintBytes() says", () => {
  const edges = [0, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 35, 2 ** 49 - 1, 2 ** 49, 2 ** 53 - 1];
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeNat(), fc.nat(70_000), fc.constantFrom(...edges)), (value) => {
      const bytes = written((writer) => writer.varint(value));
      expect(bytes.length).toBe(varintBytes(value));
      const reader = new ByteReader(bytes);
      expect(reader.varint()).toBe(value);
      reader.finish();
    }),
  );
  for (const wrong of [-1, 1.5, 2 ** 53, Number.NaN]) {
    expect(() => written((writer) => writer.varint(wrong))).toThrow(RangeError);
    expect(() => written((writer) => writer.u64(wrong))).toThrow(RangeError);
  }
});

test("CORE-13 a varint is canonical: no zero tail, nothing above 2^53-1, at most 8 bytes", () => {
  for (const wrong of [
    "8000",
    "ff00",
    "80808000",
    "ffffffffffffff10",
    "ffffffffffffff7f",
    "808080808080808001",
    "80",
    "",
  ]) {
    const error = failure(() => new ByteReader(Buffer.from(wrong, "hex")).varint());
    expect([error.code, error.retryable], wrong).toEqual(["DECODE_FAILED", false]);
  }
  expect(new ByteReader(Buffer.from("ffffffffffffff0f", "hex")).varint()).toBe(2 ** 53 - 1);
});

test("CORE-3 a u64 above 2^53-1 is refused", () => {
  const wrong = Uint8Array.of(0, 0, 0, 0, 0, 0, 0x20, 0);
  expect(failure(() => new ByteReader(wrong).u64()).offset).toBe(0);
});

test("CORE-13 text is strict UTF-8, and a byte order mark is kept", () => {
  for (const wrong of ["80", "c3", "c0af", "e08080", "eda080", "f4908080", "ff", "e282", "61c328"]) {
    const bytes = written((writer) => writer.prefixed(Buffer.from(wrong, "hex")));
    expect(failure(() => new ByteReader(bytes).text()).code, wrong).toBe("DECODE_FAILED");
  }
  const marked = written((writer) => writer.text("\ufeffa"));
  expect(new ByteReader(marked).text()).toBe("\ufeffa");
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 90 }), (text) => {
      const bytes = written((writer) => writer.text(text));
      expect(new ByteReader(bytes).text()).toBe(text);
    }),
  );
});

test("CORE-13 a length or count is bounded by the bytes that remain, before it is used", () => {
  const giant = written((writer) => writer.varint(2 ** 53 - 1));
  for (const read of [
    (reader: ByteReader) => reader.count(1),
    (reader: ByteReader) => reader.text(),
    (reader: ByteReader) => reader.prefixed(),
  ]) {
    expect(failure(() => read(new ByteReader(giant))).code).toBe("DECODE_FAILED");
  }
  const three = Uint8Array.of(3, 0, 0, 0);
  expect(new ByteReader(three).count(1)).toBe(3);
  expect(failure(() => new ByteReader(three).count(2)).offset).toBe(0);
  expect(failure(() => new ByteReader(three).text(2)).message).toBe("Cannot accept 3 bytes: the limit is 2");
});

test("CORE-13 a reader stays between its offset and its end", () => {
  const all = Uint8Array.of(9, 0xff, 1, 9).subarray(1);
  const reader = new ByteReader(all, 1, 2);
  expect(reader.u8()).toBe(1);
  expect(failure(() => reader.u8()).offset).toBe(2);
  expect(failure(() => new ByteReader(all, 2, 2).varint()).offset).toBe(2);
  expect(failure(() => new ByteReader(all).finish()).message).toBe("Cannot accept 3 trailing bytes");
});

test("CORE-13 scenario 38: any bytes are read or refused with a CoreError and an offset within them", () => {
  const steps: ((reader: ByteReader) => unknown)[] = [
    (reader) => reader.u8(),
    (reader) => reader.u16(),
    (reader) => reader.u32(),
    (reader) => reader.u64(),
    (reader) => reader.u48be(),
    (reader) => reader.f64(),
    (reader) => reader.varint(),
    (reader) => reader.text(),
    (reader) => reader.prefixed(),
    (reader) => reader.count(3),
  ];
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.nat(steps.length - 1), { maxLength: 12 }),
      (bytes, plan) => {
        const reader = new ByteReader(bytes);
        try {
          for (const step of plan) steps[step]!(reader);
          reader.finish();
        } catch (error) {
          if (!(error instanceof CoreError)) throw error;
          expect(error.code).toBe("DECODE_FAILED");
          expect(error.offset).toBeGreaterThanOrEqual(0);
          expect(error.offset).toBeLessThanOrEqual(bytes.length);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("CORE-13 a writer grows, is reused, and take() is a copy", () => {
  const writer = new ByteWriter(0);
  writer.raw(new Uint8Array(1_000).fill(7));
  const taken = writer.take();
  writer.reset().u8(1);
  expect([taken[0], taken.length, hex(writer.view())]).toEqual([7, 1_000, "01"]);
});

test("CORE-10a a CoreError is a TidemarkError with code, retryable, cause and its numbers", () => {
  const cause = new Error("underneath");
  const error = new CoreError("HLC_DRIFT_EXCEEDED", "Cannot", { cause, aheadMs: 900, driftMsMax: 500 });
  expect(error).toBeInstanceOf(TidemarkError);
  expect([
    error.name,
    error.code,
    error.retryable,
    error.cause,
    error.aheadMs,
    error.driftMsMax,
    error.offset,
  ]).toEqual(["CoreError", "HLC_DRIFT_EXCEEDED", false, cause, 900, 500, undefined]);
  expect("cause" in new CoreError("DECODE_FAILED", "Cannot")).toBe(false);
});
