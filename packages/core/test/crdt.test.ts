import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bytesCodec,
  compareBytes,
  compareHlc,
  compareUtf8,
  CoreError,
  type Hlc,
  integerCodec,
  LWW_KEY_BYTES_MAX,
  LwwMap,
  type LwwMapWrite,
  LWWRegister,
  PNCounter,
  textCodec,
} from "../src/index.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const golden = (name: string) => readFileSync(new URL(`golden/${name}`, import.meta.url), "utf8").trim();
const max = Number.MAX_SAFE_INTEGER;

/** Few wall times, counters and clocks, so that ties of every depth happen. */
const stamp: fc.Arbitrary<Hlc> = fc.record({
  wallMs: fc.constantFrom(0, 5, 6, 2 ** 48 - 1),
  counter: fc.constantFrom(0, 1, 0xffff),
  clockId: fc.constantFrom(0, 1, 0xffff),
});
const shortBytes = fc.uint8Array({ maxLength: 3 });
const stampOf = (wallMs: number): Hlc => ({ wallMs, counter: 0, clockId: 1 });

interface Lattice<S> {
  copy: (state: S) => S;
  merge: (into: S, from: S) => boolean;
  encode: (state: S) => Uint8Array;
}

/** Scenario 35: the laws, on bytes. */
function holdsTheLaws<S>(name: string, states: fc.Arbitrary<S>, { copy, merge, encode }: Lattice<S>): void {
  const joined = (a: S, b: S) => {
    const into = copy(a);
    merge(into, b);
    return into;
  };
  test(`scenario 35: merge of ${name} is commutative, associative, idempotent and monotone, bytes compared`, () => {
    fc.assert(
      fc.property(states, states, states, (a, b, c) => {
        const ab = joined(a, b);
        expect(hex(encode(ab))).toBe(hex(encode(joined(b, a))));
        expect(hex(encode(joined(ab, c)))).toBe(hex(encode(joined(a, joined(b, c)))));
        const before = hex(encode(ab));
        // What a state has taken in is below it: merging it again changes nothing and says so.
        for (const part of [a, b, copy(ab), ab]) expect(merge(ab, part)).toBe(false);
        expect(hex(encode(ab))).toBe(before);
        const ac = copy(a);
        expect(merge(ac, c)).toBe(hex(encode(ac)) !== hex(encode(a)));
        expect(hex(encode(copy(a)))).toBe(hex(encode(a)));
      }),
      { numRuns: 200 },
    );
  });
}

/** Any bytes are a state or a CoreError with an offset; what is accepted is canonical. */
function survivesBytes(
  name: string,
  real: fc.Arbitrary<Uint8Array>,
  roundTrip: (bytes: Uint8Array) => Uint8Array,
): void {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Uint8Array.of(1, ...bytes)),
    fc.tuple(real, fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
      const changed = bytes.slice();
      changed[at % bytes.length] = value;
      return changed;
    }),
    fc.tuple(real, fc.nat()).map(([bytes, cut]) => bytes.slice(0, cut % bytes.length)),
    real.map((bytes) => Uint8Array.of(...bytes, 0)),
  );
  test(`CORE-13 scenario 38: ${name} decodes any bytes to the state they are canonical for, or refuses them`, () => {
    fc.assert(
      fc.property(hostile, (bytes) => {
        try {
          expect(hex(roundTrip(bytes))).toBe(hex(bytes));
        } catch (error) {
          if (!(error instanceof CoreError)) throw error;
          expect(error.code).toBe("DECODE_FAILED");
          expect(error.offset).toBeGreaterThanOrEqual(0);
          expect(error.offset).toBeLessThanOrEqual(bytes.length);
        }
      }),
      { numRuns: 1_000 },
    );
  });
}

