import { KvError } from "@tidemark/kv";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonValue, SessionStore, SessionStoreErrorCode, TurnCommit } from "../src/index.ts";
import { workCompletion } from "../src/work-claim.ts";
import { refused } from "./refusal.ts";
import { appending, Bench, hold, kvWith, node } from "./stores.ts";

interface Scene {
  readonly bench: Bench;
  readonly session: SessionStore;
  /** Commits a node `id` under the lease that is held. */
  commit(id: string, more?: Partial<TurnCommit>): Promise<unknown>;
}

interface Case {
  readonly ids: string;
  readonly code: SessionStoreErrorCode;
  /** Facts of the error. */
  readonly facts: object;
  /** What ends in the error, over a session `s` whose head is the nodes `a` and `b`, at `a`, after turn `t`. */
  provoke(scene: Scene): Promise<unknown>;
}

const turnState = { turnIndex: 0, usage: {} };
const zeros = "0".repeat(64);

const cases: readonly Case[] = [
  {
    ids: "C-1",
    code: "SESSION_BINDING_MISMATCH",
    facts: { bound: "s", attempted: "t" },
    provoke: ({ commit }) => commit("c", { session: "t" }),
  },
  {
    ids: "C-2",
    code: "UNSUPPORTED_READ_SCOPE",
    facts: { scope: "some" },
    provoke: ({ session }) => session.load({ scope: "some" as "full" }),
  },
  {
    ids: "C-3",
    code: "HEAD_CONFLICT",
    facts: { expected: 9, actual: 1, session: "s" },
    provoke: ({ commit }) => commit("c", { expected: 9 }),
  },
  {
    ids: "C-4",
    code: "TURN_COMMIT_CONFLICT",
    facts: { session: "s", turn: "t" },
    provoke: ({ commit }) => commit("c", { turn: { session: "s", turn: "t" } }),
  },
  {
    ids: "C-4",
    code: "TURN_COMMIT_CONFLICT",
    facts: { session: "other", turn: "u" },
    provoke: ({ commit }) => commit("c", { turn: { session: "other", turn: "u" } }),
  },
  {
    ids: "C-5",
    code: "CLAIM_EXPIRED",
    facts: { session: "s", claim: "1.1" },
    provoke: ({ commit }) => commit("c", { completed: [{ session: "s", claim: "1.1", generation: 1 }] }),
  },
  {
    ids: "C-6",
    code: "LEASE_EXPIRED",
    facts: { session: "s" },
    async provoke({ bench, commit }) {
      bench.nowMs += 30_000;
      await commit("c");
    },
  },
  {
    ids: "C-9",
    code: "SESSION_DELETED",
    facts: { session: "s" },
    async provoke({ bench, commit }) {
      await (await bench.stores()).delete("s");
      await commit("c");
    },
  },
  {
    ids: "C-9",
    code: "COMMIT_TOO_LARGE",
    facts: { limit: 1024 * 1024 },
    provoke: ({ commit }) =>
      commit("c", {
        currentFrame: "f",
        checkpoint: { turnState, toolState: { body: new Uint8Array(2 ** 20) } },
      }),
  },
  { ids: "C-9", code: "NODE_COLLISION", facts: { node: "a" }, provoke: ({ commit }) => commit("a") },
  {
    ids: "C-9",
    code: "LEAF_UNRESOLVABLE",
    facts: { node: "zz" },
    provoke: ({ session }) => session.load({ scope: "path", leaf: "zz" }),
  },
  {
    ids: "C-9",
    code: "COMPONENT_MISSING",
    facts: { component: zeros },
    provoke: ({ commit }) => commit("c", { checkpoint: { turnState, toolState: { ref: zeros } } }),
  },
  {
    ids: "C-9",
    code: "BUSY",
    facts: { retryable: true },
    async provoke({ bench }) {
      const kv = await bench.handle();
      const busy = kvWith(kv, { commit: () => Promise.resolve({ committed: false, failed: 0 }) });
      await (await (await bench.stores({ kv: busy })).open("s"))!.lease.claim({ owner: "worker" });
    },
  },
  {
    ids: "C-8",
    code: "STORAGE_FAILED",
    facts: { retryable: true, cause: { code: "KV_UNAVAILABLE" } },
    async provoke({ bench }) {
      const fails = () => Promise.reject(new KvError("KV_UNAVAILABLE", "gone", { committed: "unknown" }));
      const kv = kvWith(await bench.handle(), { scan: fails });
      await (await (await bench.stores({ kv })).open("s"))!.load();
    },
  },
];

describe("the outcome of each failure", () => {
  test.each(cases)("$ids is $code with its facts", async ({ code, facts, provoke }) => {
    await using bench = new Bench();
    const session = await bench.session();
    const lease = await hold(session);
    const commit = (id: string, more: Partial<TurnCommit> = {}): Promise<unknown> =>
      session.commit(appending(session, lease, [node(id)], more));
    const graph = { type: "append", nodes: [node("a"), node("b")], leaf: "a" } as const;
    await commit("a", { graph, turn: { session: "s", turn: "t" } });
    expect(await refused(provoke({ bench, session, commit }))).toMatchObject({ code, ...facts });
  });
});

test("C-16 a node comes back as it was given, whatever its payload", async () => {
  await using bench = new Bench();
  const session = await bench.session();
  const lease = await hold(session);
  let count = 0;
  const payloads = fc.sample(fc.jsonValue({ stringUnit: "grapheme" }), 100);
  for (const value of payloads) {
    const payload = JSON.parse(JSON.stringify(value)) as JsonValue;
    const parent = count === 0 ? {} : { parent: `n${count - 1}`, frame: "f", cause: "c" };
    const given = { id: `n${count++}`, timestamp: count, payload, ...parent };
    await session.commit(appending(session, lease, [given]));
    expect(await session.node(given.id)).toEqual(given);
  }
});

test("C-37 nothing is appended below a hidden node, and its id stays in use until a vacuum", async () => {
  await using bench = new Bench();
  const session = await bench.session();
  const lease = await hold(session);
  const graph = { type: "append", nodes: [node("a"), node("b")], leaf: "a" } as const;
  await session.commit(appending(session, lease, [node("a")], { graph }));
  expect(await session.tombstone(["b"])).toBe(1);
  const below = appending(session, lease, [node("c", "b")]);
  expect(await refused(session.commit(below))).toMatchObject({ code: "NODE_PARENT_UNKNOWN", node: "c" });
  const again = appending(session, lease, [node("b")]);
  expect(await refused(session.commit(again))).toMatchObject({ code: "NODE_COLLISION", node: "b" });
  expect(await session.vacuum()).toBe(1);
  expect(await session.commit(again)).toMatchObject({ revision: 2 });
});

test("C-5 C-34 a completion whose lease generation is over completes nothing", async () => {
  await using bench = new Bench();
  const session = await bench.session();
  const first = await hold(session);
  await session.work.enqueue({ items: [{ payload: 1 }] });
  const claim = (await session.work.claim({ fence: first, boundary: "idle", max: 1 }))!;
  await session.lease.release(first);
  const next = await hold(session, "next");
  const late = appending(session, next, [node("a")], { completed: [workCompletion(claim)] });
  expect((await refused(session.commit(late))).code).toBe("CLAIM_EXPIRED");
  expect(await session.work.pending()).toHaveLength(1);
});
