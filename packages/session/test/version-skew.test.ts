import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeOp,
  FOLD_VERSION,
  type Lane,
  OP_KIND_CODE,
  type OpKind,
  opKindOf,
  SessionFold,
} from "../src/index.ts";
import { CLUSTER_ID, courseOf, hex, history, LOGS, modelOp, run, SESSIONS, USERS } from "./history.ts";
import { naiveHides, naiveSession, readSession } from "./naive-fold.ts";
import { exchange, settle, started, TestRegion } from "./region.ts";

const KINDS = Object.values(OP_KIND_CODE).flatMap((code) => opKindOf(code) ?? []);
const open = (kinds?: readonly OpKind[]): SessionFold =>
  new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID, ...(kinds && { kinds: new Set(kinds) }) });
const withCourses = history.chain((past) => fc.tuple(fc.constant(past), courseOf(past)));
// Every version knows a close; an owner writes one for idleness only once every member can judge it.
const subset = fc
  .subarray(KINDS.filter((kind) => kind !== "close"))
  .map((kinds): OpKind[] => [...kinds, "close"]);

test("REP-13 what an older version kept whole is folded once it is upgraded, with nothing left but its snapshot (scenario 49)", () => {
  fc.assert(
    fc.property(withCourses, subset, subset, fc.nat(), ([past, course], first, second, cut) => {
      const at = cut % (course.order.length + 1);
      const whole = open();
      run(whole, past, course);
      const old = open(first);
      run(old, past, course, undefined, at);
      // Upgraded in two steps; what is not known yet is kept on.
      const middle = open([...new Set([...first, ...second])]);
      middle.restore(old.snapshot());
      const upgraded = open();
      upgraded.restore(middle.snapshot());
      const known = open();
      run(known, past, course, undefined, at);
      expect(hex(upgraded.digest())).toBe(hex(known.digest()));
      run(upgraded, past, { order: course.order, frontiers: course.frontiers });
      expect(hex(upgraded.digest())).toBe(hex(whole.digest()));
      for (const session of SESSIONS)
        expect(readSession(upgraded, session)).toEqual(naiveSession(past.ops, session));
      upgraded.stable({ lsnOf: () => Number.MAX_SAFE_INTEGER, foldVersionMin: FOLD_VERSION });
      const keys = new Set(past.ops.map(({ key }) => key));
      for (const user of USERS) {
        const view = upgraded.user(user);
        expect({ hidden: view.hidden(), withheld: view.withheld() }).toEqual(
          naiveHides(past.ops, keys, user),
        );
      }
      const { unhidesPending, unstable } = upgraded.stats();
      expect({ unhidesPending, unstable }).toEqual({ unhidesPending: 0, unstable: 0 });
    }),
    { numRuns: 300 },
  );
});

test("REP-13 no unhide takes effect before every member knows its kind, though it is stable (scenario 49)", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  const old = open(KINDS.filter((kind) => kind !== "unhide"));
  started([a, b]);
  a.write("s", { kind: "hide", item: "x" });
  a.write("s", { kind: "unhide", item: "x" });
  for (const [at, bytes] of a.records.entries()) old.apply(bytes, a.log, at + 1);
  exchange([a, b]);
  settle([a, b], 0);
  old.stable({ lsnOf: () => 99, foldVersionMin: 0 });
  for (const fold of [a.fold, old]) expect(fold.user("ann").hidden()).toEqual(["x"]);
  expect(old.stats()).toMatchObject({ unknown: 1, unhidesPending: 0 });
  // Upgraded after its log was trimmed.
  const upgraded = open();
  upgraded.restore(old.snapshot());
  expect(upgraded.stats()).toMatchObject({ unknown: 0, unhidesPending: 1, withheld: 1 });
  expect(upgraded.user("ann").hidden()).toEqual(["x"]);
  upgraded.stable({ lsnOf: () => 99, foldVersionMin: 0 });
  expect(upgraded.user("ann").hidden()).toEqual(["x"]);
  settle([a, b]);
  upgraded.stable({ lsnOf: () => 99, foldVersionMin: 1 });
  for (const fold of [a.fold, upgraded]) expect(fold.user("ann").hidden()).toEqual([]);
  expect(hex(upgraded.digest())).toBe(hex(a.fold.digest()));
});

