import { describe, expect, test } from "vitest";
import { SessionStoreError } from "../src/errors.ts";
import { LeaseGuard, type LeaseAuthority, type LeaseTimers } from "../src/lease-guard.ts";
import type { LeaseRecord } from "../src/lease.ts";

const LEASE: LeaseRecord = {
  session: "s",
  owner: "a",
  nonce: "n",
  generation: 3,
  claimedAtMs: 0,
  expiresAtMs: 30_000,
  released: false,
};

/** Time that goes on when it is told to. */
class VirtualTimers implements LeaseTimers {
  #nowMs: number = 0;
  readonly #timers: Map<object, { readonly atMs: number; readonly run: () => void }> = new Map();

  now(): number {
    return this.#nowMs;
  }

  setTimer(ms: number, run: () => void): () => void {
    const timer = {};
    this.#timers.set(timer, { atMs: this.#nowMs + ms, run });
    return () => void this.#timers.delete(timer);
  }

  get pending(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers]
        .filter(([, { atMs }]) => atMs <= endMs)
        .sort((a, b) => a[1].atMs - b[1].atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#nowMs = due[1].atMs;
      due[1].run();
      await settled();
    }
    this.#nowMs = endMs;
  }
}

/** Lets every promise that can settle without time do so. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** An authority whose renewals end as told, one after the other; the last way for all that follow. */
function authority(...outcomes: (Error | "renewed" | "hangs")[]) {
  const calls: string[] = [];
  const answers: LeaseAuthority = {
    renew: (_fence, { ttlMs }) => {
      calls.push(`renew ${ttlMs}`);
      const outcome = outcomes.length > 1 ? outcomes.shift() : outcomes[0];
      if (outcome instanceof Error) return Promise.reject(outcome);
      if (outcome === "hangs") return new Promise(() => {});
      return Promise.resolve({ ...LEASE, expiresAtMs: LEASE.expiresAtMs + calls.length * 10_000 });
    },
    release: () => {
      calls.push("release");
      return Promise.resolve();
    },
  };
  return { ...answers, calls };
}

const REFUSED = new SessionStoreError("LEASE_EXPIRED", "refused", { session: "s" });
const BUSY = new SessionStoreError("BUSY", "busy");

describe("LeaseGuard", () => {
  test("C-50 renews a lease of 30 s every 10 s, and goes on", async () => {
    const timers = new VirtualTimers();
    const session = authority("renewed");
    const guard = new LeaseGuard(session, LEASE, { timers });
    await timers.advance(9_999);
    expect(session.calls).toEqual([]);
    await timers.advance(90_001);
    expect(session.calls).toEqual(Array.from({ length: 10 }, () => "renew 30000"));
    expect(guard.signal.aborted).toBe(false);
    expect(guard.lease.expiresAtMs).toBe(130_000);
  });

  test("C-50 a refused renewal loses the lease and cancels the running work at once", async () => {
    const timers = new VirtualTimers();
    const session = authority("renewed", REFUSED);
    const guard = new LeaseGuard(session, LEASE, { timers });
    const reasons: unknown[] = [];
    guard.signal.addEventListener("abort", () => reasons.push(guard.signal.reason));
    await timers.advance(20_000);
    expect(reasons).toMatchObject([{ code: "LEASE_EXPIRED", session: "s", cause: REFUSED }]);
    expect(timers.pending).toBe(0);
    await timers.advance(100_000);
    expect(session.calls.length).toBe(2);
  });

  test("C-50 a renewal that fails in passing is tried again, and the lease is lost when none succeeded within its TTL", async () => {
    const timers = new VirtualTimers();
    const passing = authority(BUSY, BUSY, "renewed", BUSY);
    const guard = new LeaseGuard(passing, LEASE, { timers, ttlMs: 40_000, renewIntervalMs: 10_000 });
    await timers.advance(69_999);
    expect(guard.signal.aborted).toBe(false);
    await timers.advance(1);
    expect(guard.signal.reason).toMatchObject({ code: "LEASE_EXPIRED" });
  });

  test("C-50 a renewal without an answer loses the lease when its TTL has gone by", async () => {
    const timers = new VirtualTimers();
    const guard = new LeaseGuard(authority("renewed", "hangs"), LEASE, { timers });
    await timers.advance(39_999);
    expect(guard.signal.aborted).toBe(false);
    await timers.advance(1);
    expect(guard.signal.aborted).toBe(true);
    expect(timers.pending).toBe(0);
  });

  test("C-50 disposal stops renewing, cancels nothing, and a late answer changes nothing", async () => {
    const timers = new VirtualTimers();
    const session = authority(REFUSED);
    const guard = new LeaseGuard(session, LEASE, { timers });
    {
      await using held = guard;
      void held;
    }
    await timers.advance(100_000);
    expect(session.calls).toEqual([]);
    expect(guard.signal.aborted).toBe(false);
    const second = new LeaseGuard(session, LEASE, { timers });
    const renewing = timers.advance(10_000);
    second.stop();
    await renewing;
    expect(second.signal.aborted).toBe(false);
    expect(timers.pending).toBe(0);
  });

  test("C-50 releasing stops renewing and frees the lane", async () => {
    const timers = new VirtualTimers();
    const session = authority("renewed");
    await new LeaseGuard(session, LEASE, { timers }).release();
    expect(session.calls).toEqual(["release"]);
    expect(timers.pending).toBe(0);
  });

  test("C-50 at least three renewals fit into a lease", () => {
    const timers = new VirtualTimers();
    const guard = (ttlMs: number, renewIntervalMs: number) =>
      new LeaseGuard(authority("renewed"), LEASE, { timers, ttlMs, renewIntervalMs });
    expect(() => guard(29_999, 10_000)).toThrow(RangeError);
    expect(() => guard(30_000, 0)).toThrow(RangeError);
    expect(() => guard(86_400_001, 10)).toThrow(RangeError);
    guard(30_000, 10_000).stop();
  });
});
