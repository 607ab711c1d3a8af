import { openMemoryKv } from "@tidemark/kv";
import { describe, expect, test } from "vitest";
import type { LeaseRecord } from "../src/lease.ts";
import { workCompletion, type WorkClaim } from "../src/work-claim.ts";
import type { WorkDraft } from "../src/work-draft.ts";
import { refused } from "./refusal.ts";
import { openSession, type LeaseAndQueue } from "./session-on-memory.ts";

/** A draft of one text. */
function say(text: string, more: Partial<WorkDraft> = {}): WorkDraft {
  return { items: [{ payload: { text } }], ...more };
}

async function hold({ lease }: LeaseAndQueue, owner: string = "a"): Promise<LeaseRecord> {
  return (await lease.claim({ owner, ttlMs: 1_000 })) as LeaseRecord;
}

describe("WorkQueue", () => {
  test("C-52 C-86 what is queued is there for another handle, and the same source key is one row", async () => {
    const memory = await openSession();
    const { batch } = await memory.process().queue.enqueue(say("hi", { sourceKey: "mail-7" }));
    expect(batch).toMatchObject({ sequence: 1, session: "s", sourceKey: "mail-7", enqueuedAtMs: 1_000 });
    expect(batch.items).toEqual([{ id: `${batch.id}.1`, payload: { text: "hi" } }]);
    const other = memory.process().queue;
    expect(await other.enqueue(say("hi", { sourceKey: "mail-7" }))).toEqual({ batch, enqueued: false });
    expect(await other.list()).toEqual([{ ...batch, state: "pending-active", claimCount: 0 }]);
  });

  test("C-52 handles that queue the same source key at once queue it once", async () => {
    const memory = await openSession();
    const calls = Array.from({ length: 8 }, () =>
      memory.process().queue.enqueue(say("hi", { sourceKey: "k" })),
    );
    const results = await Promise.all(calls);
    expect(results.filter(({ enqueued }) => enqueued).length).toBe(1);
    expect(new Set(results.map(({ batch }) => batch.id)).size).toBe(1);
    expect((await refused(memory.process().queue.enqueue(say("other", { sourceKey: "k" })))).code).toBe(
      "SOURCE_CONFLICT",
    );
  });

  test("C-52 a store that cannot keep a queue refuses loudly", async () => {
    const memory = await openSession();
    for (const limits of [{ scan: false }, { keysPerCommitMax: 1 }]) {
      const { queue } = memory.process({}, openMemoryKv(limits));
      expect((await refused(queue.enqueue(say("hi")))).code).toBe("WORK_UNSUPPORTED");
      expect((await refused(queue.list())).code).toBe("WORK_UNSUPPORTED");
    }
  });

  test("C-54 batches that are queued at once have sequences without a gap, and are listed in that order", async () => {
    const memory = await openSession();
    await Promise.all(["a", "b", "c", "d", "e"].map((text) => memory.process().queue.enqueue(say(text))));
    const list = await memory.process().queue.list();
    expect(list.map((work) => work.sequence)).toEqual([1, 2, 3, 4, 5]);
  });

  test("C-55 C-59 of handles that race for the same rows one has all of them, and the others none", async () => {
    const memory = await openSession();
    const { queue } = memory.process();
    for (const text of ["a", "b", "c"]) await queue.enqueue(say(text, { slot: "join" }));
    const fence = await hold(memory.process());
    const request = { fence, boundary: "idle", max: 3 } as const;
    const claims = await Promise.all([1, 2, 3, 4].map(() => memory.process().queue.claim(request)));
    const won = claims.filter((claim) => claim !== undefined);
    expect(won.map((claim) => claim.batches.map((batch) => batch.items[0]?.payload))).toEqual([
      [{ text: "a" }, { text: "b" }, { text: "c" }],
    ]);
    memory.nowMs += 1_000;
    expect((await refused(queue.claim(request))).code).toBe("LEASE_EXPIRED");
  });

  test("C-61 after a refused claim by ids the pending list is unchanged", async () => {
    const memory = await openSession();
    const process = memory.process();
    const { queue } = process;
    const [a, b] = [(await queue.enqueue(say("a"))).batch, (await queue.enqueue(say("b"))).batch];
    const fence = await hold(process);
    const before = await memory.dump();
    expect(await queue.claimByIds({ fence, boundary: "idle", ids: [b.id] })).toBeUndefined();
    expect(await memory.dump()).toEqual(before);
    expect(await queue.claimByIds({ fence, boundary: "idle", ids: [a.id] })).toMatchObject({
      id: "1.1",
      batches: [a],
    });
  });

  test("C-62 C-63 a claim is renewed while it is held, and what is given back is another's", async () => {
    const memory = await openSession();
    const process = memory.process();
    const { queue } = process;
    await queue.enqueue(say("a"));
    const fence = await hold(process);
    const claim = (await queue.claim({ fence, boundary: "idle", max: 1 })) as WorkClaim;
    const { batches: _batches, ...record } = claim;
    expect(await queue.renewClaim(fence, workCompletion(claim))).toEqual(record);
    expect(await queue.abandon(fence, workCompletion(claim), { as: "deferred" })).toBe(1);
    expect(await queue.abandon(fence, workCompletion(claim))).toBe(0);
    expect((await refused(queue.renewClaim(fence, workCompletion(claim)))).code).toBe("CLAIM_EXPIRED");
    expect((await queue.pending()).map((work) => work.state)).toEqual(["deferred-next-turn"]);
  });

  test("C-64 a claim and a cancel of one batch at once: one of them has it", async () => {
    for (let round = 0; round < 10; round++) {
      const memory = await openSession();
      const [worker, user] = [memory.process(), memory.process()];
      const { batch } = await user.queue.enqueue(say("a"));
      const fence = await hold(worker);
      const cancel = () => user.queue.cancel({ ids: [batch.id] });
      const claim = () => worker.queue.claim({ fence, boundary: "idle", max: 1 });
      const [cancelled, claimed] =
        round % 2 === 0
          ? await Promise.all([cancel(), claim()])
          : await Promise.all([claim(), cancel()]).then(([b, a]) => [a, b] as const);
      expect(cancelled[0]?.outcome).toBe(claimed === undefined ? "cancelled" : "already-claimed");
    }
  });

  test("C-65 the full list has what is claimed until it is completed, the pending list has it not", async () => {
    const memory = await openSession();
    const process = memory.process();
    await process.queue.enqueue(say("a"));
    const fence = await hold(process);
    await process.queue.claim({ fence, boundary: "idle", max: 1 });
    expect(await process.queue.list()).toMatchObject([{ state: "accepted", claim: "1.1", claimCount: 1 }]);
    expect(await process.queue.pending()).toEqual([]);
    memory.nowMs += 1_000;
    expect(await process.queue.pending()).toMatchObject([{ state: "pending-active", claimCount: 1 }]);
  });

  test("C-67 claims of one session never touch another's", async () => {
    const memory = await openSession();
    const process = memory.process();
    await process.queue.enqueue(say("a"));
    const fence = await hold(process);
    const claim = (await process.queue.claim({ fence, boundary: "idle", max: 1 })) as WorkClaim;
    const foreign = { ...fence, session: "t" };
    for (const call of [
      process.queue.claim({ fence: foreign, boundary: "idle", max: 1 }),
      process.queue.held(foreign),
      process.queue.renewClaim(foreign, workCompletion(claim)),
      process.queue.abandon(foreign, workCompletion(claim)),
    ]) {
      expect(await refused(call)).toMatchObject({
        code: "SESSION_BINDING_MISMATCH",
        bound: "s",
        attempted: "t",
      });
    }
  });

  test("C-68 a worker that never heard of its claim, or was started anew, finds what it holds", async () => {
    const memory = await openSession();
    const { queue } = memory.process();
    const { batch } = await queue.enqueue(say("a"));
    const claim = await queue.claim({ fence: await hold(memory.process()), boundary: "idle", max: 1 });
    const again = memory.process();
    const fence = await hold(again);
    expect(await again.queue.held(fence)).toEqual([{ ...claim, batches: [batch] }]);
    memory.nowMs += 1_000;
    expect((await refused(again.queue.held(fence))).code).toBe("LEASE_EXPIRED");
    expect(await again.queue.held(await hold(again))).toEqual([]);
  });

  test("C-69 a suffix is cancelled in one step, in order, but for what is claimed, and can be asked for until vacuum", async () => {
    const memory = await openSession();
    const process = memory.process();
    const { queue } = process;
    const ids: string[] = [];
    for (const text of ["a", "b", "c", "d"]) ids.push((await queue.enqueue(say(text))).batch.id);
    const [a, b, c, d] = ids as [string, string, string, string];
    const fence = await hold(process);
    await queue.claimByIds({ fence, boundary: "idle", ids: [a] });
    await queue.claimByIds({ fence, boundary: "idle", ids: [b] });
    expect(await queue.cancel({ from: "none" })).toEqual([{ id: "none", outcome: "not-found" }]);
    expect(await queue.cancel({ from: b })).toEqual([
      { id: b, outcome: "already-claimed" },
      { id: c, outcome: "cancelled" },
      { id: d, outcome: "cancelled" },
    ]);
    expect(await queue.cancel({ from: d })).toEqual([{ id: d, outcome: "already-cancelled" }]);
    expect(await queue.find(c)).toMatchObject({
      id: c,
      state: "cancelled",
      items: [{ payload: { text: "c" } }],
    });
    expect(await queue.find(b)).toMatchObject({ state: "accepted", claim: "2.1" });
    expect(await queue.vacuum({ beforeMs: memory.nowMs })).toBe(0);
    expect(await queue.vacuum()).toBe(2);
    expect(await queue.vacuum()).toBe(0);
    expect(await queue.find(c)).toBeUndefined();
    expect((await queue.list()).map((work) => work.id)).toEqual([a, b]);
  });

  test("C-69 a vacuum of more than one step forgets all, with their source keys, and leaves no row", async () => {
    const memory = await openSession();
    const { queue } = memory.process();
    const ids: string[] = [];
    for (let n = 0; n < 250; n++)
      ids.push((await queue.enqueue(say(`${n}`, { sourceKey: `k${n}` }))).batch.id);
    await queue.cancel({ ids });
    expect(await queue.vacuum()).toBe(250);
    expect((await memory.dump()).length).toBe(2);
    expect((await queue.enqueue(say("new", { sourceKey: "k0" }))).batch.sequence).toBe(251);
  });

  test("RUN-7 the queue refuses at its bound, keeps what it has, and takes more once something ended", async () => {
    const memory = await openSession();
    const { queue } = memory.process({ openMax: 2 });
    const { batch } = await queue.enqueue(say("a"));
    await queue.enqueue(say("b"));
    expect(await refused(queue.enqueue(say("c")))).toMatchObject({
      code: "WORK_QUEUE_FULL",
      limit: 2,
      retryable: true,
    });
    expect((await queue.list()).length).toBe(2);
    await queue.cancel({ ids: [batch.id] });
    expect((await queue.enqueue(say("c"))).enqueued).toBe(true);
    expect(() => memory.process({ openMax: 1_001 })).toThrow(RangeError);
    expect(() => queue.cancel({ ids: Array.from({ length: 1_001 }, () => "x") })).toThrow(RangeError);
  });

  test("RUN-7 archived and deleted sessions take no work", async () => {
    const memory = await openSession();
    const { queue } = memory.process();
    await memory.gate("archived");
    expect((await refused(queue.enqueue(say("a")))).code).toBe("SESSION_ARCHIVED");
    expect(await queue.list()).toEqual([]);
    await memory.gate("deleted");
    expect((await refused(queue.enqueue(say("a")))).code).toBe("SESSION_DELETED");
  });
});
