import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SessionFold } from "../src/index.ts";
import { CLUSTER_ID, courseOf, hex, history, run, SESSIONS, USERS } from "./history.ts";
import { naiveHides, naiveSession, readSession } from "./naive-fold.ts";

const open = (): SessionFold => new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
const withCourses = history.chain((past) => fc.tuple(fc.constant(past), courseOf(past), courseOf(past)));

test("SES-7 the fold is a function of the set of ops: it agrees with a model that sorts everything and replays", () => {
  fc.assert(
    fc.property(withCourses, ([past, course]) => {
      const fold = open();
      run(fold, past, course);
      for (const session of SESSIONS)
        expect(readSession(fold, session)).toEqual(naiveSession(past.ops, session));
    }),
    { numRuns: 400 },
  );
});

test("SES-7 any order of arrival and any stability gives the same digest (scenario 35)", () => {
  fc.assert(
    fc.property(withCourses, ([past, one, other]) => {
      const [a, b] = [open(), open()];
      run(a, past, one);
      run(b, past, other);
      expect(hex(a.digest())).toBe(hex(b.digest()));
    }),
    { numRuns: 400 },
  );
});

test("SES-8 SES-9 an item is hidden at every step while a hide of it is not named by a stable unhide", () => {
  fc.assert(
    fc.property(withCourses, ([past, course]) => {
      const fold = open();
      let step = 0;
      run(fold, past, course, (stable) => {
        const keys = new Set(
          course.order.slice(0, ++step).map((record) => past.ops[past.records[record]!.op]!),
        );
        for (const user of USERS) {
          const view = fold.user(user);
          const model = naiveHides([...keys], stable, user);
          expect({ hidden: view.hidden(), withheld: view.withheld() }).toEqual(model);
        }
      });
    }),
    { numRuns: 300 },
  );
});

test("SES-4 replaying all history changes nothing (scenario 16)", () => {
  fc.assert(
    fc.property(withCourses, ([past, course, again]) => {
      const fold = open();
      run(fold, past, course);
      const digest = hex(fold.digest());
      const { effects } = fold.stats();
      run(fold, past, { ...again, frontiers: again.frontiers.map(() => 7) });
      expect(hex(fold.digest())).toBe(digest);
      expect(fold.stats().effects).toBe(effects);
    }),
    { numRuns: 150 },
  );
});

test("REP-12 a snapshot taken anywhere goes on as the fold it was taken of, and does not depend on arrival", () => {
  fc.assert(
    fc.property(withCourses, fc.nat(), ([past, course], cut) => {
      const whole = open();
      run(whole, past, course);
      const at = cut % (course.order.length + 1);
      const first = open();
      run(first, past, {
        order: course.order.slice(0, at),
        frontiers: course.frontiers.slice(0, at).map(() => 7),
      });
      const second = open();
      second.restore(first.snapshot());
      expect(hex(second.snapshot())).toBe(hex(first.snapshot()));
      expect(hex(second.digest())).toBe(hex(first.digest()));
      const { duplicates: _, malformed: __, ...counts } = first.stats();
      expect(second.stats()).toMatchObject(counts);
      run(second, past, { order: course.order, frontiers: course.frontiers });
      expect(hex(second.digest())).toBe(hex(whole.digest()));
      for (const session of SESSIONS)
        expect(readSession(second, session)).toEqual(naiveSession(past.ops, session));
    }),
    { numRuns: 150 },
  );
});

test("CORE-13 any bytes restore or fail with DECODE_FAILED, and leave an empty fold (scenario 38)", () => {
  const fold = open();
  fc.assert(
    fc.property(
      withCourses,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      ([past, course], changes) => {
        const full = open();
        run(full, past, course);
        const bytes = full.snapshot();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        try {
          fold.restore(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: "DECODE_FAILED" });
          expect(fold.stats().sessions).toBe(0);
        }
      },
    ),
    { numRuns: 300 },
  );
});
