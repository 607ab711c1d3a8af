import { HlcClock, nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type ColdStore,
  erasureSession,
  FOLD_VERSION,
  MemoryColdStore,
  type Op,
  type OpRequest,
  SessionAdmission,
  SessionFold,
} from "../src/index.ts";
import { CLUSTER_ID, courseOf, hex, history, LOGS, run, SESSIONS, USERS } from "./history.ts";
import { readSession } from "./naive-fold.ts";
import { TestRegion } from "./region.ts";
import { freshSeals, sealedFold, sealedHistory, sealedOp } from "./sealed-history.ts";

const open = (budgetBytes?: number, store: ColdStore = new MemoryColdStore()): SessionFold =>
  new SessionFold({
    hasher: nobleHasher,
    clusterId: CLUSTER_ID,
    ...(budgetBytes === undefined ? {} : { cold: { store, budgetBytes } }),
  });
const withCourse = history.chain((past) => fc.tuple(fc.constant(past), courseOf(past)));

/** Everything a fold tells. */
function seen(fold: SessionFold): unknown {
  return {
    digest: hex(fold.digest()),
    stats: fold.stats(),
    sessions: SESSIONS.map((session) => [
      fold.sessions.has(session),
      readSession(fold, session),
      fold.lastPositions(session),
      fold.maxStamp(session),
    ]),
    users: USERS.map((user) => [
      fold.user(user).hidden(),
      fold.user(user).withheld(),
      fold.user(user).sessions({ open: true }),
      fold.user(user).sessions({ open: false }),
      fold.unstableOps(user),
      fold.lastUserPositions(user),
    ]),
  };
}

test("RGN-4 a fold that keeps next to nothing in memory tells at every step what one tells that keeps everything", () => {
  fc.assert(
    fc.property(withCourse, fc.nat(2), ([past, course], every) => {
      const [small, large] = [open(0), open()];
      const steps: unknown[] = [];
      run(large, past, course, () => steps.push(seen(large)));
      let step = 0;
      run(small, past, course, () => {
        // Asking reads back what is cold: in some runs it is asked seldom.
        if (step % (every * 3 + 1) === 0) expect(seen(small)).toEqual(steps[step]);
        step += 1;
      });
      expect(hex(small.snapshot())).toBe(hex(large.snapshot()));
      const restored = open(0);
      restored.restore(large.snapshot());
      expect(seen(restored)).toEqual(
        seen(
          (() => {
            const whole = open();
            whole.restore(large.snapshot());
            return whole;
          })(),
        ),
      );
      for (const fold of [small, large, restored])
        run(fold, past, { ...course, frontiers: course.frontiers.map(() => 7) });
      expect(hex(small.snapshot())).toBe(hex(large.snapshot()));
      expect(hex(restored.digest())).toBe(hex(large.digest()));
    }),
    { numRuns: 80 },
  );
});

test("RGN-4 SES-18 a budget keeps nothing from an erasure", () => {
  const course = sealedHistory.chain((past) => fc.tuple(fc.constant(past), courseOf(past)));
  fc.assert(
    fc.property(course, ([past, one]) => {
      const large = sealedFold();
      const cold = { store: new MemoryColdStore(), budgetBytes: 0 };
      const small = new SessionFold({
        hasher: nobleHasher,
        clusterId: CLUSTER_ID,
        seals: freshSeals(),
        cold,
      });
      const steps: string[] = [];
      run(large, past, one, () => steps.push(hex(large.digest())));
      let step = 0;
      run(small, past, one, () => expect(hex(small.digest())).toBe(steps[step++]));
      expect(hex(small.snapshot())).toBe(hex(large.snapshot()));
      for (const session of SESSIONS)
        expect(readSession(small, session)).toEqual(readSession(large, session));
    }),
    { numRuns: 30 },
  );
});

test("RGN-4 SES-18 what was put under a key long ago is gone once its user is erased, whatever the budget", () => {
  const cold = { store: new MemoryColdStore(), budgetBytes: 0 };
  const folds = [
    sealedFold(),
    new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID, seals: freshSeals(), cold }),
  ];
  const pseudonym = freshSeals().pseudonymOf("ann");
  const head = {
    lane: { region: 1, epoch: 7 },
    stamp: { wallMs: 1_790_000_000_000, counter: 1, clockId: 1 },
  };
  const start = { policy: "", policyVersion: 0 };
  const ops = [
    {
      kind: "start",
      clear: start,
      sealed: { user: "ann", agent: "a", metadata: {} },
      userKey: 1,
      session: "s",
    },
    { kind: "annotate", clear: {}, sealed: { text: "a secret" }, userKey: 1, session: "s" },
    {
      kind: "erase",
      clear: { pseudonym, upTo: 1 },
      sealed: {},
      userKey: 0,
      session: erasureSession(pseudonym),
    },
  ].map((op, at) =>
    sealedOp({ ...head, ...op, seqno: at + 1 } as Op, { user: "ann", generation: op.userKey }),
  );
  for (const fold of folds) {
    for (const [at, { bytes }] of ops.entries()) {
      expect(fold.session("s")?.annotations ?? []).toEqual(at === 2 ? [{ text: "a secret" }] : []);
      fold.apply(bytes, LOGS[0]!, at + 1);
      fold.stable({ lsnOf: () => at + 1, foldVersionMin: FOLD_VERSION });
    }
    expect(fold.session("s")).toMatchObject({ annotations: [] });
    expect(fold.session("s")?.user).toBeUndefined();
  }
  expect(hex(folds[1]!.snapshot())).toBe(hex(folds[0]!.snapshot()));
  // Nothing of it ever lay anywhere but in memory.
  expect(cold.store.byteLength).toBe(0);
});

