import { readFileSync } from "node:fs";
import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { erasureSession, FOLD_VERSION, type Op, SessionFold } from "../src/index.ts";
import { CLUSTER_ID, type Course, courseOf, LOGS, run, SESSIONS, USERS } from "./history.ts";
import { naiveHides, naiveSession, readSession } from "./naive-fold.ts";
import {
  freshSeals,
  isGone,
  sealedFold,
  type SealedHistory,
  sealedHistory,
  type SealedOp,
  sealedOp,
} from "./sealed-history.ts";

test("REP-12 golden digest and snapshot with two users in a session, one of whom was erased", () => {
  const header = {
    lane: { region: 1, epoch: 7 },
    stamp: { wallMs: 1_790_000_000_000, counter: 1, clockId: 1 },
  };
  const fold = sealedFold();
  let lsn = 0;
  const write = (op: object, user: string, generation: number, session: string = "s"): void => {
    lsn += 1;
    const one = { ...header, session, seqno: lsn, userKey: generation, ...op } as Op;
    fold.apply(sealedOp(one, { user, generation }).bytes, LOGS[0]!, lsn);
  };
  const both = [
    ["ann", 2],
    ["bob", 1],
  ] as const;
  for (const [user, generation] of both) {
    write(
      { kind: "start", clear: { policy: "", policyVersion: 0 }, sealed: { user, agent: "a", metadata: {} } },
      user,
      generation,
    );
    write({ kind: "annotate", clear: {}, sealed: { text: `text of ${user}` } }, user, generation);
    write({ kind: "hide", clear: {}, sealed: { user, item: "x" } }, user, generation);
    const clear = { entity: "e", signal: "like", weight: 1, eventTimeMs: 1000 };
    write({ kind: "signal", clear, sealed: {} }, user, generation);
  }
  const pseudonym = freshSeals().pseudonymOf("eve");
  write({ kind: "annotate", clear: {}, sealed: { text: "text of eve" } }, "eve", 1);
  write({ kind: "erase", clear: { pseudonym, upTo: 1 }, sealed: {} }, "eve", 0, erasureSession(pseudonym));
  fold.stable({ lsnOf: () => 2, foldVersionMin: FOLD_VERSION });
  const golden = JSON.parse(
    readFileSync(new URL("golden/state-erase-v1.json", import.meta.url), "utf8"),
  ) as Readonly<Record<string, string>>;
  expect({ digest: hex(fold.digest()), snapshot: hex(fold.snapshot()) }).toEqual(golden);
  const restored = sealedFold();
  restored.restore(Uint8Array.from(Buffer.from(golden["snapshot"]!, "hex")));
  expect({ digest: hex(restored.digest()), snapshot: hex(restored.snapshot()) }).toEqual(golden);
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A session by the model: what is gone says nothing, and still has its number. */
function model(ops: readonly SealedOp[], id: string): unknown {
  const told = ops.map((one) => ({ ...one, unknown: one.broken || isGone(ops, one) }));
  const state = naiveSession(told, id);
  if (state === undefined) return undefined;
  const unknown = ops.filter((one) => one.op.session === id && one.broken && !isGone(ops, one)).length;
  return { ...(state as object), unknown };
}

const withCourses: fc.Arbitrary<readonly [SealedHistory, Course, Course]> = sealedHistory.chain((past) =>
  fc.tuple(fc.constant(past), courseOf(past), courseOf(past)),
);

test("SES-18 a fold with erasures is what sorting and replaying the rest gives, in any order of arrival", () => {
  fc.assert(
    fc.property(withCourses, ([past, course]) => {
      const fold = sealedFold();
      const stable = run(fold, past, course);
      for (const id of SESSIONS) expect(readSession(fold, id)).toEqual(model(past.ops, id));
      const left = past.ops.filter((one) => !one.broken && !isGone(past.ops, one));
      for (const user of USERS) {
        const { hidden, withheld } = naiveHides(left, stable, user);
        expect(fold.user(user).hidden()).toEqual(hidden);
        expect(fold.user(user).withheld()).toBe(withheld);
      }
    }),
    { numRuns: 400 },
  );
});

test("SES-18 scenario 48: every order of arrival gives the same digest, whatever was folded before an erasure", () => {
  fc.assert(
    fc.property(withCourses, ([past, one, other]) => {
      const [a, b] = [sealedFold(), sealedFold()];
      run(a, past, one);
      run(b, past, other);
      expect(hex(a.digest())).toBe(hex(b.digest()));
    }),
    { numRuns: 300 },
  );
});

test("SES-18 REP-12 a snapshot goes on as the fold it was taken of, with keys that know of no erasure", () => {
  fc.assert(
    fc.property(withCourses, fc.nat(), ([past, course], cut) => {
      const at = course.order.length === 0 ? 0 : cut % course.order.length;
      const fold = sealedFold();
      let restored = sealedFold();
      let step = 0;
      run(fold, past, course, () => {
        if (step++ !== at) return;
        restored = sealedFold();
        const bytes = fold.snapshot();
        restored.restore(bytes);
        expect(hex(restored.snapshot())).toBe(hex(bytes));
        expect(hex(restored.digest())).toBe(hex(fold.digest()));
      });
      const lsns = [0, 0, 0];
      for (const record of course.order) {
        const { log, op } = past.records[record]!;
        restored.apply(past.ops[op]!.bytes, LOGS[log]!, ++lsns[log]!);
      }
      expect(hex(restored.digest())).toBe(hex(fold.digest()));
      for (const id of SESSIONS) expect(readSession(restored, id)).toEqual(readSession(fold, id));
    }),
    { numRuns: 200 },
  );
});

test("SES-18 what one user's latest had pushed out counts again once that user is erased", () => {
  const fold = sealedFold();
  const values = [
    ["ann", "first"],
    ["ann", "second"],
    ["bob", "third"],
    ["bob", "fourth"],
  ] as const;
  for (const [at, [user, value]] of values.entries()) {
    const stamp = { wallMs: at, counter: 0, clockId: 1 };
    const header = { session: "s", lane: { region: 1, epoch: 7 }, seqno: at + 1, stamp, userKey: 1 };
    const op: Op = { ...header, kind: "prefer", clear: {}, sealed: { key: "size", value } };
    fold.apply(sealedOp(op, { user, generation: 1 }).bytes, LOGS[0]!, at + 1);
  }
  expect(fold.session("s")!.hints.get("size")).toBe("fourth");
  const restored = sealedFold();
  restored.restore(fold.snapshot());
  for (const one of [fold, restored]) {
    one.erasing!.erase(hex(freshSeals().pseudonymOf("bob")), 1);
    expect(one.session("s")!.hints.get("size")).toBe("second");
  }
});

test("SES-18 nothing that an erased user wrote is left in memory's snapshot, whatever was folded before", () => {
  fc.assert(
    fc.property(withCourses, ([past, course]) => {
      const fold = sealedFold();
      run(fold, past, course);
      const text = Buffer.from(fold.snapshot()).toString("latin1");
      for (const user of USERS) {
        const live = past.ops.some(
          (one) => one.user === user && one.generation > 0 && !isGone(past.ops, one),
        );
        if (live) continue;
        for (const word of ["agent", "note", "size", "own", "text", "item", "query", "bytes"])
          expect(text).not.toContain(`${word} of ${user}`);
        expect(text).not.toContain(user);
        expect(fold.users.has(user)).toBe(false);
      }
    }),
    { numRuns: 200 },
  );
});

test("SES-18 erasing destroys the keys, and tells of it once", () => {
  fc.assert(
    fc.property(withCourses, ([past, course]) => {
      let told = 0;
      const seals = freshSeals(() => (told += 1));
      run(sealedFold(seals), past, course);
      for (const user of USERS) {
        const pseudonym = seals.pseudonymOf(user);
        const gone = past.ops.filter((one) => one.user === user && isGone(past.ops, one));
        for (const { generation } of gone) expect(seals.keys.secretOf(pseudonym, generation)).toBeUndefined();
      }
      expect(told).toBeLessThanOrEqual(6);
    }),
    { numRuns: 100 },
  );
});

test("SES-18 where users have no keys, operations under keys and erasures are kept for who has them", () => {
  fc.assert(
    fc.property(withCourses, ([past, course]) => {
      const plain = new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
      run(plain, past, course);
      const sealed = past.ops.filter(({ generation }) => generation > 0).length;
      expect(plain.stats().unknown).toBe(sealed);
    }),
    { numRuns: 50 },
  );
});
