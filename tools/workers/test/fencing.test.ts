import { setTimeout } from "node:timers/promises";
import type { LeaseRecord } from "@tidemark/session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Worker } from "../src/worker.ts";
import { hasRedis, storeOf } from "./stores.ts";

/** Short enough to wait for the end of a lease; who keeps it renews it at a third of it. */
const TTL_MS = 1_500;
/** How often a lease that another holds is asked for. */
const POLL_MS = 20;
const HOUR_MS = 3_600_000;

/** Asks for the lease until it is had. */
async function claimInTime(worker: Worker, owner: string, ttlMs: number): Promise<LeaseRecord> {
  for (;;) {
    const lease = await worker.call("claimLease", owner, ttlMs);
    if (lease !== undefined) return lease;
    await setTimeout(POLL_MS);
  }
}

for (const backend of ["lmdb", "redis"] as const) {
  describe.skipIf(backend === "redis" && !hasRedis)(`workers over ${backend}`, () => {
    let a: Worker;
    let b: Worker;

    beforeAll(() => {
      a = new Worker();
      b = new Worker();
    });

    afterAll(async () => {
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
    });

    async function open(session: string): Promise<void> {
      const store = await storeOf(backend);
      await Promise.all([a.call("open", store, session), b.call("open", store, session)]);
    }

    test("C-49 of two processes that race for the very first claim exactly one wins", async () => {
      for (let round = 0; round < 3; round++) {
        await open(`race-${round}`);
        const claims = await Promise.all([
          a.call("claimLease", "a", HOUR_MS),
          b.call("claimLease", "b", HOUR_MS),
        ]);
        const won = claims.filter((lease) => lease !== undefined);
        expect(won).toMatchObject([{ generation: 1 }]);
      }
    });

    test("C-51 RUN-6 a holder that was stopped beyond its lease is refused when it wakes, and changes nothing", async () => {
      await open("stopped");
      await a.call("enqueue", "first");
      expect(await a.call("claimLease", "a", TTL_MS)).toMatchObject({ generation: 1 });
      const lost = a.call("keepLease", TTL_MS);
      expect(await a.call("claimWork")).toMatchObject({ id: "1.1" });
      a.stop();
      const late = a.call("commit", "turn-of-a");

      expect(await claimInTime(b, "b", HOUR_MS)).toMatchObject({ generation: 2 });
      expect(await b.call("claimWork")).toMatchObject({ id: "1.2" });
      expect(await b.call("commit", "turn-of-b")).toBe(1);
      const before = await b.call("dump");

      a.wake();
      await expect(late).rejects.toMatchObject({ code: "LEASE_EXPIRED" });
      expect(await lost).toBe("LEASE_EXPIRED");
      expect(await b.call("dump")).toEqual(before);
    });

    test("C-51 RUN-6 a holder that was stopped between deciding and writing is refused, and changes nothing", async () => {
      await open("cut-short");
      await a.call("claimLease", "a", HOUR_MS);
      const stopping = a.stopBeforeWriting();
      const late = a.call("commit", "turn-of-a");
      await stopping;

      // For who was stopped no time went by: what it believes about its lease makes no difference.
      await b.call("setClock", 2 * HOUR_MS);
      expect(await b.call("claimLease", "b", HOUR_MS)).toMatchObject({ generation: 2 });
      const before = await b.call("dump");
      a.wake();
      await expect(late).rejects.toMatchObject({ code: "LEASE_EXPIRED" });
      expect(await b.call("dump")).toEqual(before);
      expect(await b.call("commit", "turn-of-b")).toBe(1);
    });

    test("C-51 a clock that jumps, forward and back again, gives a session to nobody twice", async () => {
      await open("clocks");
      const everywhere = async (offsetMs: number) => {
        for (const worker of [a, b]) await worker.call("setClock", offsetMs);
      };
      await a.call("claimLease", "a", HOUR_MS / 2);
      await everywhere(-HOUR_MS);
      expect(await b.call("claimLease", "b", HOUR_MS)).toBeUndefined();
      expect(await a.call("commit", "back")).toBe(1);
      await everywhere(HOUR_MS);
      await expect(a.call("commit", "forward")).rejects.toMatchObject({ code: "LEASE_EXPIRED" });
      expect(await b.call("claimLease", "b", HOUR_MS)).toMatchObject({ generation: 2 });
      // Put right again: by its times the first lease would be live.
      await everywhere(0);
      const before = await b.call("dump");
      await expect(a.call("commit", "right")).rejects.toMatchObject({ code: "LEASE_EXPIRED" });
      expect(await b.call("dump")).toEqual(before);
      expect(await b.call("commit", "turn-of-b")).toBe(2);
    });
  });
}