describe("PNCounter", () => {
  const steps = fc.array(
    fc.record({ replica: fc.constantFrom(0, 1, 300), by: fc.integer({ min: -9, max: 9 }) }),
    {
      maxLength: 8,
    },
  );
  const run = (counter: PNCounter, plan: { replica: number; by: number }[]) => {
    for (const { replica, by } of plan) {
      if (by >= 0) counter.increment(replica, by);
      else counter.decrement(replica, -by);
    }
    return counter;
  };
  const states = steps.map((plan) => run(new PNCounter(), plan));

  holdsTheLaws("PNCounter", states, {
    copy: (state) => PNCounter.decode(state.encode()),
    merge: (into, from) => into.merge(from),
    encode: (state) => state.encode(),
  });
  survivesBytes(
    "PNCounter",
    states.map((state) => state.encode()),
    (bytes) => PNCounter.decode(bytes).encode(),
  );

  test("CORE-9 replicas that got the operations in any order, some twice, agree with plain addition", () => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.nat()), (plan, choices) => {
        const source = new PNCounter();
        const operations = plan.map((step) =>
          step.by >= 0 ? source.increment(step.replica, step.by) : source.decrement(step.replica, -step.by),
        );
        const order = [...operations, ...operations.slice(0, 3)]
          .map((operation) => ({ operation, rank: choices.next().value as number }))
          .sort((a, b) => a.rank - b.rank);
        const replica = new PNCounter();
        for (const { operation } of order) replica.apply(operation);
        expect(replica.value).toBe(plan.reduce((sum, { by }) => sum + by, 0));
        expect(hex(replica.encode())).toBe(hex(source.encode()));
      }),
    );
  });

  test("CORE-9 past 2^53-1 is COUNTER_OVERFLOW, and nothing has changed", () => {
    const counter = new PNCounter();
    counter.increment(1, max);
    expect(() => counter.increment(1)).toThrow(expect.objectContaining({ code: "COUNTER_OVERFLOW" }));
    expect(counter.value).toBe(max);
    counter.increment(2, max);
    expect(() => counter.value).toThrow(expect.objectContaining({ code: "COUNTER_OVERFLOW" }));
    // The partial sums are past what a double holds; the value is not.
    counter.decrement(3, max);
    counter.decrement(4, max - 1);
    expect(counter.value).toBe(1);
    for (const wrong of [-1, 0.5, 2 ** 53]) expect(() => counter.increment(1, wrong)).toThrow(RangeError);
  });

  test("CORE-9 golden bytes, version 1", () => {
    const counter = run(new PNCounter(), [
      { replica: 300, by: -2 },
      { replica: 1, by: 5 },
      { replica: 2, by: 0 },
    ]);
    expect(hex(counter.encode())).toBe(golden("pn-counter-v1.hex"));
    expect(PNCounter.decode(Buffer.from(golden("pn-counter-v1.hex"), "hex")).value).toBe(3);
  });
});

