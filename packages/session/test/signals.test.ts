import { readFileSync } from "node:fs";
import { nobleHasher, type SignalDecay } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeOp, type Op, OP_KIND_CODE, SessionFold, type SignalRules } from "../src/index.ts";
import { CLUSTER_ID, hex, LOGS, opBytes } from "./history.ts";
import { started, TestRegion } from "./region.ts";

const DAY = 86_400_000;
const NOW = 1_790_000_000_000;
const rules = (decays: Readonly<Record<string, SignalDecay>>, name = 1): SignalRules => ({
  digest: new Uint8Array(32).fill(name),
  decayOf: (signal) => (Object.hasOwn(decays, signal) ? decays[signal] : undefined),
});
const RULES = rules({ save: { halfLifeMs: DAY }, skip: { linearMs: DAY }, bought: { permanent: true } });

class Ledger {
  readonly added: string[] = [];
  add(entity: string, signal: string, weight: number, eventTimeMs: number): void {
    this.added.push([entity, signal, weight, eventTimeMs].join(" "));
  }
}
const header = {
  session: "s",
  lane: { region: 1, epoch: 7 },
  seqno: 1,
  stamp: { wallMs: NOW, counter: 0, clockId: 1 },
  userKey: 0,
};
const signalOp = (seqno: number, more: Partial<Op> = {}): Uint8Array =>
  opBytes({
    ...header,
    seqno,
    kind: "signal",
    clear: { entity: "e", signal: "save", weight: seqno, eventTimeMs: NOW },
    sealed: {},
    ...more,
  } as Op);
const foldOf = (ledger: Ledger, schema?: SignalRules): SessionFold =>
  new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID, ledger, schema });

test("SIG-3 a session's signal reaches the ledger once, whatever logs and lanes bring it, in any order", () => {
  const operation = { tag: new Uint8Array(8).fill(1), digest: new Uint8Array(8).fill(2) };
  const retried = [
    signalOp(1, { operation }),
    signalOp(1, { operation, lane: { region: 2, epoch: 7 }, stamp: { ...header.stamp, clockId: 2 } }),
  ];
  // The retry asks for the same thing: the same weight.
  const bytes = [...retried, signalOp(2), signalOp(3)];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(LOGS.length - 1)), { maxLength: 30 }),
      (deliveries) => {
        const ledger = new Ledger();
        const fold = foldOf(ledger);
        const all = [...deliveries, ...bytes.map((_, at) => [at, 0] as const)];
        for (const [lsn, [op, log]] of all.entries()) fold.apply(bytes[op]!, LOGS[log]!, lsn + 1);
        expect(ledger.added.sort()).toEqual([`e save 1 ${NOW}`, `e save 2 ${NOW}`, `e save 3 ${NOW}`]);
      },
    ),
    { numRuns: 200 },
  );
});

test("SIG-3 SES-17 what a fork carries was added when it was signalled, and is not added again", () => {
  const ledger = new Ledger();
  const region = new TestRegion(1, NOW, { ledger, schema: RULES });
  started([region]);
  const signal = { kind: "signal", entity: "e", signal: "bought", weight: 2, eventTimeMs: NOW } as const;
  region.write("s", signal);
  const fork = region.write("t", { kind: "fork", parent: "s", agent: "b" });
  expect(fork.type).toBe("accepted");
  expect(region.fold.session("t")!.signals.get("e")!.get("bought")!.weight).toBe(2);
  region.write("t", signal);
  expect(region.fold.session("t")!.signals.get("e")!.get("bought")!.weight).toBe(4);
  expect(ledger.added.length).toBe(2);
});

