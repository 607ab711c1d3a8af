import type { Kv } from "@tidemark/kv";
import { describe, expect, test } from "vitest";
import type { LeaseRecord } from "../src/lease.ts";
import { refused } from "./refusal.ts";
import { openSession } from "./session-on-memory.ts";

describe("SessionLease", () => {
  test("C-43 a held lane gives none and says who holds it and since when", async () => {
    const memory = await openSession();
    const [a, b] = [memory.process(), memory.process()];
    const lease = (await a.lease.claim({ owner: "a" })) as LeaseRecord;
    expect(lease).toMatchObject({ owner: "a", generation: 1, claimedAtMs: 1_000, expiresAtMs: 31_000 });
    memory.nowMs = 30_999;
    expect(await b.lease.claim({ owner: "b" })).toBeUndefined();
    expect(await b.lease.current()).toEqual(lease);
    memory.nowMs = 31_000;
    expect(await b.lease.claim({ owner: "b" })).toMatchObject({ owner: "b", generation: 2 });
  });

  test("C-45 RUN-6 each claim has a nonce of its own, also of the same owner", async () => {
    const { lease } = (await openSession()).process();
    const first = (await lease.claim({ owner: "a" })) as LeaseRecord;
    const second = (await lease.claim({ owner: "a" })) as LeaseRecord;
    expect(second.generation).toBe(first.generation);
    expect(second.nonce).not.toBe(first.nonce);
    expect((await refused(lease.renew(first))).code).toBe("LEASE_EXPIRED");
    await lease.release(first);
    expect(await lease.current()).toEqual(second);
  });

  test("C-45 a claim whose answer was lost is claimed once with its nonce, and writes nothing more", async () => {
    const memory = await openSession();
    const kv = memory.kv.handle();
    const answerless = {
      capabilities: kv.capabilities,
      nowMs: () => kv.nowMs(),
      get: kv.get.bind(kv),
      scan: kv.scan.bind(kv),
      commit: async (...call: Parameters<Kv["commit"]>) => {
        await kv.commit(...call);
        throw new Error("the answer was lost");
      },
      close: () => kv.close(),
      [Symbol.asyncDispose]: () => kv.close(),
    } satisfies Kv;
    const claim = { owner: "a", nonce: "n-1" };
    await expect(memory.process({}, answerless).lease.claim(claim)).rejects.toThrow("the answer was lost");
    const before = await memory.dump();
    memory.nowMs += 10;
    expect(await memory.process().lease.claim(claim)).toMatchObject({
      nonce: "n-1",
      generation: 1,
      claimedAtMs: 1_000,
    });
    expect(await memory.dump()).toEqual(before);
  });

  test("C-46 C-47 renewing and releasing are fenced in the same step as they write", async () => {
    const memory = await openSession();
    const [a, b] = [memory.process(), memory.process()];
    const first = (await a.lease.claim({ owner: "a", ttlMs: 100 })) as LeaseRecord;
    memory.nowMs += 50;
    expect(await a.lease.renew(first, { ttlMs: 100 })).toEqual({ ...first, expiresAtMs: 1_150 });
    memory.nowMs += 100;
    const second = await b.lease.claim({ owner: "b", ttlMs: 100 });
    const before = await memory.dump();
    expect(await refused(a.lease.renew(first))).toMatchObject({ code: "LEASE_EXPIRED", session: "s" });
    await a.lease.release(first);
    await a.lease.release(first);
    expect(await memory.dump()).toEqual(before);
    expect(await b.lease.current()).toEqual(second);
    await b.lease.release(second as LeaseRecord);
    expect(await a.lease.claim({ owner: "a" })).toMatchObject({ generation: 3 });
  });

  test("C-49 of handles that race for the very first claim exactly one wins", async () => {
    for (let round = 0; round < 20; round++) {
      const memory = await openSession();
      const claims = ["a", "b", "c", "d"].map((owner) => memory.process().lease.claim({ owner }));
      const won = (await Promise.all(claims)).filter((lease) => lease !== undefined);
      expect(won.length).toBe(1);
      expect(await memory.process().lease.current()).toEqual(won[0]);
    }
  });

  test("RUN-1 a fence of another session, and a session that is unknown, archived or deleted, are refused", async () => {
    const memory = await openSession();
    const { lease } = memory.process();
    const held = (await lease.claim({ owner: "a" })) as LeaseRecord;
    expect(await refused(lease.renew({ ...held, session: "t" }))).toMatchObject({
      code: "SESSION_BINDING_MISMATCH",
      bound: "s",
      attempted: "t",
    });
    await memory.gate("archived");
    expect((await refused(lease.claim({ owner: "a" }))).code).toBe("SESSION_ARCHIVED");
    await memory.gate("deleted");
    expect((await refused(lease.renew(held))).code).toBe("SESSION_DELETED");
  });
});