describe("LWWRegister", () => {
  const writes = fc.array(fc.record({ stamp, bytes: shortBytes }), { maxLength: 4 });
  const states = writes.map((all) => {
    const register = new LWWRegister(bytesCodec);
    for (const write of all) register.apply(write);
    return register;
  });

  holdsTheLaws("LWWRegister", states, {
    copy: (state) => LWWRegister.decode(state.encode(), bytesCodec),
    merge: (into, from) => into.merge(from),
    encode: (state) => state.encode(),
  });
  survivesBytes(
    "LWWRegister",
    states.map((state) => state.encode()),
    (bytes) => LWWRegister.decode(bytes, bytesCodec).encode(),
  );

  test("CORE-10 the strictly latest write wins, equal stamps fall to byte order, in any order of arrival", () => {
    fc.assert(
      fc.property(writes, (all) => {
        const register = new LWWRegister(bytesCodec);
        for (const write of all) register.apply(write);
        const winner = [...all]
          .sort((a, b) => compareHlc(a.stamp, b.stamp) || compareBytes(a.bytes, b.bytes))
          .at(-1);
        expect([register.value, register.stamp]).toEqual([winner?.bytes, winner?.stamp]);
      }),
    );
  });

  test("CORE-10 an equal stamp with another value falls to byte order in both replicas", () => {
    const tie = { wallMs: 5, counter: 0, clockId: 1 };
    const [here, there] = [new LWWRegister(textCodec), new LWWRegister(textCodec)];
    here.set("b", tie);
    there.set("a", tie);
    expect([here.merge(there), there.merge(here)]).toEqual([false, true]);
    expect([here.value, there.value]).toEqual(["b", "b"]);
  });

  test("CORE-10 a value its codec cannot read is found by the reader, as DECODE_FAILED with the cause", () => {
    const register = new LWWRegister(textCodec);
    register.apply({ stamp: { wallMs: 1, counter: 0, clockId: 1 }, bytes: Uint8Array.of(0xff) });
    expect(() => register.value).toThrow(expect.objectContaining({ code: "DECODE_FAILED", offset: 0 }));
    expect(() => register.set("\ud800", { wallMs: 2, counter: 0, clockId: 1 })).toThrow(TypeError);
  });

  test("CORE-10 golden bytes, version 1", () => {
    const register = new LWWRegister(textCodec);
    expect(hex(register.encode())).toBe("0100");
    register.set("é", { wallMs: 1_790_000_000_123, counter: 2, clockId: 7 });
    expect(hex(register.encode())).toBe(golden("lww-register-v1.hex"));
    expect(LWWRegister.decode(register.encode(), textCodec).value).toBe("é");
  });

  test("CORE-10 codecs round-trip", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }), (value) => {
        expect(integerCodec.decode(integerCodec.encode(value))).toBe(value);
      }),
    );
    expect(() => integerCodec.encode(2 ** 52)).toThrow(RangeError);
    const source = Uint8Array.of(1);
    const copy = bytesCodec.encode(source);
    source[0] = 2;
    expect(copy).toEqual(Uint8Array.of(1));
  });
});

