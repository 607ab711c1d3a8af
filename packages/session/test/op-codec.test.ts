import { readdirSync, readFileSync } from "node:fs";
import { ByteWriter, CoreError } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeOp,
  encodeOp,
  type Lane,
  NAME_BYTES_MAX,
  type Op,
  OP_BYTES_MAX,
  OP_KIND_CODE,
  opKindOf,
  TEXT_BYTES_MAX,
} from "../src/index.ts";
import { hex, opBytes } from "./history.ts";
import { ERASE_SAMPLES, FORK_SAMPLES, PURGE_SAMPLES, SAMPLES } from "./ops.ts";

/** One file for the kinds of each fold version. */
const GOLDEN: Record<string, string> = {};
const FOLDER = new URL("golden/", import.meta.url);
for (const file of readdirSync(FOLDER).filter((file) => file.startsWith("op-v1")))
  Object.assign(GOLDEN, JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")));

/** Plain data: what an operation reads as. */
function read(bytes: Uint8Array): Op {
  const op = decodeOp(bytes).verify();
  const { session, lane, seqno, stamp, userKey, operation, kind, clear, sealed } = op;
  const parts = { kind, clear: plain(clear), sealed: plain(sealed) };
  return {
    session,
    lane,
    seqno,
    stamp,
    userKey,
    ...(operation === undefined ? {} : { operation }),
    ...parts,
  } as Op;
}

function plain(part: object): object {
  return "metadata" in part ? { ...part, metadata: { ...(part.metadata as object) } } : { ...part };
}

for (const [name, op] of Object.entries({
  ...SAMPLES,
  ...FORK_SAMPLES,
  ...PURGE_SAMPLES,
  ...ERASE_SAMPLES,
})) {
  test(`CORE-13 golden bytes of ${name}`, () => {
    expect(hex(opBytes(op))).toBe(GOLDEN[name]);
    expect(read(Uint8Array.from(Buffer.from(GOLDEN[name]!, "hex")))).toEqual(op);
  });
}

test("every kind has golden bytes, and no number is used twice", () => {
  const codes = Object.values(OP_KIND_CODE);
  expect(new Set(codes).size).toBe(codes.length);
  const kinds = new Set(
    Object.values({ ...SAMPLES, ...FORK_SAMPLES, ...PURGE_SAMPLES, ...ERASE_SAMPLES }).map(
      ({ kind }) => kind,
    ),
  );
  for (const code of codes) if (opKindOf(code) !== undefined) expect(kinds).toContain(opKindOf(code));
});

const name = fc
  .oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
    fc.string({ minLength: 1, maxLength: NAME_BYTES_MAX }),
  )
  .filter((text) => Buffer.byteLength(text) <= NAME_BYTES_MAX && text !== "");
const text = fc.string({ unit: "grapheme", maxLength: 200 });
const lane: fc.Arbitrary<Lane> = fc.oneof(
  fc.record({ region: fc.nat(0xffff), epoch: fc.nat(0xffff_ffff) }),
  fc.record({
    producer: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(hex),
    epoch: fc.nat(0xffff_ffff),
  }),
);
const half = fc.uint8Array({ minLength: 8, maxLength: 8 });
const header = fc.record({
  session: fc.oneof(name, fc.uuid()),
  lane,
  seqno: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
  stamp: fc.record({ wallMs: fc.nat(2 ** 48 - 1), counter: fc.nat(0xffff), clockId: fc.nat(0xffff) }),
  userKey: fc.constant(0),
  operation: fc.option(fc.record({ tag: half, digest: half }), { nil: undefined }),
});
const hideSealed = fc.record({ user: name, item: name });
const dotList = fc
  .uniqueArray(fc.uint8Array({ minLength: 16, maxLength: 16 }), { maxLength: 4, selector: hex })
  .map((all) => all.sort((a, b) => Buffer.compare(a, b)));
const nothing = fc.constant({});
const content = fc.oneof(
  fc.record({
    kind: fc.constant("start"),
    clear: fc.record(
      { policy: fc.oneof(name, fc.constant("")), policyVersion: fc.nat(0xffff_ffff), parent: name },
      { requiredKeys: ["policy", "policyVersion"] },
    ),
    sealed: fc.record({
      user: name,
      agent: name,
      metadata: fc.dictionary(name, text, { maxKeys: 4, noNullPrototype: true }),
    }),
  }),
  fc.record({
    kind: fc.constant("signal"),
    clear: fc.record({
      entity: name,
      signal: name,
      weight: fc
        .oneof(fc.double({ min: -(2 ** 39), max: 2 ** 39, noNaN: true }), fc.integer({ min: -9, max: 9 }))
        .map((weight) => weight + 0),
      eventTimeMs: fc.nat(2 ** 48 - 1),
    }),
    sealed: fc.record({ annotation: text }, { requiredKeys: [] }),
  }),
  fc.record({ kind: fc.constant("prefer"), clear: nothing, sealed: fc.record({ key: name, value: text }) }),
  fc.record({
    kind: fc.constant("annotate"),
    clear: nothing,
    sealed: fc.record({ text, entity: name }, { requiredKeys: ["text"] }),
  }),
  fc.record({ kind: fc.constantFrom("hide", "mute", "block"), clear: nothing, sealed: hideSealed }),
  fc.record({
    kind: fc.constantFrom("unhide", "unmute", "unblock"),
    clear: fc.record({ dots: dotList }),
    sealed: hideSealed,
  }),
  fc.record({ kind: fc.constant("search"), clear: nothing, sealed: fc.record({ query: text }) }),
  fc.record({ kind: fc.constant("close"), clear: fc.record({ reason: fc.nat(255) }), sealed: nothing }),
  fc.record({
    kind: fc.constant("app"),
    clear: fc.record({ namespace: name }),
    sealed: fc.record({ bytes: fc.uint8Array({ maxLength: 300 }) }),
  }),
);
const anyOp: fc.Arbitrary<Op> = fc.tuple(header, content).map(([{ operation, ...rest }, parts]) => ({
  ...rest,
  ...(operation === undefined ? {} : { operation }),
  ...parts,
}));

