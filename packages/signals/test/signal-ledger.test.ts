import { readFileSync } from "node:fs";
import { ByteWriter, CoreError, nobleHasher } from "@tidemark/core";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  defineSignals,
  type SignalDefinition,
  SignalSchema,
  LedgerReader,
  SignalEffects,
  SignalError,
  SignalLedger,
  writeSignalRecord,
  type SignalRecord,
} from "../src/index.ts";
import {
  type Contribution,
  DAY,
  DEFINITIONS,
  hex,
  HOUR,
  ledgerOf,
  NAMES,
  NOW,
  SCHEMA,
  unhex,
} from "./samples.ts";

const contribution: fc.Arbitrary<Contribution> = fc.record({
  entity: fc.constantFrom("a", "b", "ä", "\u{1f600}", "\uff5e", "__proto__"),
  signal: fc.constantFrom(...NAMES),
  weight: fc.oneof(fc.double({ min: -10, max: 10, noNaN: true }), fc.constantFrom(0, -0, 2 ** 39)),
  eventTimeMs: fc.oneof(
    fc.integer({ min: NOW - 10 * DAY, max: NOW }),
    fc.integer({ min: NOW - 3_650 * DAY, max: NOW }),
  ),
});
const bodyOf = (record: SignalRecord): Uint8Array => {
  const writer = new ByteWriter();
  writeSignalRecord(writer, record, 500);
  return writer.take();
};

/** Everything remembered, everything computed when it is asked for. */
class Naive {
  readonly all: Contribution[] = [];

  score(entity: string, signal: string, now: number): number {
    const decay: Record<string, (ageMs: number, timeMs: number) => number> = {
      save: (ageMs) => 2 ** (-ageMs / (7 * DAY)),
      view: (ageMs) => 2 ** (-ageMs / HOUR),
      bought: () => 1,
      skip: (_, timeMs) => {
        const step = DAY / 128;
        return Math.max(0, 1 - Math.max(0, now - Math.floor(timeMs / step) * step) / DAY);
      },
    };
    return this.#of(entity, signal).reduce(
      (sum, { weight, eventTimeMs }) => sum + weight * decay[signal]!(now - eventTimeMs, eventTimeMs),
      0,
    );
  }

  count(entity: string, signal: string, bucketMs: number, buckets: number, now: number): number {
    const last = Math.floor(now / bucketMs);
    return this.#of(entity, signal).filter(({ eventTimeMs }) => {
      const bucket = Math.floor(eventTimeMs / bucketMs);
      return bucket <= last && bucket > last - buckets;
    }).length;
  }

  #of(entity: string, signal: string): Contribution[] {
    return this.all.filter((one) => one.entity === entity && one.signal === signal);
  }
}

test("SIG-2 the ledger agrees with brute force to 6 decimals", () => {
  fc.assert(
    fc.property(fc.array(contribution, { maxLength: 60 }), fc.nat(3 * DAY), (list, later) => {
      const ledger = ledgerOf(list);
      const naive = new Naive();
      naive.all.push(...list);
      const now = NOW + later;
      for (const entity of new Set(list.map((one) => one.entity))) {
        for (const signal of NAMES) {
          const [got, want] = [ledger.score(entity, signal, now), naive.score(entity, signal, now)];
          expect(Math.abs(got - want) <= 5e-7 * Math.max(1, Math.abs(want) / 2 ** 20)).toBe(true);
        }
        const hours = naive.count(entity, "save", HOUR, 24, now);
        expect(ledger.window(entity, "save", "24h", now).count).toBe(hours);
        const week = naive.count(entity, "save", HOUR, 168, now);
        expect(ledger.window(entity, "save", "7d", now).count).toBe(week);
        expect(ledger.window(entity, "view", "1h", now).count).toBe(
          naive.count(entity, "view", 60_000, 60, now),
        );
        expect(ledger.velocity(entity, "save", now)).toEqual({
          perHour: hours / 24,
          trend: week === 0 ? 0 : hours / 24 / (week / 168),
        });
      }
    }),
    { numRuns: 300 },
  );
});