describe("LwwMap", () => {
  const key = fc.oneof(
    fc.constantFrom(
      "",
      "a",
      "ab",
      "abc",
      "é",
      "è",
      "\u{1f600}",
      "\uff5e",
      "__proto__",
      "x".repeat(14),
      `${"x".repeat(14)}y`,
      "x".repeat(40),
    ),
    fc.string({ unit: "binary", maxLength: 20 }),
  );
  const write: fc.Arbitrary<LwwMapWrite> = fc.oneof(
    fc.record({ key, stamp, value: shortBytes }),
    fc.record({ key, stamp }),
  );
  const writes = fc.array(write, { maxLength: 12 });
  const fill = (all: readonly LwwMapWrite[], seed = 0) => {
    const map = new LwwMap({ seed });
    for (const { key, value, stamp } of all) {
      if (value === undefined) map.delete(key, stamp);
      else map.set(key, value, stamp);
    }
    return map;
  };
  const states = fc.tuple(writes, fc.nat()).map(([all, seed]) => fill(all, seed));
  // So few keys and stamps that two states often hold two values of one key under one stamp.
  const tie = { key: fc.constantFrom("a", "b"), stamp: fc.constantFrom(stampOf(5), stampOf(6)) };
  const ties = fc.array(fc.oneof(fc.record({ ...tie, value: shortBytes }), fc.record(tie)), { maxLength: 4 });

  holdsTheLaws(
    "LwwMap",
    fc.oneof(
      states,
      fc.tuple(ties, fc.nat()).map(([all, seed]) => fill(all, seed)),
    ),
    {
      copy: (state) => LwwMap.decode(state.encode()),
      merge: (into, from) => into.merge(from),
      encode: (state) => state.encode(),
    },
  );
  survivesBytes(
    "LwwMap",
    states.map((state) => state.encode()),
    (bytes) => LwwMap.decode(bytes).encode(),
  );

  test("CORE-10 a map is a register per key: it agrees with a naive one, whatever the order and the split", () => {
    fc.assert(
      fc.property(writes, fc.nat(4), (all, split) => {
        const naive = new Map<string, LwwMapWrite>();
        const rank = ({ value }: LwwMapWrite) => (value === undefined ? 0 : 1);
        for (const one of all) {
          const known = naive.get(one.key);
          const order =
            known === undefined
              ? 1
              : compareHlc(one.stamp, known.stamp) ||
                rank(one) - rank(known) ||
                compareBytes(one.value ?? new Uint8Array(), known.value ?? new Uint8Array());
          if (order > 0) naive.set(one.key, one);
        }
        const map = fill(all);
        const other = new LwwMap({ seed: 99 });
        for (const part of [all.slice(split), all.slice(0, split), all]) other.apply(map.encodeUpdate(part));
        const live = [...naive.values()].filter(({ value }) => value !== undefined);
        expect(map.size).toBe(live.length);
        for (const { key, value, stamp } of naive.values()) {
          expect([map.get(key), map.has(key), map.stampOf(key)]).toEqual([value, value !== undefined, stamp]);
        }
        const sorted = live.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
        expect([...map.entries()]).toEqual(sorted.map(({ key, value }) => [key, value]));
        expect(hex(other.encode())).toBe(hex(map.encode()));
      }),
      { numRuns: 300 },
    );
  });

  test("CORE-10 thousands of keys, rewritten with shorter and longer values, stay what they are", () => {
    const map = new LwwMap();
    for (let round = 0; round < 4; round++) {
      for (let index = 0; index < 2_000; index++) {
        const value = new Uint8Array((index * 7 + round * 13) % 90).fill(round);
        map.set(`key-${index}`, value, { wallMs: round, counter: 0, clockId: 1 });
      }
    }
    for (let index = 0; index < 2_000; index++) {
      expect(map.get(`key-${index}`)).toEqual(new Uint8Array((index * 7 + 39) % 90).fill(3));
    }
    expect(map.size).toBe(2_000);
    expect(hex(LwwMap.decode(map.encode()).encode())).toBe(hex(map.encode()));
  });

  test("CORE-13 a malformed update changes nothing, however much of it is sound", () => {
    const update = fill([
      { key: "a", value: Uint8Array.of(1), stamp: { wallMs: 1, counter: 0, clockId: 1 } },
      { key: "b", value: Uint8Array.of(2), stamp: { wallMs: 1, counter: 0, clockId: 1 } },
    ]).encode();
    const map = new LwwMap();
    expect(() => map.apply(update.slice(0, -1))).toThrow(CoreError);
    expect(hex(map.encode())).toBe("0100");
    expect([map.apply(update), map.apply(update)]).toEqual([2, 0]);
  });

  test("CORE-13 a key has at most 255 bytes of UTF-8, and no lone surrogate", () => {
    const map = new LwwMap();
    const at = { wallMs: 1, counter: 0, clockId: 1 };
    map.set("é".repeat(127) + "x", Uint8Array.of(1), at);
    expect([...map.entries()][0]![0].length).toBe(128);
    expect(() => map.set("x".repeat(LWW_KEY_BYTES_MAX + 1), Uint8Array.of(1), at)).toThrow(RangeError);
    expect(() => map.set("é".repeat(128), Uint8Array.of(1), at)).toThrow(RangeError);
    expect(() => map.set("\ud800", Uint8Array.of(1), at)).toThrow(TypeError);
  });

  test("CORE-10 golden bytes, version 1", () => {
    const map = fill([
      {
        key: "color",
        value: Uint8Array.of(1, 2),
        stamp: { wallMs: 1_790_000_000_123, counter: 2, clockId: 7 },
      },
      { key: "colour", stamp: { wallMs: 1_790_000_000_125, counter: 0, clockId: 9 } },
      {
        key: "a key of more than fifteen bytes",
        value: new Uint8Array(),
        stamp: { wallMs: 1_790_000_000_123, counter: 300, clockId: 7 },
      },
    ]);
    expect(hex(map.encode())).toBe(golden("lww-map-v1.hex"));
    expect(LwwMap.decode(Buffer.from(golden("lww-map-v1.hex"), "hex")).get("color")).toEqual(
      Uint8Array.of(1, 2),
    );
  });
});

test("CORE-13 compareUtf8() is the order of the encoded bytes", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 6 }),
      fc.string({ unit: "binary", maxLength: 6 }),
      (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      },
    ),
    {
      examples: [
        ["\u{1f600}", "\uff5e"],
        ["a\ud7ff", "a\u{10000}"],
      ],
    },
  );
});
