import { readFileSync } from "node:fs";
import { ByteWriter, CoreError, nobleHasher } from "@tidemark/core";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  checkSignal,
  EffectIdSet,
  readSignalRecord,
  SignalEffects,
  type SignalRecord,
  writeSignalRecord,
} from "../src/index.ts";
import { hex, NOW, unhex } from "./samples.ts";

const encode = (record: SignalRecord, driftMsMax = Infinity): Uint8Array => {
  const writer = new ByteWriter();
  writeSignalRecord(writer, record, driftMsMax);
  return writer.take();
};
const name = fc.string({ minLength: 1, maxLength: 128, unit: fc.constantFrom("a", "0", "-", "\0") });
const anyRecord: fc.Arbitrary<SignalRecord> = fc
  .record({
    stamp: fc.record({
      wallMs: fc.nat(2 ** 31).map((ms) => NOW + ms),
      counter: fc.nat(0xffff),
      clockId: fc.nat(0xffff),
    }),
    entity: name,
    signal: name,
    weight: fc.oneof(
      fc.double({ min: -(2 ** 40), max: 2 ** 40, noNaN: true, minExcluded: true, maxExcluded: true }),
      fc.constantFrom(0, 1, -1, 0.25),
    ),
    eventTimeMs: fc.oneof(fc.nat(2 ** 48 - 1), fc.constant(NOW)),
    effectId: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }), { nil: undefined }),
    propensity: fc.option(fc.double({ min: 0, max: 1, minExcluded: true, noNaN: true }), { nil: undefined }),
  })
  .map(({ effectId, propensity, ...rest }) => ({
    ...rest,
    weight: rest.weight + 0,
    ...(effectId === undefined ? {} : { effectId }),
    ...(propensity === undefined ? {} : { propensity }),
  }));

test("SIG-2 CORE-13 any record is read as it was written", () => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      expect(readSignalRecord(encode(record))).toEqual(record);
    }),
    { numRuns: 1_000 },
  );
});

test("SIG-2 the bytes of a record", () => {
  const record = {
    stamp: { wallMs: NOW, counter: 2, clockId: 1 },
    ...{ entity: "item-42", signal: "save", weight: 1.25, eventTimeMs: NOW - 123 },
  };
  expect(hex(encode(record))).toBe(
    ["01", "00", "01a0c4506c00", "0002", "0001", "076974656d2d3432", "0473617665", "f501", "3ff4"].join(""),
  );
  expect(hex(encode({ ...record, weight: -0, propensity: 0.5 }))).toBe(
    [
      "01",
      "02",
      "01a0c4506c00",
      "0002",
      "0001",
      "076974656d2d3432",
      "0473617665",
      "f501",
      "000000000000e03f",
    ].join(""),
  );
});

test("SIG-2 the golden records are read and written back", () => {
  const lines = readFileSync(new URL("golden/records-v1.hex", import.meta.url), "utf8")
    .trim()
    .split("\n");
  expect(lines.length).toBe(3);
  for (const line of lines) expect(hex(encode(readSignalRecord(unhex(line))))).toBe(line);
  expect(readSignalRecord(unhex(lines[2]!))).toMatchObject({
    entity: "äpfel",
    weight: -3,
    propensity: 0.125,
  });
});

test("CORE-13 damaged bytes of a record are read canonically or throw DECODE_FAILED", () => {
  const attempt = (bytes: Uint8Array): void => {
    try {
      expect(hex(encode(readSignalRecord(bytes)))).toBe(hex(bytes));
    } catch (error) {
      expect(error).toBeInstanceOf(CoreError);
      expect((error as CoreError).code).toBe("DECODE_FAILED");
    }
  };
  fc.assert(
    fc.property(anyRecord, fc.nat(), fc.nat(7), (record, at, bit) => {
      const bytes = encode(record);
      attempt(bytes.subarray(0, at % bytes.length));
      bytes[at % bytes.length]! ^= 1 << bit;
      attempt(bytes);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => attempt(bytes)));
});

test("SIG-2 an event later than its stamp and the drift is a typed error with both numbers", () => {
  const record = {
    stamp: { wallMs: NOW, counter: 0, clockId: 1 },
    ...{ entity: "a", signal: "save", weight: 1, eventTimeMs: NOW + 501 },
  };
  expect(() => encode(record, 500)).toThrow(
    expect.objectContaining({ code: "HLC_DRIFT_EXCEEDED", aheadMs: 501, driftMsMax: 500 }),
  );
  // What was accepted elsewhere is read, whatever its time.
  expect(readSignalRecord(encode(record)).eventTimeMs).toBe(NOW + 501);
  for (const wrong of [{ propensity: 0 }, { propensity: 1.01 }, { propensity: NaN }, { signal: "" }]) {
    expect(() => checkSignal({ ...record, ...wrong })).toThrow(
      expect.objectContaining({ code: "SIGNAL_INVALID" }),
    );
  }
});

test("SIG-2 SES-5 the id of an operation is of the cluster, the name and the request", () => {
  const effects = new SignalEffects(nobleHasher, new Uint8Array(8));
  const content = { entity: "a", signal: "save", weight: 1, eventTimeMs: NOW };
  const id = hex(effects.idOf("op", content));
  expect(hex(effects.idOf("op", { ...content }))).toBe(id);
  const others = [{ entity: "b" }, { signal: "b" }, { weight: 2 }, { eventTimeMs: 1 }, { propensity: 0.5 }];
  for (const other of others) {
    const changed = hex(effects.idOf("op", { ...content, ...other }));
    expect(changed.slice(0, 16)).toBe(id.slice(0, 16));
    expect(changed.slice(16)).not.toBe(id.slice(16));
  }
  expect(hex(effects.idOf("po", content)).slice(0, 16)).not.toBe(id.slice(0, 16));
  const elsewhere = new SignalEffects(nobleHasher, new Uint8Array(8).fill(1));
  expect(hex(elsewhere.idOf("op", content)).slice(0, 16)).not.toBe(id.slice(0, 16));
});

test("SIG-2 EffectIdSet is a set with a second look at the tag", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(3)), { maxLength: 200 }), (list) => {
      const ids = new EffectIdSet();
      const known = new Map<number, Set<number>>();
      for (const [tag, digest] of list) {
        const id = new Uint8Array(16);
        id.set([tag], 0);
        id.set([digest], 8);
        const digests = known.get(tag) ?? new Set();
        const want = digests.has(digest) ? "known" : digests.size > 0 ? "conflict" : undefined;
        expect(ids.find(id)).toBe(want);
        expect(ids.add(id)).toBe(want);
        known.set(tag, digests.add(digest));
      }
      const want = [...known].flatMap(([tag, digests]) => [...digests].map((digest) => tag * 256 + digest));
      expect(ids.sorted().map((id) => id[0]! * 256 + id[8]!)).toEqual(want.sort((a, b) => a - b));
      expect(ids.size).toBe(want.length);
    }),
  );
  const many = new EffectIdSet();
  const id = new Uint8Array(16);
  const view = new DataView(id.buffer);
  for (let at = 0; at < 50_000; at++) {
    view.setUint32(0, Math.imul(at, 2_654_435_761), true);
    view.setUint32(12, at, true);
    expect(many.add(id)).toBe(undefined);
  }
  expect(many.byteLength / many.size).toBeLessThan(36);
});