test("SIG-2 scenario 37: three ledgers fed in different orders over ten years: identical bytes, no NaN", () => {
  fc.assert(
    fc.property(fc.array(contribution, { maxLength: 60 }), fc.nat(60), (list, cut) => {
      const orders = [list, list.toReversed(), [...list.slice(cut), ...list.slice(0, cut)]];
      const ledgers = orders.map(ledgerOf);
      expect(new Set(ledgers.map((ledger) => hex(ledger.snapshot()))).size).toBe(1);
      expect(new Set(ledgers.map((ledger) => hex(ledger.digest()))).size).toBe(1);
      for (const now of [0, NOW - 3_650 * DAY, NOW, NOW + 3_650 * DAY]) {
        for (const signal of NAMES) {
          const ranked = ledgers.map((ledger) => ledger.rank(["a", "b", "ä"], signal, now));
          expect(ranked[1]).toEqual(ranked[0]);
          expect(ranked[2]).toEqual(ranked[0]);
          expect(ranked[0]!.every(({ score }) => Number.isFinite(score))).toBe(true);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test("SIG-2 rank() sorts by score, then by the bytes of the name, and knows what nobody named", () => {
  const ledger = ledgerOf([
    { entity: "low", signal: "save", weight: 1, eventTimeMs: NOW },
    { entity: "bad", signal: "save", weight: -1, eventTimeMs: NOW },
    { entity: "high", signal: "save", weight: 2, eventTimeMs: NOW - 1 },
  ]);
  const ranked = ledger.rank(["bad", "\u{1f600}", "low", "\uff5e", "high"], "save", NOW);
  expect(ranked.map(({ entity }) => entity)).toEqual(["high", "low", "\uff5e", "\u{1f600}", "bad"]);
  expect(ranked[2]!.score).toBe(0);
});

test("SIG-2 unknown signals, windows and velocities, and numbers out of range are typed errors that fold nothing", () => {
  const ledger = ledgerOf([]);
  const good = { entity: "a", signal: "save", weight: 1, eventTimeMs: NOW } as const;
  for (const weight of [NaN, Infinity, 2 ** 40, -(2 ** 40)]) {
    expect(() => ledger.record({ ...good, weight })).toThrow(
      expect.objectContaining({ code: "INVALID_WEIGHT" }),
    );
  }
  for (const wrong of [
    { eventTimeMs: -1 },
    { eventTimeMs: 0.5 },
    { entity: "" },
    { entity: "x".repeat(129) },
  ]) {
    expect(() => ledger.record({ ...good, ...wrong })).toThrow(
      expect.objectContaining({ code: "SIGNAL_INVALID" }),
    );
  }
  const unknown = expect.objectContaining({ code: "SIGNAL_UNKNOWN", signal: "like" });
  expect(() => ledger.record({ ...good, signal: "like" as "save" })).toThrow(unknown);
  expect(() => ledger.rank([], "like" as "save", NOW)).toThrow(unknown);
  expect(() => ledger.window("a", "save", "1h", NOW)).toThrow(
    expect.objectContaining({ code: "WINDOW_UNKNOWN" }),
  );
  expect(() => ledger.velocity("a", "skip", NOW)).toThrow(
    expect.objectContaining({ code: "WINDOW_UNKNOWN" }),
  );
  expect(() => ledger.score("a", "save", -1)).not.toThrow();
  expect(ledger.stats()).toMatchObject({ entities: 0, folded: 0, unfolded: 0 });
  expect(ledger.window("a", "bought", "all", NOW)).toEqual({ count: 0, weight: 0 });
});

test("SIG-2 a record that names an operation counts once, in any order; one name for two requests counts both", () => {
  const effects = new SignalEffects(nobleHasher, new Uint8Array(8));
  const content = { entity: "a", signal: "save", weight: 1, eventTimeMs: NOW };
  const stamp = { wallMs: NOW, counter: 0, clockId: 1 };
  const once = { ...content, stamp, effectId: effects.idOf("op-1", content) };
  const again = { ...once, stamp: { ...stamp, clockId: 2 } };
  const other = { ...content, weight: 2 };
  const conflict = { ...other, stamp, effectId: effects.idOf("op-1", other) };
  const ledger = ledgerOf([]);
  expect(ledger.known(once.effectId)).toBe(undefined);
  expect([once, again, conflict, once].map((record) => ledger.apply(bodyOf(record)))).toEqual([
    "applied",
    "duplicate",
    "applied",
    "duplicate",
  ]);
  expect(ledger.known(once.effectId)).toBe("known");
  expect(ledger.known(effects.idOf("op-1", { ...content, weight: 3 }))).toBe("conflict");
  expect(ledger.window("a", "save", "all", NOW)).toEqual({ count: 2, weight: 3 });
  expect(ledger.stats()).toMatchObject({ duplicates: 2, conflicts: 1 });
  const reversed = ledgerOf([]);
  for (const record of [conflict, again, once]) reversed.apply(bodyOf(record));
  expect(hex(reversed.digest())).toBe(hex(ledger.digest()));
  expect(ledger.apply(Uint8Array.of(1, 2, 3))).toBe("malformed");
});

test("SIG-1 a ledger without the schema counts what it leaves, and folds nothing", () => {
  const bare = new SignalLedger({ hasher: nobleHasher });
  const other = new SignalLedger({
    hasher: nobleHasher,
    schema: defineSignals([{ name: "view", permanent: true }]),
  });
  const record = { entity: "a", signal: "save", weight: 1, eventTimeMs: NOW };
  for (const ledger of [bare, other]) {
    expect(ledger.add("a", "save", 1, NOW)).toBe(false);
    expect(ledger.apply(bodyOf({ ...record, stamp: { wallMs: NOW, counter: 0, clockId: 1 } }))).toBe(
      "unfolded",
    );
    expect(ledger.stats()).toMatchObject({ entities: 0, folded: 0, unfolded: 2 });
  }
  expect(hex(bare.digest())).not.toBe(hex(ledgerOf([]).digest()));
});

test("SIG-2 snapshot and restore go on as if nothing had happened; another byte is refused or canonical", () => {
  fc.assert(
    fc.property(
      fc.array(contribution, { maxLength: 20 }),
      fc.array(contribution, { maxLength: 20 }),
      (first, second) => {
        const restored = ledgerOf([]);
        restored.restore(ledgerOf(first).snapshot());
        for (const one of second) restored.record(one);
        const whole = ledgerOf([...first, ...second]);
        expect(hex(restored.snapshot())).toBe(hex(whole.snapshot()));
        expect(hex(restored.digest())).toBe(hex(whole.digest()));
      },
    ),
    { numRuns: 100 },
  );
  const ledger = ledgerOf([
    { entity: "a", signal: "save", weight: 1, eventTimeMs: NOW },
    { entity: "b", signal: "skip", weight: 1, eventTimeMs: NOW },
  ]);
  ledger.applyRecord({
    ...{ entity: "a", signal: "view", weight: 1, eventTimeMs: NOW },
    stamp: { wallMs: NOW, counter: 0, clockId: 1 },
    effectId: new Uint8Array(16).fill(7),
  });
  const valid = ledger.snapshot();
  const attempt = (bytes: Uint8Array): void => {
    const target = ledgerOf([]);
    try {
      target.restore(bytes);
      // Under another schema it is the same ledger here, if it can be taken at all.
      const canonical = bytes.slice();
      canonical.set(SCHEMA.digest, 3);
      expect(hex(target.snapshot())).toBe(hex(canonical));
    } catch (error) {
      expect(error instanceof CoreError || error instanceof SignalError).toBe(true);
      expect(target.stats().entities).toBe(0);
    }
  };
  for (let end = 0; end < valid.length; end++) attempt(valid.subarray(0, end));
  for (let bit = 0; bit < valid.length * 8; bit++) {
    const damaged = valid.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    attempt(damaged);
  }
});

test("SIG-2 the digest is of slots of entities: equal but for one entity, equal but for one slot", () => {
  const list = Array.from({ length: 40 }, (_, at): Contribution => {
    return { entity: `item-${at}`, signal: "save", weight: at, eventTimeMs: NOW };
  });
  const [one, other] = [ledgerOf(list), ledgerOf(list)];
  expect(hex(one.digest())).toBe(hex(other.digest()));
  other.record({ entity: "item-7", signal: "skip", weight: 1, eventTimeMs: NOW });
  const differing = Array.from({ length: 4_096 }, (_, slot) => slot).filter(
    (slot) => hex(one.slotDigest(slot)) !== hex(other.slotDigest(slot)),
  );
  expect(differing.length).toBe(1);
  expect(hex(one.digest())).not.toBe(hex(other.digest()));
});

test("SIG-2 an entity is bounded whatever the time span", () => {
  const ledger = ledgerOf([]);
  for (let at = 0; at < 20_000; at++) {
    for (const signal of NAMES)
      ledger.record({ entity: "a", signal, weight: 1 / 3, eventTimeMs: at * 1_800_000 });
  }
  expect(ledger.snapshot().length).toBeLessThan(24_000);
});

test("SIG-3 several ledgers read as their sum", () => {
  const list = Array.from({ length: 300 }, (_, at): Contribution => {
    return {
      entity: `item-${at % 5}`,
      signal: NAMES[at % 4]!,
      weight: (at % 7) / 2,
      eventTimeMs: NOW - at * 60_000,
    };
  });
  const whole = ledgerOf(list);
  const parts = [0, 1, 2].map((part) => ledgerOf(list.filter((_, at) => at % 3 === part)));
  const sum = new LedgerReader(SCHEMA, parts);
  for (const entity of ["item-0", "item-3", "nothing"]) {
    for (const signal of NAMES) {
      expect(sum.score(entity, signal, NOW)).toBeCloseTo(whole.score(entity, signal, NOW), 9);
      expect(sum.window(entity, signal, "all", NOW)).toEqual(whole.window(entity, signal, "all", NOW));
    }
    expect(sum.velocity(entity, "view", NOW)).toEqual(whole.velocity(entity, "view", NOW));
  }
  expect(sum.rank(["item-1", "item-0"], "save", NOW).map(({ entity }) => entity)).toEqual(
    whole.rank(["item-1", "item-0"], "save", NOW).map(({ entity }) => entity),
  );
});

test("SIG-1 a snapshot under another schema is taken where folding under this one gives the same, and only there", () => {
  const decays: SignalDefinition[] = [
    { name: "save", halfLifeMs: 7 * DAY, windows: ["24h"] },
    { name: "save", halfLifeMs: DAY, windows: ["24h"] },
    { name: "save", linearMs: DAY, windows: ["1h"] },
    { name: "view", permanent: true },
    { name: "view", permanent: true, windows: ["1h"] },
    { name: "bought", permanent: true },
  ];
  const anySchema = fc
    .subarray(decays)
    .map((list) => list.filter(({ name }, at) => list.findIndex((one) => one.name === name) === at))
    .map((list) => (list.length === 0 ? undefined : new SignalSchema(list)));
  let taken = 0;
  fc.assert(
    fc.property(anySchema, anySchema, fc.array(contribution, { maxLength: 8 }), (before, after, list) => {
      const [old, fresh, restored] = [before, after, after].map(
        (schema) => new SignalLedger({ hasher: nobleHasher, schema }),
      );
      for (const { entity, signal, weight, eventTimeMs } of list) {
        old!.add(entity, signal, weight, eventTimeMs);
        fresh!.add(entity, signal, weight, eventTimeMs);
      }
      try {
        restored!.restore(old!.snapshot());
      } catch (error) {
        expect(error).toMatchObject({ code: "SCHEMA_DIFFERS" });
        expect(restored!.stats()).toMatchObject({ entities: 0, folded: 0, unfolded: 0 });
        return;
      }
      taken += 1;
      expect(hex(restored!.snapshot())).toBe(hex(fresh!.snapshot()));
      expect(hex(restored!.digest())).toBe(hex(fresh!.digest()));
    }),
    { numRuns: 2_000 },
  );
  expect(taken).toBeGreaterThan(200);
  // What is added to a schema changes nothing that was folded.
  const definitions: readonly SignalDefinition[] = [...DEFINITIONS, { name: "like", permanent: true }];
  const grown = new SignalLedger({ hasher: nobleHasher, schema: new SignalSchema(definitions) });
  const ledger = ledgerOf([{ entity: "a", signal: "save", weight: 1, eventTimeMs: NOW }]);
  grown.restore(ledger.snapshot());
  expect(grown.window("a", "save", "24h", NOW)).toEqual({ count: 1, weight: 1 });
  // But for what was left under its name.
  ledger.add("a", "like", 1, NOW);
  expect(() => grown.restore(ledger.snapshot())).toThrow(expect.objectContaining({ code: "SCHEMA_DIFFERS" }));
  // What was left without a name may have been anything.
  const bare = new SignalLedger({ hasher: nobleHasher });
  grown.restore(bare.snapshot());
  bare.leave();
  expect(() => grown.restore(bare.snapshot())).toThrow(expect.objectContaining({ code: "SCHEMA_DIFFERS" }));
});

test("SIG-2 names of signals that are left are counted within a bound", () => {
  const ledger = ledgerOf([]);
  for (let at = 0; at < 3_000; at++) ledger.add("a", `signal ${at % 1_500}`, 1, NOW);
  expect(ledger.stats().unfolded).toBe(3_000);
  const restored = ledgerOf([]);
  restored.restore(ledger.snapshot());
  expect(hex(restored.snapshot())).toBe(hex(ledger.snapshot()));
  expect(ledger.snapshot().length).toBeLessThan(16_000);
});

test("SIG-2 the golden ledgers are restored, the newest written back", () => {
  const read = (name: string): string[] =>
    readFileSync(new URL(`golden/${name}.hex`, import.meta.url), "utf8")
      .trim()
      .split("\n");
  const [first, newest] = [read("ledger-v1"), read("ledger-v2")];
  const ledger = goldenLedger();
  expect(hex(ledger.snapshot())).toBe(newest[0]);
  expect(hex(ledger.digest())).toBe(newest[1]);
  expect(newest[1]).toBe(first[1]);
  for (const [bytes, digest] of [first, newest]) {
    const restored = ledgerOf([]);
    restored.restore(unhex(bytes!));
    expect(hex(restored.digest())).toBe(digest);
    expect(restored.stats()).toEqual(ledger.stats());
  }
});

function goldenLedger(): SignalLedger<(typeof NAMES)[number]> {
  const ledger = ledgerOf([
    { entity: "metropolis", signal: "save", weight: 1, eventTimeMs: NOW },
    { entity: "metropolis", signal: "skip", weight: -0.1, eventTimeMs: NOW - HOUR },
    { entity: "stalker", signal: "bought", weight: 2 ** 39, eventTimeMs: NOW - 100 * DAY },
  ]);
  ledger.applyRecord({
    ...{ entity: "stalker", signal: "view", weight: 1 / 3, eventTimeMs: NOW },
    stamp: { wallMs: NOW, counter: 0, clockId: 1 },
    effectId: Uint8Array.from({ length: 16 }, (_, at) => at),
  });
  ledger.add("stalker", "unheard of", 1, NOW);
  return ledger;
}
