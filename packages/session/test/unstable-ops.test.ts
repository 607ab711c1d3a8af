import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SessionFold } from "../src/index.ts";
import { CLUSTER_ID, courseOf, hex, history, type ModelOp, run, USERS } from "./history.ts";

/** What a ticket of a user would carry, from everything that was applied. */
function naiveUnstable(
  fold: SessionFold,
  applied: readonly ModelOp[],
  stable: ReadonlySet<string>,
  user: string,
): string[] {
  const found = applied.filter(({ op, key, unknown }) => {
    if (stable.has(key)) return false;
    const speaksOf = !unknown && "item" in op.sealed && op.sealed.user === user;
    return speaksOf || fold.session(op.session)?.user === user;
  });
  return [...new Set(found.map(({ bytes }) => hex(bytes)))].sort();
}

test("SES-14 the operations for a ticket are those of the user's sessions and hides that are not stable, at every step", () => {
  const course = history.chain((past) => fc.tuple(fc.constant(past), courseOf(past)));
  fc.assert(
    fc.property(course, ([past, one]) => {
      const fold = new SessionFold({ hasher: nobleHasher, clusterId: CLUSTER_ID });
      let step = 0;
      run(fold, past, one, (stable) => {
        const applied = one.order.slice(0, ++step).map((record) => past.ops[past.records[record]!.op]!);
        for (const user of USERS) {
          // A purge leaves no session to tell whose it was.
          if (applied.some(({ op }) => (op.kind as string) === "purge")) continue;
          const { ops, complete } = fold.unstableOps(user);
          expect(complete).toBe(true);
          expect(ops.map(({ bytes }) => hex(bytes)).sort()).toEqual(
            naiveUnstable(fold, applied, stable, user),
          );
        }
      });
    }),
    { numRuns: 150 },
  );
});
