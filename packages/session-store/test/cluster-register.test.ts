import { expect, test } from "vitest";
import { ClusterTurns } from "../src/cluster-turns.ts";
import { decideClusterClaim, decideClusterCommit, EMPTY_CLUSTER_REGISTER } from "../src/cluster-register.ts";
import { leaseFence } from "../src/index.ts";
import { refusal } from "./refusal.ts";

const claim = { session: "s", owner: "east", nonce: "n", ttlMs: 10 };
const held = decideClusterClaim(EMPTY_CLUSTER_REGISTER, claim, 100).write!;
const fence = leaseFence(held.lease!);
const from = { revision: 0, digest: "" };
const to = { revision: 1, digest: "one" };

test("RUN-12 decideClusterCommit() moves the head once: again it changes nothing, and from another head it is a conflict", () => {
  const committed = decideClusterCommit(held, { fence, from, to }, 105).write!;
  expect(committed).toEqual({ lease: held.lease, head: to });
  expect(decideClusterCommit(committed, { fence, from, to }, 105)).toEqual({ result: undefined });
  // A lost answer is found out even after the lease.
  expect(decideClusterCommit(committed, { fence, from, to }, 999)).toEqual({ result: undefined });
  const other = { fence, from, to: { revision: 1, digest: "other" } };
  expect(refusal(() => decideClusterCommit(committed, other, 105))).toMatchObject({
    code: "HEAD_CONFLICT",
    expected: 0,
    actual: 1,
  });
});

test("RUN-12 decideClusterCommit() refuses whoever does not hold the lease, before it looks at the head", () => {
  expect(refusal(() => decideClusterCommit(held, { fence, from, to }, 110)).code).toBe("LEASE_EXPIRED");
  const next = decideClusterClaim(held, { ...claim, owner: "west", nonce: "m" }, 110).write!;
  expect(next.lease!.generation).toBe(2);
  expect(
    refusal(() => decideClusterCommit(next, { fence, from: to, to: { revision: 2, digest: "two" } }, 111))
      .code,
  ).toBe("LEASE_EXPIRED");
});

test("RUN-12 ClusterTurns applies what is known to be committed, whatever order it arrived in", () => {
  const turn = (parent: typeof from) =>
    ({ kind: "turn", from: parent, settled: [], record: new Uint8Array() }) as const;
  const turns = new ClusterTurns();
  const two = { revision: 2, digest: "two" };
  turns.arrive("two", turn(to));
  expect(turns.next(from)).toBeUndefined();
  turns.arrive("lost", turn(from));
  turns.arrive("one", turn(from));
  // The second follows it, so it was committed; nothing follows the second.
  expect(turns.next(from)?.head).toEqual(to);
  expect(turns.next(to)).toBeUndefined();
  turns.commit(two);
  expect(turns.next(to)?.head).toEqual(two);
  turns.applied(2);
  expect(turns.next(from)).toBeUndefined();
});
