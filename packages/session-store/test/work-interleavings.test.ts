import { expect, test } from "vitest";
import { openSessionStores, type SessionStore } from "../src/index.ts";
import type { LeaseRecord } from "../src/lease.ts";
import { type WorkClaim, workCompletion } from "../src/work-claim.ts";
import { digestOf, quickHasher } from "./attachment-parts.ts";
import { type Actor, explore, type Hands, type Outcome } from "./interleavings.ts";
import { appending, node } from "./stores.ts";

/** What was there before anybody acted: made anew, and the same, for each history. */
interface Before {
  lease: LeaseRecord;
  claim: WorkClaim;
  batch: string;
}

let before: Before;

async function stores(hands: Hands) {
  let byte = 0;
  const name = hands
    .fresh()
    .split("")
    .reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 251, 7);
  const randomBytes = (count: number) => new Uint8Array(count).fill(name).fill(++byte, 1);
  return openSessionStores({ kv: hands.kv, hasher: quickHasher, randomBytes });
}

async function open(hands: Hands): Promise<SessionStore> {
  return (await (await stores(hands)).open("s")) as SessionStore;
}

/** A session with a batch of work that its worker has claimed. */
async function prepare(hands: Hands): Promise<void> {
  const session = await (await stores(hands)).create({ id: "s", model: "m-1" });
  const lease = (await session.lease.claim({ owner: "a" })) as LeaseRecord;
  const { batch } = await session.work.enqueue({ items: [{ payload: 1 }] });
  const claim = (await session.work.claim({ fence: lease, boundary: "idle", max: 1 })) as WorkClaim;
  before = { lease, claim, batch: batch.id };
}

function actor(name: string, run: (session: SessionStore) => Promise<unknown>): Actor {
  return { name, crashes: false, run: async (hands) => run(await open(hands)) };
}

/** A turn that completes the claimed work. */
function turn(session: SessionStore, id: string) {
  return session.commit(
    appending(session, before.lease, [node(id)], {
      turn: { session: "s", turn: id },
      completed: [workCompletion(before.claim)],
    }),
  );
}

/** The code of the refusal that an actor ended with; `done` if it did not. */
function ended(outcomes: ReadonlyMap<string, Outcome>, name: string): unknown {
  const outcome = outcomes.get(name);
  return outcome?.kind === "failed" ? (outcome.error as { code: string }).code : outcome?.kind;
}

test("C-29 RUN-5 a retry beside its first attempt is a replay in every order, also where the turn settles work", async () => {
  const { states } = await explore({
    prepare,
    actors: [
      actor("first", (session) => turn(session, "t")),
      actor("retry", (session) => turn(session, "t")),
    ],
    crashesMax: 0,
    judgesAnswers: true,
    digestOf,
    judge: async (hands, outcomes) => {
      const results = [...outcomes.values()].map((outcome) => {
        if (outcome.kind !== "done") throw (outcome as { error: unknown }).error;
        return outcome.value as { outcome: string; revision: number };
      });
      expect(results.map(({ outcome }) => outcome).sort()).toEqual(["committed", "replayed"]);
      expect(results.map(({ revision }) => revision)).toEqual([1, 1]);
      expect(await (await open(hands)).work.find(before.batch)).toMatchObject({ state: "completed" });
    },
  });
  expect(states).toBeGreaterThan(20);
});

test("C-66 RUN-7 a commit and a giving back of its claim: one of them has the work, in every order", async () => {
  const seen = new Set<unknown>();
  await explore({
    prepare,
    actors: [
      actor("commit", (session) => turn(session, "t")),
      actor("abandon", (session) => session.work.abandon(before.lease, workCompletion(before.claim))),
    ],
    crashesMax: 0,
    judgesAnswers: true,
    digestOf,
    judge: async (hands, outcomes) => {
      const session = await open(hands);
      const commit = ended(outcomes, "commit");
      seen.add(commit);
      const { value: givenBack } = outcomes.get("abandon") as { value: number };
      expect(givenBack).toBe(commit === "done" ? 0 : 1);
      expect(await session.work.find(before.batch)).toMatchObject({
        state: commit === "done" ? "completed" : "pending-active",
      });
      expect((await session.headMeta())?.revision).toBe(commit === "done" ? 1 : undefined);
    },
  });
  expect(seen).toEqual(new Set(["done", "CLAIM_EXPIRED"]));
});

test("C-34 C-68 RUN-6 a worker and its successor: the work is done once, and the later turn knows the earlier, in every order", async () => {
  const seen = new Set<unknown>();
  await explore({
    prepare,
    actors: [
      actor("old", (session) => turn(session, "old")),
      actor("new", async (session) => {
        await session.lease.release(before.lease);
        const lease = (await session.lease.claim({ owner: "b" })) as LeaseRecord;
        const claim = await session.work.claim({ fence: lease, boundary: "idle", max: 1 });
        const completed = claim === undefined ? [] : [workCompletion(claim)];
        return session.commit(appending(session, lease, [node("new")], { completed }));
      }),
    ],
    crashesMax: 0,
    judgesAnswers: true,
    digestOf,
    judge: async (hands, outcomes) => {
      const session = await open(hands);
      const old = ended(outcomes, "old");
      seen.add(old);
      expect(ended(outcomes, "new")).toBe("done");
      const head = await session.load();
      expect(head?.graph.nodes.map(({ id }) => id)).toEqual(old === "done" ? ["old", "new"] : ["new"]);
      expect(await session.work.find(before.batch)).toMatchObject({
        state: "completed",
        claimCount: old === "done" ? 1 : 2,
      });
    },
  });
  expect(seen).toEqual(new Set(["done", "LEASE_EXPIRED"]));
});

test("C-64 RUN-7 a claim, a cancel and a second enqueue of one source key: one outcome, in every order", async () => {
  await explore({
    prepare: async (hands) => {
      await prepare(hands);
      const session = await open(hands);
      const { batch } = await session.work.enqueue({ items: [{ payload: 2 }], sourceKey: "k" });
      before.batch = batch.id;
    },
    actors: [
      actor("claim", (session) => session.work.claim({ fence: before.lease, boundary: "idle", max: 1 })),
      actor("cancel", (session) => session.work.cancel({ ids: [before.batch] })),
      actor("enqueue", (session) => session.work.enqueue({ items: [{ payload: 2 }], sourceKey: "k" })),
    ],
    crashesMax: 0,
    judgesAnswers: true,
    interruptionsMax: 2,
    digestOf,
    judge: async (hands, outcomes) => {
      for (const name of ["claim", "cancel", "enqueue"]) expect(ended(outcomes, name)).toBe("done");
      const { value: claim } = outcomes.get("claim") as { value: WorkClaim | undefined };
      const { value: cancels } = outcomes.get("cancel") as { value: readonly { outcome: string }[] };
      expect(cancels[0]?.outcome).toBe(claim === undefined ? "cancelled" : "already-claimed");
      expect(outcomes.get("enqueue")).toMatchObject({
        value: { enqueued: false, batch: { id: before.batch } },
      });
      expect(await (await open(hands)).work.find(before.batch)).toMatchObject({
        state: claim === undefined ? "cancelled" : "accepted",
      });
    },
  });
});
