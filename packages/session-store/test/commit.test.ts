import { describe, expect, test } from "vitest";
import type { GraphDelta, LeaseRecord, SessionStore, TurnCommit } from "../src/index.ts";
import { workCompletion } from "../src/work-claim.ts";
import { backends } from "./backends.ts";
import { refused } from "./refusal.ts";
import { appending, Bench, hold, node } from "./stores.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const stamp = (turn: string, session = "s") => ({ turn: { session, turn } });

describe.each(backends)("commit over %s", (_, backend) => {
  test("C-28 unchanged, append and replace do to the graph what they say", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    await session.commit(appending(session, lease, [node("a"), node("b", "a"), node("c", "a")]));
    const move = (graph: GraphDelta) => session.commit(appending(session, lease, [node("x")], { graph }));
    await move({ type: "unchanged", leaf: "b" });
    expect((await session.load({ scope: "path" }))?.graph.nodes.map(({ id }) => id)).toEqual(["a", "b"]);
    await move({ type: "unchanged" });
    expect((await session.headMeta())?.leaf).toBe("b");
    await move({ type: "replace", graph: { nodes: [node("b"), node("n", "b")], leaf: "n" } });
    expect((await session.load())?.graph).toEqual({ nodes: [node("b"), node("n", "b")], leaf: "n" });
    expect(await session.node("a")).toBeUndefined();
    expect(await session.node("b")).toEqual(node("b"));
    await session.commit(appending(session, lease, [node("a", "n")]));
    expect((await session.headMeta())?.nodeCount).toBe(3);
  });

  test("C-29 the errors count in the documented order", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    await session.work.enqueue({ items: [{ payload: 1 }] });
    const claim = (await session.work.claim({ fence: lease, boundary: "idle", max: 1 }))!;
    await session.commit(appending(session, lease, [node("a")], stamp("t1")));
    const stale: LeaseRecord = { ...lease, nonce: "stale" };
    // Everything is wrong with this one; each step mends what is refused first.
    const wrong: TurnCommit = {
      session: "other",
      expected: 7,
      lease: stale,
      config: { provider: "p", model: "m-1" },
      graph: { type: "append", nodes: [node("a")], leaf: "zz" },
      turn: { session: "third", turn: "t1" },
      completed: [{ ...workCompletion(claim), claim: "9.9" }],
    };
    const mended: [code: string, mend: Partial<TurnCommit>][] = [
      ["SESSION_BINDING_MISMATCH", {}],
      ["TURN_COMMIT_CONFLICT", { session: "s" }],
      ["TURN_COMMIT_CONFLICT", { turn: { session: "s", turn: "t1" } }],
      ["SESSION_ARCHIVED", { turn: { session: "s", turn: "t2" } }],
      ["LEASE_EXPIRED", {}],
      ["HEAD_CONFLICT", { lease }],
      ["CLAIM_EXPIRED", { expected: 1 }],
      ["NODE_COLLISION", { completed: [workCompletion(claim)] }],
      ["NODE_PARENT_UNKNOWN", { graph: { type: "append", nodes: [node("b", "zz")], leaf: "zz" } }],
      ["LEAF_UNRESOLVABLE", { graph: { type: "append", nodes: [node("b", "a")], leaf: "zz" } }],
    ];
    let commit = wrong;
    for (const [code, mend] of mended) {
      commit = { ...commit, ...mend };
      if (code === "SESSION_ARCHIVED") await session.archive();
      if (code === "LEASE_EXPIRED") await session.unarchive();
      expect((await refused(session.commit(commit))).code).toBe(code);
    }
    const right: TurnCommit = { ...commit, graph: { type: "append", nodes: [node("b", "a")], leaf: "b" } };
    expect(await session.commit(right)).toMatchObject({ outcome: "committed", revision: 2 });
  });

  test("C-29 C-30 RUN-5 a finished turn is answered without a live lease, applies nothing, and releases if asked", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const commit = appending(session, lease, [node("a")], { ...stamp("t1"), expected: "absent" });
    const first = await session.commit(commit);
    const before = await bench.dump();
    expect(await session.commit(commit)).toEqual({ ...first, outcome: "replayed" });
    expect(await bench.dump()).toEqual(before);
    const { lease: _, ...without } = commit;
    expect(await session.commit(without)).toEqual({ ...first, outcome: "replayed" });
    expect((await refused(session.commit({ ...without, ...stamp("t2") }))).code).toBe("LEASE_EXPIRED");
    expect(await session.commit({ ...commit, release: true })).toMatchObject({ outcome: "replayed" });
    expect(await session.lease.claim({ owner: "next" })).toMatchObject({ owner: "next", generation: 2 });
    // The released lease is not released again, whoever holds the next.
    await session.commit({ ...commit, release: true });
    expect(await session.lease.current()).toMatchObject({ owner: "next", released: false });
  });

  test("C-31 C-3 the head is compared: a revision, absent by default, or any", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const commit = (id: string, expected?: TurnCommit["expected"]) => {
      const { expected: _, ...rest } = appending(session, lease, [node(id)]);
      return session.commit(expected === undefined ? rest : { ...rest, expected });
    };
    expect(await refused(commit("a", 1))).toMatchObject({
      code: "HEAD_CONFLICT",
      expected: 1,
      actual: "absent",
    });
    await commit("a");
    expect(await refused(commit("b"))).toMatchObject({
      code: "HEAD_CONFLICT",
      expected: "absent",
      actual: 1,
    });
    expect(await refused(commit("b", 2))).toMatchObject({ code: "HEAD_CONFLICT", expected: 2, actual: 1 });
    await commit("b", 1);
    expect((await commit("c", "any")).revision).toBe(3);
  });

  test("C-32 the first commit is revision 1, and each adds exactly 1", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const revisions: number[] = [];
    for (const id of ["a", "b", "c"]) {
      revisions.push((await session.commit(appending(session, lease, [node(id)]))).revision);
    }
    expect(revisions).toEqual([1, 2, 3]);
  });

  test("C-33 RUN-4 a commit with a stale completion leaves nothing; then the right one succeeds, and its retry is answered", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    await session.work.enqueue({ items: [{ payload: 1 }] });
    const claim = (await session.work.claim({ fence: lease, boundary: "idle", max: 1 }))!;
    const commit = appending(session, lease, [node("a")], {
      ...stamp("t1"),
      checkpoint: { turnState: { turnIndex: 1, usage: {} }, toolState: { body: bytes("tools") } },
      usage: [{ source: "agent", model: "m", counts: { input: 1 } }],
      release: true,
    });
    const before = await bench.dump();
    const stale = { ...workCompletion(claim), generation: 9 };
    expect(await refused(session.commit({ ...commit, completed: [stale] }))).toMatchObject({
      code: "CLAIM_EXPIRED",
      session: "s",
      claim: claim.id,
    });
    expect(await bench.dump()).toEqual(before);
    expect(await session.load()).toBeUndefined();
    const right = { ...commit, completed: [workCompletion(claim)] };
    const result = await session.commit(right);
    expect(await session.commit(right)).toEqual({ ...result, outcome: "replayed" });
    expect(result.checkpoint?.ref).toMatch(/^[0-9a-f]{64}$/);
  });

  test("C-34 completed work is settled, the stamp kept and the lease released with the turn", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const { batch } = await session.work.enqueue({ sourceKey: "mail-1", items: [{ payload: 1 }] });
    const claim = (await session.work.claim({ fence: lease, boundary: "idle", max: 1 }))!;
    await session.commit(
      appending(session, lease, [node("a")], {
        ...stamp("t1"),
        completed: [workCompletion(claim)],
        release: true,
      }),
    );
    expect(await session.work.list()).toEqual([]);
    expect(await session.work.find(batch.id)).toMatchObject({ state: "completed" });
    expect(await session.lease.claim({ owner: "next" })).toMatchObject({ generation: 2 });
  });

  test("C-1 C-35 a handle is bound to its session, and refuses a commit for another with both ids", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    await bench.session("t");
    const lease = await hold(session);
    expect(
      await refused(session.commit(appending(session, lease, [node("a")], { session: "t" }))),
    ).toMatchObject({ code: "SESSION_BINDING_MISMATCH", bound: "s", attempted: "t" });
    expect(await bench.dump("t")).toHaveLength(2);
  });

  test("C-36 of two handles that commit to one revision exactly one wins, the other is HEAD_CONFLICT", async () => {
    for (let round = 0; round < 5; round++) {
      await using bench = new Bench(backend);
      const one = await bench.session();
      const other = (await (await bench.stores()).open("s")) as SessionStore;
      const lease = await hold(one);
      const { promise: barrier, go } = gateway();
      const commits = [one, other].map(async (session, index) => {
        await barrier;
        return session.commit(appending(session, lease, [node(`n${index}`)], { expected: "absent" }));
      });
      go();
      const outcomes = await Promise.allSettled(commits);
      const lost = outcomes.filter(({ status }) => status === "rejected");
      expect(lost).toMatchObject([{ reason: { code: "HEAD_CONFLICT", expected: "absent", actual: 1 } }]);
      expect(await one.headMeta()).toMatchObject({ revision: 1, nodeCount: 1 });
    }
  });

  test("C-37 ids in use, ids given twice, unknown parents and unknown leaves change nothing", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    await session.commit(appending(session, lease, [node("a"), node("b", "a")]));
    const before = await bench.dump();
    const cases: [code: string, at: string, graph: GraphDelta][] = [
      ["NODE_COLLISION", "b", { type: "append", nodes: [node("b", "a")], leaf: "b" }],
      ["NODE_COLLISION", "c", { type: "append", nodes: [node("c", "a"), node("c", "b")], leaf: "c" }],
      ["NODE_PARENT_UNKNOWN", "c", { type: "append", nodes: [node("c", "zz")], leaf: "c" }],
      ["NODE_PARENT_UNKNOWN", "c", { type: "append", nodes: [node("c", "d"), node("d", "a")], leaf: "d" }],
      ["NODE_PARENT_UNKNOWN", "c", { type: "append", nodes: [node("c", "c")], leaf: "c" }],
      ["LEAF_UNRESOLVABLE", "zz", { type: "append", nodes: [node("c", "b")], leaf: "zz" }],
      ["LEAF_UNRESOLVABLE", "zz", { type: "unchanged", leaf: "zz" }],
      ["NODE_COLLISION", "x", { type: "replace", graph: { nodes: [node("x"), node("x")], leaf: "x" } }],
      ["NODE_PARENT_UNKNOWN", "x", { type: "replace", graph: { nodes: [node("x", "a")], leaf: "x" } }],
      ["LEAF_UNRESOLVABLE", "a", { type: "replace", graph: { nodes: [node("x")], leaf: "a" } }],
    ];
    for (const [code, at, graph] of cases) {
      const commit = appending(session, lease, [node("x")], { graph });
      expect(await refused(session.commit(commit)), JSON.stringify(graph)).toMatchObject({ code, node: at });
    }
    expect(await bench.dump()).toEqual(before);
    expect(await session.commit(appending(session, lease, [node("c", "a")]))).toMatchObject({ revision: 2 });
  });

  test("C-9 RUN-4 a commit over the budget of bytes or records is refused with limit and size, and writes nothing", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const before = await bench.dump();
    const big = appending(session, lease, [node("a", undefined, "x".repeat(1024 * 1024))]);
    expect(await refused(session.commit(big))).toMatchObject({
      code: "COMMIT_TOO_LARGE",
      limit: 1024 * 1024,
    });
    const many = Array.from({ length: 256 }, (_, index) => node(`n${index}`));
    expect(await refused(session.commit(appending(session, lease, many)))).toMatchObject({
      code: "COMMIT_TOO_LARGE",
      limit: 512,
      actual: 513,
    });
    expect(await bench.dump()).toEqual(before);
    expect(await session.commit(appending(session, lease, many.slice(1)))).toMatchObject({ revision: 1 });
    const wide = await (await bench.stores({ commitOperationsMax: 1_024 })).open("s");
    expect(
      await wide!.commit(
        appending(
          session,
          lease,
          many.map(({ id }) => node(`w${id}`)),
        ),
      ),
    ).toMatchObject({
      revision: 2,
    });
  });

  test("C-15 components are stored under their hash; without a body a reference means unchanged, if its bytes are there", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const turnState = {
      turnIndex: 1,
      usage: { input: 2 },
      lastPromptUsage: { input: 1 },
      protocolOptions: { a: 1 },
    };
    const commit = (id: string, checkpoint: TurnCommit["checkpoint"]) =>
      session.commit(appending(session, lease, [node(id)], checkpoint === undefined ? {} : { checkpoint }));
    const first = await commit("a", {
      turnState,
      toolState: { body: bytes("tools") },
      plugins: { revision: 4, state: { body: bytes("plugins") } },
      executionState: { body: new Uint8Array(0) },
    });
    const { toolState, plugins, executionState } = first.checkpoint!.manifest;
    const second = await commit("b", {
      turnState: { ...turnState, turnIndex: 2 },
      toolState: { ref: toolState! },
      plugins: { revision: 5, state: { ref: plugins!.ref } },
    });
    expect(second.checkpoint?.manifest).toMatchObject({
      toolState,
      plugins: { revision: 5, ref: plugins!.ref },
    });
    const head = await session.load();
    expect(head?.checkpoint).toMatchObject({
      ref: second.checkpoint!.ref,
      turnState: { turnIndex: 2 },
      toolState: { ref: toolState, body: bytes("tools") },
      plugins: { revision: 5, state: { body: bytes("plugins") } },
    });
    expect(head?.checkpoint?.executionState).toBeUndefined();
    // What an earlier checkpoint named is stored still, and may be named again.
    await commit("c", { turnState, executionState: { ref: executionState! } });
    const component = "0".repeat(64);
    expect(await refused(commit("d", { turnState, toolState: { ref: component } }))).toMatchObject({
      code: "COMPONENT_MISSING",
      component,
    });
    await commit("e", undefined);
    expect((await session.load())?.checkpoint).toMatchObject({ executionState: { body: new Uint8Array(0) } });
  });

  test("C-20 usage is given as deltas, and read as the sum for each source and model", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const use = (source: string, model: string, input: number) => [{ source, model, counts: { input } }];
    for (const [id, usage] of [
      ["a", [...use("agent", "m", 1), ...use("agent", "m", 2), ...use("agent", "n", 4)]],
      ["b", [...use("title", "m", 8), ...use("agent", "m", 16)]],
    ] as const) {
      await session.commit(appending(session, lease, [node(id)], { usage }));
    }
    expect((await session.load())?.usage).toEqual([
      ...use("agent", "m", 19),
      ...use("agent", "n", 4),
      ...use("title", "m", 8),
    ]);
  });

  test("RUN-4 RUN-1 archived it is read, not written; deleted it is neither", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    await session.commit(appending(session, lease, [node("a")]));
    await session.archive();
    await session.archive();
    expect(await session.archived()).toBe(true);
    expect((await session.load())?.revision).toBe(1);
    for (const write of [
      () => session.commit(appending(session, lease, [node("b")])),
      () => session.saveMeta({ id: "s", name: "", createdAt: "t", model: "", relation: { type: "root" } }),
      () => session.lease.claim({ owner: "x" }),
      () => session.work.enqueue({ items: [{ payload: 1 }] }),
    ]) {
      expect((await refused(write())).code).toBe("SESSION_ARCHIVED");
    }
    await session.unarchive();
    expect((await session.commit(appending(session, lease, [node("b")]))).revision).toBe(2);
    await (await bench.stores()).delete("s");
    for (const call of [
      () => session.commit(appending(session, lease, [node("c")])),
      () => session.load(),
      () => session.headMeta(),
      () => session.pickerInfo(),
      () => session.node("a"),
      () => session.archive(),
    ]) {
      expect((await refused(call())).code).toBe("SESSION_DELETED");
    }
    expect(await bench.dump()).toHaveLength(1);
  });
});

/** A barrier that all wait at until it goes up. */
function gateway(): { readonly promise: Promise<void>; readonly go: () => void } {
  let go = (): void => undefined;
  const promise = new Promise<void>((resolve) => (go = resolve));
  return { promise, go };
}