test("REP-13 a fork that an older version received begins its session once it is upgraded", () => {
  const region = new TestRegion(1);
  started([region], "p");
  region.write("p", { kind: "annotate", text: "seen" });
  region.write("f", { kind: "fork", parent: "p" }, "fork-1");
  region.write("f", { kind: "annotate", text: "mine" });
  const old = open(KINDS.filter((kind) => kind !== "fork" && kind !== "merge"));
  for (const [at, bytes] of region.records.entries()) old.apply(bytes, region.log, at + 1);
  old.stable({ lsnOf: () => 99, foldVersionMin: 1 });
  expect(old.session("f")).toMatchObject({ unknown: 1, annotations: [{ text: "mine" }] });
  const upgraded = open();
  upgraded.restore(old.snapshot());
  expect(upgraded.session("f")).toMatchObject({ user: "ann", unknown: 0, parents: ["p"] });
  expect(upgraded.user("ann").sessions()).toEqual(["f", "p"]);
  expect(hex(upgraded.digest())).toBe(hex(region.fold.digest()));
});

test("REP-13 an effect of which one copy folds and another waits for a key counts once, also after a restart", () => {
  const [a, b] = [new TestRegion(1), new TestRegion(2)];
  started([a, b]);
  for (const region of [a, b]) region.write("s", { kind: "prefer", key: "k", value: "v" }, "once");
  const like = {
    kind: "signal",
    entity: "e",
    signal: "like",
    weight: 1,
    eventTimeMs: 1_789_999_999_999,
  } as const;
  for (const region of [a, b]) region.write("s", like, "like");
  // The copies of b are under a key that is not here: told by its number.
  const locked = b.records.map((bytes) => {
    const copy = bytes.slice();
    copy[decodeOp(copy).stampAt + 10] = 1;
    return copy;
  });
  const fold = open();
  for (const [at, bytes] of a.records.entries()) fold.apply(bytes, a.log, at + 1);
  for (const [at, bytes] of locked.entries()) fold.apply(bytes, b.log, at + 1);
  expect(fold.session("s")).toMatchObject({ unknown: 2 });
  const restored = open();
  restored.restore(fold.snapshot());
  expect(hex(restored.snapshot())).toBe(hex(fold.snapshot()));
  expect([fold, restored].map(({ unfolded }) => unfolded.size)).toEqual([0, 0]);
  // The other way round the first that can be folded counts.
  const other = open();
  for (const [at, bytes] of a.records.slice(0, 1).entries()) other.apply(bytes, a.log, at + 1);
  for (const [at, bytes] of locked.entries()) other.apply(bytes, b.log, at + 1);
  const again = open();
  again.restore(other.snapshot());
  for (const [at, bytes] of a.records.entries()) again.apply(bytes, a.log, at + 1);
  expect(again.session("s")?.signals.get("e")?.get("like")?.count).toBe(1);
  expect(again.session("s")?.hints.get("k")).toBe("v");
  expect(again.stats().effects).toBe(fold.stats().effects);
});

test("REP-13 a later copy of an effect that is folded first pushes nothing out of its list", () => {
  const prefer = (lane: Lane, seqno: number, wallMs: number, value: string) =>
    modelOp({
      kind: "prefer",
      ...{ session: "s", lane, seqno, userKey: 0, stamp: { wallMs, counter: 0, clockId: 1 } },
      operation: { tag: new Uint8Array(8).fill(value.length), digest: new Uint8Array(8) },
      clear: {},
      sealed: { key: "k", value },
    });
  // They are folded in the order of their keys: so that each comes first once.
  for (let seqno = 1; seqno <= 12; seqno++) {
    const ops = [
      prefer({ region: 1, epoch: 7 }, seqno, 2, "wins"),
      prefer({ region: 2, epoch: 7 }, seqno, 1, "early"),
      prefer({ region: 3, epoch: 7 }, seqno, 3, "early"),
    ];
    const old = open(KINDS.filter((kind) => kind !== "prefer"));
    for (const [at, { bytes }] of ops.entries()) old.apply(bytes, LOGS[0]!, at + 1);
    old.stable({ lsnOf: () => 99, foldVersionMin: FOLD_VERSION });
    const upgraded = open();
    upgraded.restore(old.snapshot());
    expect(upgraded.session("s")!.hints.get("k")).toBe("wins");
  }
});
