import { readFileSync } from "node:fs";
import { CoreError } from "@tidemark/core";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { defineSignals, type SignalDefinition, SignalError, SignalSchema } from "../src/index.ts";
import { DAY, hex, HOUR, ledgerOf, SCHEMA, unhex } from "./samples.ts";

const save = { name: "save", halfLifeMs: DAY, windows: ["24h"] } as const;

test.each<[string, string, readonly unknown[]]>([
  ["a name twice", "duplicate", [save, { name: "save", permanent: true }]],
  ["a half-life of nothing", "decay", [{ ...save, halfLifeMs: 0 }]],
  ["a negative half-life", "decay", [{ ...save, halfLifeMs: -1 }]],
  ["a half-life that is no integer", "decay", [{ ...save, halfLifeMs: 0.5 }]],
  ["a half-life that is no number", "decay", [{ ...save, halfLifeMs: NaN }]],
  ["a half-life of more than 34 years", "decay", [{ ...save, halfLifeMs: 2 ** 40 }]],
  ["a line of nothing", "decay", [{ name: "skip", linearMs: 0, windows: ["1h"] }]],
  ["two decays", "decay", [{ ...save, permanent: true }]],
  ["no decay", "decay", [{ name: "save", windows: ["1h"] }]],
  ["permanent that is not", "decay", [{ name: "save", permanent: false, windows: ["1h"] }]],
  ["no windows", "windows", [{ name: "save", halfLifeMs: DAY }]],
  ["an empty list of windows", "windows", [{ ...save, windows: [] }]],
  ["a window twice", "windows", [{ ...save, windows: ["1h", "1h"] }]],
  ["an unknown window", "windows", [{ ...save, windows: ["2h"] }]],
  ["velocity without windows", "velocity", [{ name: "bought", permanent: true, velocity: true }]],
  ["velocity over all time", "velocity", [{ ...save, windows: ["all"], velocity: true }]],
  ["an empty name", "name", [{ ...save, name: "" }]],
  ["a long name", "name", [{ ...save, name: "ä".repeat(65) }]],
  ["a lone surrogate", "name", [{ ...save, name: "\ud800" }]],
  [
    "too many",
    "count",
    Array.from({ length: 1_025 }, (_, at) => ({ name: `signal ${at}`, permanent: true })),
  ],
])("SIG-1 a schema with %s is refused", (_, problem, definitions) => {
  const make = (): unknown => new SignalSchema(definitions as SignalDefinition[]);
  expect(make).toThrow(SignalError);
  expect(make).toThrow(expect.objectContaining({ code: "SCHEMA_INVALID", problem }));
});

test("SIG-1 the digest is of the content: the order of definitions and of windows does not count", () => {
  const one = defineSignals([save, { name: "bought", permanent: true }]);
  const other = defineSignals([
    { permanent: true, name: "bought", windows: [] },
    { ...save, velocity: false },
  ]);
  expect(hex(one.digest)).toBe(hex(other.digest));
  const [wide, wider] = [["1h", "7d"] as const, ["7d", "1h"] as const];
  expect(hex(defineSignals([{ ...save, windows: wide }]).digest)).toBe(
    hex(defineSignals([{ ...save, windows: wider }]).digest),
  );
  const different: SignalDefinition[] = [
    { ...save, name: "saved" },
    { ...save, halfLifeMs: DAY + 1 },
    { ...save, windows: ["1h"] },
    { ...save, windows: ["24h", "all"] },
    { ...save, velocity: true },
    { name: "save", linearMs: DAY, windows: ["24h"] },
    { name: "save", permanent: true, windows: ["24h"] },
  ];
  const digests = [save, ...different].map((definition) => hex(new SignalSchema([definition]).digest));
  expect(new Set(digests).size).toBe(digests.length);
});

test("SIG-1 CORE-13 the golden schema is written and read back", () => {
  const golden = readFileSync(new URL("golden/schema-v1.hex", import.meta.url), "utf8")
    .trim()
    .split("\n");
  expect(hex(SCHEMA.encode())).toBe(golden[0]);
  expect(hex(SCHEMA.digest)).toBe(golden[1]);
  expect(hex(SignalSchema.decode(unhex(golden[0]!)).digest)).toBe(golden[1]);
});

test("CORE-13 damaged bytes of a schema decode to the same bytes or throw DECODE_FAILED", () => {
  const valid = SCHEMA.encode();
  const attempt = (bytes: Uint8Array): void => {
    try {
      expect(hex(SignalSchema.decode(bytes).encode())).toBe(hex(bytes));
    } catch (error) {
      expect(error).toBeInstanceOf(CoreError);
      expect((error as CoreError).code).toBe("DECODE_FAILED");
    }
  };
  for (let end = 0; end < valid.length; end++) attempt(valid.subarray(0, end));
  for (let bit = 0; bit < valid.length * 8; bit++) {
    const damaged = valid.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    attempt(damaged);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => attempt(bytes)));
});

test("SIG-1 SES-7a names of signals are checked by the compiler, and again when the program runs", () => {
  const ledger = ledgerOf([]);
  // @ts-expect-error: the schema has no such signal.
  expect(() => ledger.score("book", "saev", 0)).toThrow(expect.objectContaining({ code: "SIGNAL_UNKNOWN" }));
  // @ts-expect-error: nor this one.
  const wrong = { entity: "book", signal: "toString", weight: 1, eventTimeMs: 0 } satisfies Parameters<
    typeof ledger.record
  >[0];
  expect(() => ledger.record(wrong as never)).toThrow(expect.objectContaining({ code: "SIGNAL_UNKNOWN" }));
  expect(ledger.score("book", "save", 0)).toBe(0);
  // A schema read from bytes names any.
  const any = SignalSchema.decode(SCHEMA.encode());
  expect(any.has("save")).toBe(true);
  expect(any.has("__proto__")).toBe(false);
  expect(new SignalSchema([{ name: "x", linearMs: HOUR, windows: ["1h"] }]).kinds).toEqual([
    { name: "x", decay: { linearMs: HOUR }, windows: ["1h"], allTime: false, velocity: false },
  ]);
});