test("CORE-13 every operation reads as it was written, in the middle of a writer as at its start", () => {
  fc.assert(
    fc.property(anyOp, fc.nat(40), (op, before) => {
      const writer = new ByteWriter(16);
      writer.raw(new Uint8Array(before));
      encodeOp(writer, op);
      expect(read(writer.take().slice(before))).toEqual(op);
    }),
    { numRuns: 500 },
  );
});

test("CORE-13 bytes that decode are the only encoding of what they say; others fail with DECODE_FAILED (scenario 38)", () => {
  fc.assert(
    fc.property(
      anyOp,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (op, changes) => {
        const bytes = opBytes(op);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        expectCanonicalOrRefused(bytes);
      },
    ),
    { numRuns: 1500 },
  );
});

test("CORE-13 any bytes decode or fail with DECODE_FAILED (scenario 38)", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => expectCanonicalOrRefused(bytes)),
    { numRuns: 500 },
  );
});

test("CORE-13 no prefix of an operation, and nothing behind it, is an operation", () => {
  for (const op of Object.values(SAMPLES)) {
    const bytes = opBytes(op);
    for (let end = 0; end < bytes.length; end++)
      expect(() => decodeOp(bytes.slice(0, end)).verify()).toThrow(CoreError);
    expect(() => decodeOp(Uint8Array.from([...bytes, 0])).verify()).toThrow(CoreError);
  }
});

test("CORE-13 giant lengths, wrong versions and unknown flags are refused before anything is read by them (scenario 38)", () => {
  const bytes = opBytes(SAMPLES["close"]!);
  const changed = (at: number, ...values: number[]) => {
    const copy = bytes.slice();
    copy.set(values, at);
    return copy;
  };
  const clearAt = bytes.length - 2;
  expect(() => decodeOp(changed(clearAt, 0x7f))).toThrow("its parts end at");
  expect(() => decodeOp(changed(0, 2))).toThrow("Cannot read version 2");
  expect(() => decodeOp(changed(2, 8))).toThrow("unknown flags");
  expect(() => decodeOp(changed(3, 0xff))).toThrow("session id");
  const giant = Uint8Array.from([
    ...bytes.slice(0, clearAt),
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
    0x0f,
    0,
  ]);
  expect(() => decodeOp(giant)).toThrow(CoreError);
  expect(() => decodeOp(new Uint8Array(OP_BYTES_MAX + 1))).toThrow("the limit is");
});

test("CORE-13 texts above their limits, empty names and lone surrogates do not decode (scenario 38)", () => {
  const annotate = (value: string) =>
    opBytes({ ...SAMPLES["hide"]!, kind: "annotate", clear: {}, sealed: { text: value } });
  decodeOp(annotate("x".repeat(TEXT_BYTES_MAX))).verify();
  expect(() => decodeOp(annotate("x".repeat(TEXT_BYTES_MAX + 1))).verify()).toThrow("the limit is");
  const hide = (user: string, item: string) =>
    opBytes({ ...SAMPLES["hide"]!, kind: "hide", clear: {}, sealed: { user, item } });
  expect(() => decodeOp(hide("", "i")).verify()).toThrow("empty name");
  expect(() => decodeOp(hide("u", "i".repeat(NAME_BYTES_MAX + 1))).verify()).toThrow("the limit is");
  const bad = hide("u", "abc");
  bad.set([0xed, 0xa0, 0x80], bad.length - 3);
  expect(() => decodeOp(bad).verify()).toThrow("not UTF-8");
});

test("REP-13 an operation of an unknown kind opens: only its parts cannot be read", () => {
  const bytes = opBytes(SAMPLES["search, number above 2^32"]!);
  bytes[1] = 99;
  const op = decodeOp(bytes);
  expect(op.kind).toBeUndefined();
  expect(op.session).toBe("s-1");
  expect(() => op.clear).toThrow(TypeError);
});

test("P6 a typical signal takes at most 60 bytes", () => {
  const signal = SAMPLES["signal"] as Extract<Op, { kind: "signal" }>;
  const clear = { ...signal.clear, eventTimeMs: signal.stamp.wallMs - 20 };
  const op = { ...signal, clear, session: "0b7e4c1e-5a0c-4f2e-9a44-6f1f3f9d2a10", seqno: 250 };
  expect(opBytes(op).length).toBeLessThanOrEqual(60);
});

function expectCanonicalOrRefused(bytes: Uint8Array): void {
  let op: Op;
  try {
    const view = decodeOp(bytes);
    if (view.kind === undefined || view.userKey !== 0) return;
    op = read(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(CoreError);
    expect((error as CoreError).code).toBe("DECODE_FAILED");
    return;
  }
  expect(hex(opBytes(op))).toBe(hex(bytes));
}