test("SIG-3 SES-18 a signal whose sealed part nobody can read yet still counts", () => {
  const ledger = new Ledger();
  const fold = foldOf(ledger);
  const sealed = signalOp(1, { sealed: { annotation: "x".repeat(15) } });
  // A generation of a key: the part behind it is now a pseudonym.
  sealed[decodeOp(sealed).stampAt + 10] = 3;
  fold.apply(sealed, LOGS[0]!, 1);
  fold.apply(sealed, LOGS[1]!, 1);
  expect(ledger.added).toEqual([`e save 1 ${NOW}`]);
  const damaged = signalOp(2);
  damaged[damaged.length - 1] = 0;
  fold.apply(damaged, LOGS[0]!, 2);
  expect(ledger.added.length).toBe(1);
});

test("SIG-3 SES-16 a signal of a session that was purged counts once, whichever came first", () => {
  const purge = opBytes({ ...header, lane: { region: 2, epoch: 7 }, kind: "purge", clear: {}, sealed: {} });
  const ops = [signalOp(1), signalOp(2), purge, signalOp(3)];
  for (const order of [ops, ops.toReversed()]) {
    const ledger = new Ledger();
    const fold = foldOf(ledger);
    for (const log of LOGS) for (const [at, bytes] of order.entries()) fold.apply(bytes, log, at + 1);
    expect(ledger.added.sort()).toEqual([1, 2, 3].map((weight) => `e save ${weight} ${NOW}`));
  }
});

test("SIG-1 SES-7 a session's own signals decay as the schema says, others as without one", () => {
  const fold = foldOf(new Ledger(), RULES);
  const bare = foldOf(new Ledger());
  for (const [at, signal] of ["save", "skip", "bought", "toString"].entries()) {
    const clear = { entity: "e", signal, weight: 1, eventTimeMs: NOW };
    for (const each of [fold, bare])
      each.apply(signalOp(at + 1, { kind: "signal", clear }), LOGS[0]!, at + 1);
  }
  const scores = (each: SessionFold): number[] =>
    ["save", "skip", "bought", "toString"].map((signal) =>
      each
        .session("s")!
        .signals.get("e")!
        .get(signal)!
        .score(NOW + DAY / 2),
    );
  const week = 2 ** (-1 / 14);
  const want = [Math.SQRT1_2, 0.5, 1, week];
  for (const [at, score] of scores(fold).entries()) expect(Math.abs(score - want[at]!)).toBeLessThan(0.01);
  for (const score of scores(bare)) expect(score).toBeCloseTo(week, 9);
  expect(hex(fold.digest())).not.toBe(hex(bare.digest()));
  // State under one schema is not taken for state under another.
  expect(() => bare.restore(fold.snapshot())).toThrow(expect.objectContaining({ code: "DECODE_FAILED" }));
  const again = foldOf(new Ledger(), RULES);
  again.restore(fold.snapshot());
  expect(hex(again.digest())).toBe(hex(fold.digest()));
});

test("SIG-1 the digest of a state says under which schema it was folded", () => {
  const digests = [undefined, RULES, rules({}, 2)].map((schema) =>
    hex(foldOf(new Ledger(), schema).digest()),
  );
  expect(new Set(digests).size).toBe(3);
});

test("SIG-1 SIG-2 a name that the schema lacks is refused at ingest, and folds when it was accepted elsewhere", () => {
  const ledger = new Ledger();
  const region = new TestRegion(1, NOW, { schema: RULES, ledger });
  const bare = new TestRegion(2, NOW);
  started([region, bare]);
  const like = { kind: "signal", entity: "e", signal: "like", weight: 1, eventTimeMs: NOW } as const;
  expect(region.write("s", like)).toMatchObject({ type: "refused", code: "SIGNAL_UNKNOWN" });
  expect(region.write("s", { ...like, signal: "save" }).type).toBe("accepted");
  expect(bare.write("s", like).type).toBe("accepted");
  region.receive(bare);
  expect(region.fold.session("s")!.signals.get("e")!.get("like")!.count).toBe(1);
  // The ledger is told, and knows itself what its schema names.
  expect(ledger.added).toEqual([`e save 1 ${NOW}`, `e like 1 ${NOW}`]);
  const sealed = opBytes({
    ...header,
    lane: { producer: "00112233445566778899aabbccddeeff", epoch: 1 },
    kind: "signal",
    clear: { entity: "e", signal: "like", weight: 1, eventTimeMs: NOW },
    sealed: {},
  });
  expect(region.admission.submitSealed(sealed)).toMatchObject({ type: "refused", code: "SIGNAL_UNKNOWN" });
});

