import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { workCompletion, type ClaimRecord } from "../src/work-claim.ts";
import { WORK_ITEMS_MAX } from "../src/work-draft.ts";
import { refusal } from "./refusal.ts";
import { WorkModel } from "./work-model.ts";

/** The ids of batches queued one after the other with these drafts. */
function queued(model: WorkModel, ...drafts: Parameters<WorkModel["enqueue"]>[0][]): string[] {
  return drafts.map((draft) => model.enqueue(draft).batch.id);
}

/** Ids of the batches a claim has, in its order. */
function ids(model: WorkModel, claim: ClaimRecord | undefined): string[] | undefined {
  return claim?.sequences.map((sequence) => model.batches.get(sequence)?.id as string);
}

describe("queued work", () => {
  test("C-52 the same source key again is the first batch, with its payload and item ids, and no second row", () => {
    const model = new WorkModel();
    const first = model.enqueue({ sourceKey: "mail-7", items: [{ payload: { text: "hi" } }] });
    const again = model.enqueue({ sourceKey: "mail-7", items: [{ payload: { text: "hi" } }] });
    expect(first.enqueued).toBe(true);
    expect(again).toEqual({ batch: first.batch, enqueued: false });
    expect(model.queue).toMatchObject({ sequence: 1, open: 1 });
  });

  test("C-52 what a retry computes anew is no other content: ids and the time it is available from", () => {
    const model = new WorkModel();
    const items = (id: string) => [{ id, payload: 1 }];
    const { batch } = model.enqueue({ sourceKey: "k", items: items("i1"), availableAtMs: 5 });
    expect(model.enqueue({ sourceKey: "k", items: items("i2"), availableAtMs: 6 }).batch).toEqual(batch);
  });

  test("C-53 a source key outlives completion and cancellation until vacuum, and other content under it is SOURCE_CONFLICT", () => {
    const model = new WorkModel();
    const items = [{ payload: "x" }];
    const [done, gone] = queued(model, { sourceKey: "a", items }, { sourceKey: "b", items });
    const fence = model.hold();
    model.settle(workCompletion(model.claim(fence) as ClaimRecord));
    model.cancel(gone as string);
    expect(model.enqueue({ sourceKey: "a", items })).toMatchObject({ enqueued: false, batch: { id: done } });
    expect(model.enqueue({ sourceKey: "b", items })).toMatchObject({ enqueued: false, batch: { id: gone } });
    for (const other of [{ items: [{ payload: "y" }] }, { slot: "join" }, { mergeKey: "m" }] as const) {
      expect(refusal(() => model.enqueue({ sourceKey: "a", items, ...other })).code).toBe("SOURCE_CONFLICT");
    }
    expect(model.vacuum()).toBe(2);
    expect(model.enqueue({ sourceKey: "a", items: [{ payload: "y" }] }).enqueued).toBe(true);
  });

  test("C-54 sequences grow, also over what was cancelled and vacuumed, and the order is that of enqueuing", () => {
    const model = new WorkModel();
    const [first, second] = queued(model, {}, {});
    model.cancel(second as string);
    model.vacuum();
    const { batch } = model.enqueue();
    expect(batch.sequence).toBe(3);
    expect(model.states().map(([id]) => id)).toEqual([first, batch.id]);
  });

  test("C-55 claiming needs the live lease, before anything else is looked at; max 0 and nothing ready give none", () => {
    const model = new WorkModel();
    const fence = model.hold();
    expect(model.claim(fence)).toBeUndefined();
    queued(model, {});
    expect(model.claim(fence, { max: 0 })).toBeUndefined();
    model.nowMs += 1_000;
    expect(refusal(() => model.claim(fence, { max: 0 }))).toMatchObject({
      code: "LEASE_EXPIRED",
      session: "s",
    });
    expect(() => model.claim(model.hold(), { max: 101 })).toThrow(RangeError);
  });

  test("C-56 work that is not available yet is skipped and does not block", () => {
    const model = new WorkModel();
    const [, now] = queued(model, { availableAtMs: 1_500 }, {});
    const fence = model.hold();
    const claim = model.claim(fence) as ClaimRecord;
    expect(ids(model, claim)).toEqual([now]);
    expect(model.claim(fence)).toBeUndefined();
    model.nowMs = 1_500;
    expect(model.claim(fence)?.sequences).toEqual([1]);
  });

  test("C-57 at a checkpoint the head must be for the earliest safe boundary, at idle anything goes", () => {
    const model = new WorkModel();
    const [later, soon] = queued(
      model,
      { delivery: "after-current-turn" },
      { delivery: "earliest-safe-boundary" },
    );
    const fence = model.hold();
    expect(model.claim(fence, { boundary: "active-turn-checkpoint" })).toBeUndefined();
    expect(ids(model, model.claim(fence, { boundary: "idle" }))).toEqual([later]);
    // The head is held: the next one is head.
    expect(ids(model, model.claim(fence, { boundary: "active-turn-checkpoint" }))).toEqual([soon]);
  });

  test("C-58 an exclusive head is claimed alone, a join head with the joining ones directly after it", () => {
    const model = new WorkModel();
    const join = { slot: "join" } as const;
    const [a, b, c, d, e, f, g, h] = queued(
      model,
      { slot: "exclusive" },
      join,
      join,
      { slot: "exclusive" },
      { ...join, mergeKey: "m" },
      { ...join, mergeKey: "m" },
      { ...join, mergeKey: "n" },
      { ...join, mergeKey: "n", delivery: "after-current-turn" },
    );
    const fence = model.hold();
    const claims = [];
    for (let claim = model.claim(fence); claim !== undefined; claim = model.claim(fence))
      claims.push(ids(model, claim));
    expect(claims).toEqual([[a], [b, c], [d], [e, f], [g], [h]]);
  });

  test("C-58 a claim takes at most what was asked for", () => {
    const model = new WorkModel();
    const [a, b, c] = queued(model, { slot: "join" }, { slot: "join" }, { slot: "join" });
    const fence = model.hold();
    expect(ids(model, model.claim(fence, { max: 2 }))).toEqual([a, b]);
    expect(ids(model, model.claim(fence, { max: 2 }))).toEqual([c]);
  });

  test("C-60 a claim's id is of its head's sequence and claim count, which each claim raises", () => {
    const model = new WorkModel();
    queued(model, { slot: "join" }, { slot: "join" });
    const first = model.claim(model.hold("a")) as ClaimRecord;
    expect(first.id).toBe("1.1");
    model.nowMs += 1_000;
    const second = model.claim(model.hold("b")) as ClaimRecord;
    expect(second).toMatchObject({ id: "1.2", generation: 2, owner: "b", sequences: [1, 2] });
    expect([...model.open.values()].map((work) => work.claimCount)).toEqual([2, 2]);
    expect([...model.claims.keys()]).toEqual(["1.2"]);
  });

  test("C-61 a claim by ids succeeds only for exactly the next group in order, and changes nothing otherwise", () => {
    const model = new WorkModel();
    const join = { slot: "join" } as const;
    const [a, b, c, d] = queued(model, join, join, {}, {}) as [string, string, string, string];
    const fence = model.hold();
    const before = model.states();
    for (const list of [[], [b], [b, a], [a, c], [a, b, c], [c], [d], ["none"], [a, a]]) {
      expect(model.claimByIds(fence, list)).toBeUndefined();
    }
    expect(model.states()).toEqual(before);
    expect(model.queue.version).toBe(4);
    expect(ids(model, model.claimByIds(fence, [a, b]))).toEqual([a, b]);
    expect(ids(model, model.claimByIds(fence, [c]))).toEqual([c]);
  });

  test("C-61 part of the next group is a claim by ids too, if it is its beginning", () => {
    const model = new WorkModel();
    const [a, b] = queued(model, { slot: "join" }, { slot: "join" }) as [string, string];
    expect(ids(model, model.claimByIds(model.hold(), [a]))).toEqual([a]);
    expect(model.states()[1]).toEqual([b, "pending-active"]);
  });

  test("C-62 renewing a claim verifies that it holds every batch, else CLAIM_EXPIRED", () => {
    const model = new WorkModel();
    queued(model, { slot: "join" }, { slot: "join" });
    const fence = model.hold();
    const claim = model.claim(fence) as ClaimRecord;
    expect(model.renew(fence, workCompletion(claim))).toEqual(claim);
    for (const other of [{ claim: "9.1" }, { generation: 7 }, { session: "t" }]) {
      const error = refusal(() => model.renew(fence, { ...workCompletion(claim), ...other }));
      expect(error.code).toBe("CLAIM_EXPIRED");
    }
    // One row of the two lost is the claim lost.
    model.open.delete(2);
    expect(refusal(() => model.renew(fence, workCompletion(claim)))).toMatchObject({
      code: "CLAIM_EXPIRED",
      session: "s",
      claim: "1.1",
    });
  });

  test("C-63 abandoned work is pending, claimable and cancellable again, under a higher claim count", () => {
    const model = new WorkModel();
    const [a] = queued(model, {}) as [string];
    const fence = model.hold();
    const first = model.claim(fence) as ClaimRecord;
    expect(model.abandon(fence, workCompletion(first))).toBe(1);
    expect(model.states()).toEqual([[a, "pending-active"]]);
    expect(refusal(() => model.settle(workCompletion(first))).code).toBe("CLAIM_EXPIRED");
    const second = model.claim(fence) as ClaimRecord;
    expect(second.id).toBe("1.2");
    expect(model.abandon(fence, workCompletion(first))).toBe(0);
    expect(model.abandon(fence, workCompletion(second))).toBe(1);
    expect(model.cancel(a)).toEqual([{ id: a, outcome: "cancelled" }]);
  });

  test("C-63 giving work back under a lease that is over changes nothing: the claim is over by itself", () => {
    const model = new WorkModel();
    queued(model, {});
    const fence = model.hold();
    const claim = model.claim(fence) as ClaimRecord;
    model.nowMs += 1_000;
    const { version } = model.queue;
    expect(model.abandon(fence, workCompletion(claim), "cancelled")).toBe(0);
    expect(model.queue.version).toBe(version);
  });

  test("C-64 only an unclaimed batch is cancelled; under a live claim it is already claimed", () => {
    const model = new WorkModel();
    const [a, b] = queued(model, {}, {}) as [string, string];
    const fence = model.hold();
    model.claim(fence);
    expect(model.cancel(a, b, "none")).toEqual([
      { id: a, outcome: "already-claimed" },
      { id: b, outcome: "cancelled" },
      { id: "none", outcome: "not-found" },
    ]);
    // The lease is over, and so is the claim: its holder can no longer complete it.
    model.release();
    expect(model.cancel(a)).toEqual([{ id: a, outcome: "cancelled" }]);
    expect([...model.claims.keys()]).toEqual([]);
  });

  test("C-65 work under a claim whose generation is over counts as pending again", () => {
    const model = new WorkModel();
    const [a] = queued(model, {});
    model.claim(model.hold());
    expect(model.states()).toEqual([[a, "accepted"]]);
    model.nowMs += 1_000;
    expect(model.states()).toEqual([[a, "pending-active"]]);
  });

  test("C-66 completing settles all batches of all claims, or CLAIM_EXPIRED and nothing", () => {
    const model = new WorkModel();
    const [a, b] = queued(model, {}, {});
    const fence = model.hold();
    const [first, second] = [model.claim(fence), model.claim(fence)] as [ClaimRecord, ClaimRecord];
    const before = model.queue;
    const stale = { ...workCompletion(second), claim: "2.9" };
    expect(refusal(() => model.settle(workCompletion(first), stale)).code).toBe("CLAIM_EXPIRED");
    expect(refusal(() => model.settle(workCompletion(first), workCompletion(first))).code).toBe(
      "CLAIM_EXPIRED",
    );
    expect(model.queue).toEqual(before);
    model.settle(workCompletion(first), workCompletion(second));
    expect(model.states()).toEqual([
      [a, "completed"],
      [b, "completed"],
    ]);
    expect(model.queue).toMatchObject({ open: 0, openBytes: 0, settled: 2 });
    expect(refusal(() => model.settle(workCompletion(first))).code).toBe("CLAIM_EXPIRED");
  });

  test("C-68 a claim lives as long as its lease generation: however long the turn takes, and no longer", () => {
    const model = new WorkModel();
    queued(model, {});
    let fence = model.hold("a");
    const claim = model.claim(fence) as ClaimRecord;
    // A slow turn whose lease is kept: by the same owner, under new nonces.
    for (let hour = 0; hour < 5; hour++) {
      model.nowMs += 999;
      fence = model.hold("a");
    }
    expect(model.renew(fence, workCompletion(claim))).toEqual(claim);
    expect(model.claim(fence)).toBeUndefined();
    model.nowMs += 1_000;
    const next = model.hold("a");
    expect(refusal(() => model.renew(next, workCompletion(claim))).code).toBe("CLAIM_EXPIRED");
    expect(refusal(() => model.settle(workCompletion(claim))).code).toBe("CLAIM_EXPIRED");
    expect(model.claim(next)?.id).toBe("1.2");
  });

  test("C-69 input goes from pending-active to accepted, and from there to deferred-next-turn, cancelled or completed", () => {
    const model = new WorkModel();
    const [a, b, c] = queued(model, {}, {}, {});
    const fence = model.hold();
    expect(model.states().map(([, state]) => state)).toEqual([
      "pending-active",
      "pending-active",
      "pending-active",
    ]);
    const [first, second, third] = [1, 2, 3].map(() => model.claim(fence) as ClaimRecord);
    expect(model.states().map(([, state]) => state)).toEqual(["accepted", "accepted", "accepted"]);
    model.abandon(fence, workCompletion(first as ClaimRecord), "deferred");
    model.abandon(fence, workCompletion(second as ClaimRecord), "cancelled");
    model.settle(workCompletion(third as ClaimRecord));
    expect(model.states()).toEqual([
      [a, "deferred-next-turn"],
      [b, "cancelled"],
      [c, "completed"],
    ]);
    // Deferred work is not for this turn any more.
    expect(model.claim(fence, { boundary: "active-turn-checkpoint" })).toBeUndefined();
    expect(ids(model, model.claim(fence))).toEqual([a]);
  });

  test("C-69 each outcome of a cancel is its own, in bulk too, and the rows are evidence until vacuum", () => {
    const model = new WorkModel();
    const [claimed, done, gone, free] = queued(model, {}, {}, {}, {}) as [string, string, string, string];
    const fence = model.hold();
    model.claim(fence);
    model.settle(workCompletion(model.claim(fence) as ClaimRecord));
    model.cancel(gone);
    expect(model.cancel(claimed, done, gone, free, free, "none").map(({ outcome }) => outcome)).toEqual([
      "already-claimed",
      "already-completed",
      "already-cancelled",
      "cancelled",
      "already-cancelled",
      "not-found",
    ]);
    expect(model.vacuum(model.nowMs)).toBe(0);
    expect(model.vacuum(model.nowMs + 1)).toBe(3);
    expect(model.cancel(done)).toEqual([{ id: done, outcome: "not-found" }]);
  });

  test("RUN-7 a queue has bounds: batches, their bytes, and the bytes of one; at them it refuses", () => {
    const model = new WorkModel({ openMax: 2, openBytesMax: 120, batchBytesMax: 80 });
    const [a] = queued(model, {}, {}) as [string];
    expect(refusal(() => model.enqueue())).toMatchObject({ code: "WORK_QUEUE_FULL", limit: 2, actual: 3 });
    model.cancel(a);
    const large = (length: number) => ({ items: [{ id: "i", payload: "x".repeat(length) }] });
    expect(refusal(() => model.enqueue(large(80)))).toMatchObject({ code: "COMMIT_TOO_LARGE", limit: 80 });
    expect(model.enqueue(large(40)).enqueued).toBe(true);
    const small = new WorkModel({ openBytesMax: 40 });
    queued(small, {});
    expect(refusal(() => small.enqueue())).toMatchObject({ code: "WORK_QUEUE_FULL", limit: 40 });
  });

  test("RUN-7 a draft that no batch can be is a bug of the caller", () => {
    const model = new WorkModel();
    const many = Array.from({ length: WORK_ITEMS_MAX + 1 }, () => ({ payload: 1 }));
    const twice = [1, 2].map((payload) => ({ id: "i", payload }));
    for (const items of [[], many, twice, [{ id: "", payload: 1 }]]) {
      expect(() => model.enqueue({ items })).toThrow(RangeError);
    }
    expect(() => model.enqueue({ slot: "shared" as "join" })).toThrow(TypeError);
    expect(() => model.enqueue({ delivery: "never" as "after-current-turn" })).toThrow(TypeError);
    expect(() => model.enqueue({ availableAtMs: -1 })).toThrow(RangeError);
    expect(() => model.enqueue({ items: [{ payload: Number.NaN }] })).toThrow(TypeError);
  });

  test("RUN-7 whatever is queued, claimed, given back and cancelled: nothing is delivered twice, lost or overtaken", () => {
    const draft = fc.record({
      slot: fc.constantFrom("join" as const, "exclusive" as const),
      delivery: fc.constantFrom("earliest-safe-boundary" as const, "after-current-turn" as const),
      mergeKey: fc.constantFrom("m", "n"),
    });
    const step = fc.oneof(
      { weight: 3, arbitrary: draft.map((value) => ({ what: "enqueue" as const, draft: value })) },
      {
        weight: 5,
        arbitrary: fc.record({
          what: fc.constantFrom("claim", "settle", "abandon", "cancel", "expire", "checkpoint"),
          pick: fc.nat(20),
        }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const model = new WorkModel();
        let fence = model.hold();
        const claims: ClaimRecord[] = [];
        const completed: string[] = [];
        for (const one of steps) {
          if (one.what === "enqueue") {
            model.enqueue("draft" in one ? one.draft : {});
            continue;
          }
          const { pick } = one as { pick: number };
          const held = claims[pick % Math.max(1, claims.length)];
          if (one.what === "claim" || one.what === "checkpoint") {
            const free = model
              .states()
              .filter(([, state]) => state.startsWith("pend") || state.startsWith("def"));
            const boundary = one.what === "claim" ? "idle" : "active-turn-checkpoint";
            const claim = model.claim(fence, { boundary, max: 3 });
            if (claim === undefined) continue;
            // The head of what is free, and what follows it without a gap.
            expect(ids(model, claim)).toEqual(free.slice(0, claim.sequences.length).map(([id]) => id));
            claims.push(claim);
          } else if (one.what === "expire") {
            model.nowMs += 1_000;
            fence = model.hold(`o${pick}`);
          } else if (one.what === "cancel") {
            const batch = [...model.batches.values()][pick];
            if (batch !== undefined) model.cancel(batch.id);
          } else if (held !== undefined && one.what === "abandon") {
            model.abandon(fence, workCompletion(held), pick % 2 === 0 ? "pending" : "deferred");
          } else if (held !== undefined) {
            const names = ids(model, held) as string[];
            try {
              model.settle(workCompletion(held));
              completed.push(...names);
            } catch (error) {
              expect(error).toMatchObject({ code: "CLAIM_EXPIRED" });
            }
          }
        }
        expect(new Set(completed).size).toBe(completed.length);
        const done = model.states().filter(([, state]) => state === "completed");
        expect(done.map(([id]) => id).sort()).toEqual([...completed].sort());
        expect(model.queue).toMatchObject({
          open: model.open.size,
          settled: model.settled.size,
          openBytes: [...model.open.values()].reduce((sum, work) => sum + work.bytes, 0),
        });
        for (const claim of model.claims.values()) {
          expect(claim.sequences.some((sequence) => model.open.get(sequence)?.claim?.id === claim.id)).toBe(
            true,
          );
        }
      }),
    );
  });
});
