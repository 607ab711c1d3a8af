import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decideClaimLease,
  decideReleaseLease,
  decideRenewLease,
  isHeld,
  isLive,
  leaseFence,
  requireLive,
  type LeaseRecord,
} from "../src/lease.ts";
import { refusal } from "./refusal.ts";

const NOW = 1_790_000_000_000;

function claim(owner: string, nonce: string, ttlMs: number = 30_000) {
  return { session: "s", owner, nonce, ttlMs };
}

/** The register after a claim that nobody stood in the way of. */
function claimed(
  held: LeaseRecord | undefined,
  owner: string,
  nonce: string,
  nowMs: number = NOW,
): LeaseRecord {
  return decideClaimLease(held, claim(owner, nonce), nowMs).write as LeaseRecord;
}

describe("the execution lease", () => {
  test("C-43 a free, a released and an expired lane can be claimed, a held one gives none to another owner", () => {
    const first = claimed(undefined, "a", "n1");
    expect(first).toEqual({
      session: "s",
      owner: "a",
      nonce: "n1",
      generation: 1,
      claimedAtMs: NOW,
      expiresAtMs: NOW + 30_000,
      released: false,
    });
    expect(decideClaimLease(first, claim("b", "n2"), NOW + 29_999)).toEqual({});
    expect(claimed(first, "b", "n2", NOW + 30_000).owner).toBe("b");
    const released = decideReleaseLease(first, first).write as LeaseRecord;
    expect(claimed(released, "b", "n2").owner).toBe("b");
  });

  test("C-44 RUN-6 the generation starts at 1 and grows with every acquisition, also after a release", () => {
    let lease = claimed(undefined, "a", "n1");
    expect(lease.generation).toBe(1);
    lease = claimed(decideReleaseLease(lease, lease).write, "a", "n2");
    expect(lease.generation).toBe(2);
    lease = claimed(lease, "b", "n3", lease.expiresAtMs);
    expect(lease.generation).toBe(3);
  });

  test("C-45 the same owner claiming again keeps the generation, gets a fresh nonce and a later end", () => {
    const first = claimed(undefined, "a", "n1");
    const again = claimed(first, "a", "n2", NOW + 1_000);
    expect(again).toMatchObject({ generation: 1, nonce: "n2", expiresAtMs: NOW + 31_000 });
    expect(refusal(() => requireLive(again, first, NOW + 1_000))).toMatchObject({ code: "LEASE_EXPIRED" });
    expect(decideReleaseLease(again, first)).toEqual({});
    expect(isLive(again, again, NOW + 1_000)).toBe(true);
    expect(decideClaimLease(again, claim("a", "n3", 10), NOW + 1_000).lease?.expiresAtMs).toBe(NOW + 31_000);
  });

  test("C-45 a claim whose answer was lost is the same claim by its nonce, and a nonce serves one lease", () => {
    const first = claimed(undefined, "a", "n1");
    expect(decideClaimLease(first, claim("a", "n1"), NOW + 5)).toEqual({ lease: first });
    const over = refusal(() => decideClaimLease(first, claim("a", "n1"), first.expiresAtMs));
    expect(over).toMatchObject({ code: "LEASE_EXPIRED", session: "s" });
    const released = decideReleaseLease(first, first).write;
    expect(refusal(() => decideClaimLease(released, claim("a", "n1"), NOW))).toMatchObject({
      code: "LEASE_EXPIRED",
    });
    expect(decideClaimLease(first, claim("b", "n1"), NOW)).toEqual({});
  });

  test("C-46 renewing extends a live lease, keeps nonce and generation, and never ends it earlier", () => {
    const lease = claimed(undefined, "a", "n1");
    const renewed = decideRenewLease(lease, leaseFence(lease), 30_000, NOW + 10_000).lease;
    expect(renewed).toEqual({ ...lease, expiresAtMs: NOW + 40_000 });
    expect(decideRenewLease(lease, lease, 5, NOW)).toEqual({ lease });
  });

  test("C-46 renewing what is absent, stale, released, superseded or expired is LEASE_EXPIRED", () => {
    const lease = claimed(undefined, "a", "n1");
    const states: [LeaseRecord | undefined, number][] = [
      [undefined, NOW],
      [{ ...lease, released: true }, NOW],
      [claimed(lease, "a", "n2"), NOW],
      [claimed(lease, "b", "n3", lease.expiresAtMs), lease.expiresAtMs],
      [lease, lease.expiresAtMs],
    ];
    for (const [held, nowMs] of states) {
      expect(refusal(() => decideRenewLease(held, lease, 30_000, nowMs))).toMatchObject({
        code: "LEASE_EXPIRED",
        session: "s",
      });
    }
  });

  test("C-47 releasing is idempotent and fenced by session, owner, nonce and generation", () => {
    const lease = claimed(undefined, "a", "n1");
    expect(decideReleaseLease(undefined, lease)).toEqual({});
    for (const stale of [{ session: "t" }, { owner: "b" }, { nonce: "n0" }, { generation: 2 }]) {
      expect(decideReleaseLease(lease, { ...lease, ...stale })).toEqual({});
    }
    const released = decideReleaseLease(lease, lease).write;
    expect(released).toEqual({ ...lease, released: true });
    expect(decideReleaseLease(released, lease)).toEqual({});
    const successor = claimed(released, "b", "n2");
    expect(decideReleaseLease(successor, lease)).toEqual({});
  });

  test("C-48 a lease is live strictly before its end, and TTL 0 is over at once and claimable with a higher number", () => {
    const lease = claimed(undefined, "a", "n1");
    expect(isHeld(lease, lease.expiresAtMs - 1)).toBe(true);
    expect(isHeld(lease, lease.expiresAtMs)).toBe(false);
    const none = decideClaimLease(undefined, claim("a", "n1", 0), NOW).lease as LeaseRecord;
    expect(isLive(none, none, NOW)).toBe(false);
    expect(claimed(none, "b", "n2").generation).toBe(2);
  });

  test("C-51 a clock that jumps forward ends the lease for good, one that jumps back never gives it to two", () => {
    const lease = claimed(undefined, "a", "n1");
    const ahead = NOW + 3_600_000;
    const second = claimed(lease, "b", "n2", ahead);
    // The clock is put right again: the first holder's times say it is live, the register says it is not.
    expect(isLive(second, lease, NOW + 1)).toBe(false);
    expect(isLive(second, second, NOW + 1)).toBe(true);
    expect(refusal(() => decideRenewLease(second, lease, 30_000, NOW + 1))).toMatchObject({
      code: "LEASE_EXPIRED",
    });
    // Back by an hour: the lease is held for longer, and its end never moves nearer.
    expect(decideClaimLease(lease, claim("b", "n3"), NOW - 3_600_000)).toEqual({});
    expect(decideRenewLease(lease, lease, 30_000, NOW - 3_600_000).lease?.expiresAtMs).toBe(
      lease.expiresAtMs,
    );
  });

  test("RUN-6 whatever happens in whatever order at whatever time, one fence at most is live, and generations only grow", () => {
    const step = fc.record({
      owner: fc.constantFrom("a", "b", "c"),
      what: fc.constantFrom("claim", "claim", "renew", "release"),
      nowMs: fc.integer({ min: 0, max: 200 }),
      ttlMs: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let lease: LeaseRecord | undefined;
        const given: LeaseRecord[] = [];
        for (const [index, { owner, what, nowMs, ttlMs }] of steps.entries()) {
          const before = lease;
          const mine = given.findLast((one) => one.owner === owner);
          if (what === "claim") {
            const decision = decideClaimLease(
              lease,
              { session: "s", owner, ttlMs, nonce: `n${index}` },
              nowMs,
            );
            lease = decision.write ?? lease;
            if (decision.lease !== undefined) given.push(decision.lease);
          } else if (mine !== undefined && what === "renew") {
            if (isLive(lease, mine, nowMs))
              lease = decideRenewLease(lease, mine, ttlMs, nowMs).write ?? lease;
            else
              expect(refusal(() => decideRenewLease(lease, mine, ttlMs, nowMs)).code).toBe("LEASE_EXPIRED");
          } else if (mine !== undefined) {
            lease = decideReleaseLease(lease, mine).write ?? lease;
          }
          expect(lease?.generation ?? 0).toBeGreaterThanOrEqual(before?.generation ?? 0);
          expect(given.filter((one) => isLive(lease, one, nowMs)).length).toBeLessThanOrEqual(1);
          if (before !== undefined && lease?.owner !== before.owner) {
            expect(lease?.generation).toBe(before.generation + 1);
          }
        }
      }),
    );
  });

  test("an owner, nonce or time that no lease can have is a bug of the caller", () => {
    expect(() => decideClaimLease(undefined, claim("", "n"), NOW)).toThrow(RangeError);
    expect(() => decideClaimLease(undefined, claim("a", "n".repeat(257)), NOW)).toThrow(RangeError);
    expect(() => decideClaimLease(undefined, claim("\ud800", "n"), NOW)).toThrow(TypeError);
    for (const ttlMs of [-1, 0.5, 86_400_001, Number.NaN]) {
      expect(() => decideClaimLease(undefined, claim("a", "n", ttlMs), NOW)).toThrow(RangeError);
    }
  });
});