const like: OpRequest = {
  kind: "signal",
  entity: "e",
  signal: "like",
  weight: 1,
  eventTimeMs: 1_789_999_999_999,
};

/** A region over a fold with a budget, with `count` sessions of ten operations each, all stable. */
function filled(
  count: number,
  fold: SessionFold,
): { region: TestRegion; admission: SessionAdmission<string> } {
  const region = new TestRegion(1);
  const clock = new HlcClock({ clockId: 1, now: () => region.nowMs });
  const admission = new SessionAdmission<string>({ fold, clock });
  for (let at = 0; at < count; at++) {
    const session = `s-${at}`;
    region.write(session, { kind: "start", user: `user-${at % 7}`, agent: "shopper" }, `start-${at}`);
    for (let op = 0; op < 8; op++)
      region.write(session, op % 2 === 0 ? like : { kind: "search", query: `q${op}` }, `op-${op}`);
    if (at % 5 === 0) region.write(session, { kind: "close" }, "close");
  }
  for (const [at, bytes] of region.records.entries()) {
    fold.apply(bytes, region.log, at + 1);
    if (at % 50 === 0) fold.stable({ lsnOf: () => at + 1, foldVersionMin: 2 });
  }
  fold.stable({ lsnOf: () => region.records.length, foldVersionMin: 2 });
  return { region, admission };
}

test("RGN-4 SES-4 the effects of a cold session still count once, and a retry is told its first result", () => {
  const store = new MemoryColdStore();
  const fold = open(30_000, store);
  const { region, admission } = filled(200, fold);
  expect(fold.sessions.size).toBe(200);
  expect(fold.sessions.hot.sessions).toBeLessThan(25);
  expect(fold.sessions.hot.bytes).toBeLessThanOrEqual(30_000);
  expect(fold.effects.size).toBeLessThan(250);
  expect(store.byteLength).toBeGreaterThan(10_000);
  const first = region.admission.admit("s-3", like, "op-0");
  expect(first.type).toBe("duplicate");
  expect(admission.admit("s-3", like, "op-0")).toEqual(first);
  expect(admission.admit("s-3", { ...like, weight: 2 }, "op-0")).toMatchObject({
    code: "OPERATION_CONFLICT",
  });
  expect(admission.admit("s-5", like, "new")).toMatchObject({ code: "SESSION_CLOSED" });
  // A copy of an old operation, through another log.
  const { effects } = fold.stats();
  for (const [at, bytes] of region.records.entries())
    fold.apply(bytes, { ...region.log, region: 2 as typeof region.log.region }, at + 1);
  expect(fold.stats().effects).toBe(effects);
  expect(hex(fold.digest())).toBe(hex(region.fold.digest()));
  expect(fold.user("user-0").sessions({ open: false, limit: 3 })).toEqual(
    region.fold.user("user-0").sessions({ open: false, limit: 3 }),
  );
});

test("RGN-4 a removed hide of a cold session stays removed when a copy of it arrives", () => {
  const store = new MemoryColdStore();
  const [small, large] = [open(0, store), open()];
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  a.write("s", { kind: "start", user: "ann", agent: "shopper" });
  b.receive(a);
  a.write("s", { kind: "hide", item: "x" }, "hide-x");
  b.write("s", { kind: "hide", item: "x" }, "hide-x");
  for (const fold of [small, large]) {
    for (const [at, bytes] of a.records.entries()) fold.apply(bytes, a.log, at + 1);
    fold.stable({ lsnOf: () => 2, foldVersionMin: 2 });
  }
  expect(small.sessions.hot.sessions).toBe(0);
  // From another session of hers; what the copy in b said is not known yet.
  a.write("t", { kind: "start", user: "ann", agent: "shopper" });
  a.write("t", { kind: "unhide", item: "x" });
  for (const fold of [small, large]) {
    for (let at = 2; at < 4; at++) fold.apply(a.records[at]!, a.log, at + 1);
    fold.stable({ lsnOf: () => 4, foldVersionMin: 2 });
    expect(fold.user("ann").hidden()).toEqual([]);
    fold.apply(b.records[0]!, b.log, 1);
    expect(fold.user("ann").hidden()).toEqual([]);
  }
  expect(hex(small.snapshot())).toBe(hex(large.snapshot()));
});

test("RGN-4 a store that refuses keeps the session in memory; one that loses bytes says so", () => {
  const inner = new MemoryColdStore();
  let full = true;
  const store: ColdStore = {
    put: (bytes) => {
      if (full) throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
      return inner.put(bytes);
    },
    get: (place) => inner.get(place),
    delete: (place) => inner.delete(place),
    clear: () => inner.clear(),
  };
  const fold = open(0, store);
  const { region } = filled(3, fold);
  expect(fold.sessions.hot.sessions).toBe(3);
  expect(fold.sessions.failures).toBeGreaterThan(0);
  full = false;
  fold.stable({ lsnOf: () => region.records.length, foldVersionMin: 2 });
  expect(fold.sessions.hot.sessions).toBe(0);
  expect(hex(fold.digest())).toBe(hex(region.fold.digest()));
  inner.clear();
  expect(() => fold.session("s-1")).toThrow("Nothing is kept");
});