test("SIG-1 a start carries the digest of the schema, and every snapshot keeps it", () => {
  const region = new TestRegion(1, NOW, { schema: RULES });
  started([region]);
  region.write("child", { kind: "start", user: "ann", agent: "b", parent: "s" });
  const starts = region.records
    .map((bytes) => decodeOp(bytes))
    .filter(({ kindCode }) => kindCode === OP_KIND_CODE.start);
  expect(starts.map(({ clear }) => clear)).toEqual([
    { policy: "", policyVersion: 0, schema: RULES.digest },
    { policy: "", policyVersion: 0, parent: "s", schema: RULES.digest },
  ]);
  const restored = foldOf(new Ledger(), RULES);
  restored.restore(region.fold.snapshot());
  expect(hex(restored.digest())).toBe(hex(region.fold.digest()));
  expect(hex(restored.snapshot())).toBe(hex(region.fold.snapshot()));
});

test("SIG-4 SES-3 CORE-13 the golden operations: a start under a schema, a signal of an explored item", () => {
  const golden = JSON.parse(
    readFileSync(new URL("golden/op-signals-v1.json", import.meta.url), "utf8"),
  ) as Record<string, string>;
  const schema = Uint8Array.from({ length: 32 }, (_, at) => at);
  const start = { ...header, kind: "start", sealed: { user: "ann", agent: "a", metadata: {} } } as const;
  const signal = {
    ...header,
    kind: "signal",
    clear: { entity: "e", signal: "save", weight: 1, eventTimeMs: NOW },
  } as const;
  const ops: Record<string, Op> = {
    start: { ...start, clear: { policy: "", policyVersion: 0, schema } },
    "start with a parent": { ...start, clear: { policy: "", policyVersion: 0, parent: "p", schema } },
    signal: { ...signal, sealed: { propensity: 0.125 } },
    "signal with an annotation": { ...signal, sealed: { annotation: "new", propensity: 1 } },
  };
  expect(Object.keys(golden)).toEqual(Object.keys(ops));
  for (const [name, op] of Object.entries(ops)) {
    expect([name, hex(opBytes(op))]).toEqual([name, golden[name]]);
    const { clear, sealed } = decodeOp(Uint8Array.from(Buffer.from(golden[name]!, "hex")));
    if (op.kind === "start") expect(clear).toEqual(op.clear);
    else expect(sealed).toEqual(op.sealed);
  }
  const explored = decodeOp(opBytes(ops["signal"]!));
  const wrong = explored.bytes.slice();
  wrong.fill(0xff, -2);
  expect(() => decodeOp(wrong).verify()).toThrow(expect.objectContaining({ code: "DECODE_FAILED" }));
  const region = new TestRegion(1, NOW);
  started([region]);
  const request = { kind: "signal", entity: "e", signal: "save", weight: 1, eventTimeMs: NOW } as const;
  for (const propensity of [0, -1, 1.1, NaN]) {
    expect(() => region.admission.admit("s", { ...request, propensity })).toThrow(
      expect.objectContaining({ code: "INVALID_INPUT" }),
    );
  }
  // It is part of what was asked for: another one is another request.
  region.write("s", { ...request, propensity: 0.5 }, "once");
  expect(region.write("s", { ...request, propensity: 0.5 }, "once").type).toBe("duplicate");
  expect(region.write("s", request, "once")).toMatchObject({ code: "OPERATION_CONFLICT" });
});
