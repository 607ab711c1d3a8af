import { prefixRange } from "@tidemark/kv";
import { describe, expect, test } from "vitest";
import {
  type AgentFrame,
  EMPTY_TURN_STATE,
  type Head,
  INITIAL_FRAME,
  loadLiveState,
  newLiveState,
  nodeIdRecord,
  nodeRecord,
  type ReadScope,
  refreshLiveState,
  type SessionStore,
} from "../src/index.ts";
import { headRecord } from "../src/head.ts";
import { sessionKeys, sessionPartition } from "../src/keys.ts";
import { backends } from "./backends.ts";
import { refused } from "./refusal.ts";
import { appending, Bench, hold, kvWith, node, userMessage } from "./stores.ts";

const tree = [node("root"), node("left", "root"), node("left-leaf", "left"), node("right-leaf", "root")];
const ids = (head: Head | undefined): string[] | undefined => head?.graph.nodes.map(({ id }) => id);

/** Hides a node, as a tombstone does: its records and the count of the head. */
async function hide(bench: Bench, id: string): Promise<void> {
  const kv = await bench.handle();
  const records = bench.records();
  const [place, head] = await kv.get(records.partition, [sessionKeys.nodeId(id), sessionKeys.head]);
  const { sequence } = nodeIdRecord.read(place, sessionKeys.nodeId(id), records)!;
  const key = sessionKeys.node(sequence);
  const [value] = await kv.get(records.partition, [key]);
  const stored = nodeRecord.read(value, key, records)!;
  const before = headRecord.read(head, sessionKeys.head, records)!;
  const graph = { ...before.graph, count: before.graph.count - 1 };
  await kv.commit(records.partition, {
    puts: [
      nodeRecord.item({ ...stored, tombstoned: true }, key, records),
      nodeIdRecord.item({ sequence, tombstoned: true }, sessionKeys.nodeId(id), records),
      headRecord.item({ ...before, graph }, sessionKeys.head, records),
    ],
  });
}

async function grown(bench: Bench): Promise<SessionStore> {
  const session = await bench.session();
  const graph = { type: "append", nodes: tree, leaf: "left-leaf" } as const;
  await session.commit(appending(session, await hold(session), tree, { graph }));
  return session;
}

describe.each(backends)("reads over %s", (_, backend) => {
  test("C-22 nothing is loaded before the first commit, whatever meta was saved", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    await session.saveMeta({ ...(await session.meta())!, name: "renamed" });
    for (const scope of [undefined, { scope: "path" }, { scope: "path", leaf: "a" }] as (
      | ReadScope
      | undefined
    )[]) {
      expect(await session.load(scope)).toBeUndefined();
    }
    expect(await session.headMeta()).toBeUndefined();
    expect(await session.node("a")).toBeUndefined();
    expect(await session.pickerInfo()).toEqual({ id: "s", relation: { type: "root" }, userMessageCount: 0 });
  });

  test("C-23 RUN-3 in full it is every readable node in the order of insertion", async () => {
    await using bench = new Bench(backend);
    const session = await grown(bench);
    const head = await session.load();
    expect(head?.graph).toEqual({ nodes: tree, leaf: "left-leaf" });
    await hide(bench, "right-leaf");
    expect(ids(await session.load())).toEqual(["root", "left", "left-leaf"]);
  });

  test("C-24 a path hides siblings; one to another leaf leaves the stored leaf alone", async () => {
    await using bench = new Bench(backend);
    const session = await grown(bench);
    const path = await session.load({ scope: "path" });
    expect([ids(path), path?.graph.leaf]).toEqual([["root", "left", "left-leaf"], "left-leaf"]);
    const other = await session.load({ scope: "path", leaf: "right-leaf" });
    expect([ids(other), other?.graph.leaf]).toEqual([["root", "right-leaf"], "right-leaf"]);
    expect((await session.headMeta())?.leaf).toBe("left-leaf");
    expect(ids(await session.load({ scope: "path", leaf: "left" }))).toEqual(["root", "left"]);
  });

  test("C-25 the path of an empty graph is empty; an unknown or hidden leaf is LEAF_UNRESOLVABLE", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    await session.commit(
      appending(session, lease, [node("x")], { graph: { type: "replace", graph: { nodes: [] } } }),
    );
    expect((await session.load({ scope: "path" }))?.graph).toEqual({ nodes: [] });
    await session.commit(
      appending(session, lease, tree, { graph: { type: "append", nodes: tree, leaf: "left" } }),
    );
    await hide(bench, "right-leaf");
    for (const leaf of ["zz", "right-leaf"]) {
      expect(await refused(session.load({ scope: "path", leaf }))).toMatchObject({
        code: "LEAF_UNRESOLVABLE",
        node: leaf,
      });
    }
  });

  test("C-26 one node by its id; hidden ones are none", async () => {
    await using bench = new Bench(backend);
    const session = await grown(bench);
    expect(await session.node("left")).toEqual(tree[1]);
    expect(await session.node("zz")).toBeUndefined();
    await hide(bench, "right-leaf");
    expect(await session.node("right-leaf")).toBeUndefined();
  });

  test("C-2 a scope that is none is UNSUPPORTED_READ_SCOPE", async () => {
    await using bench = new Bench(backend);
    const session = await grown(bench);
    expect(await refused(session.load({ scope: "half" } as unknown as ReadScope))).toMatchObject({
      code: "UNSUPPORTED_READ_SCOPE",
      scope: "half",
    });
  });

  test("C-24 a path of thousands of nodes with branches off it is read whole", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const path: string[] = [];
    for (let round = 0; round < 10; round++) {
      const nodes = Array.from({ length: 200 }, (_, index) => {
        const id = `n${round}-${index}`;
        // Every third node is a dead end beside the path.
        const made = node(id, path.at(-1));
        if (index % 3 !== 1) path.push(id);
        return made;
      });
      await session.commit(
        appending(session, lease, nodes, { graph: { type: "append", nodes, leaf: path.at(-1)! } }),
      );
    }
    expect(ids(await session.load({ scope: "path" }))).toEqual(path);
    expect(ids(await session.load({ scope: "path", leaf: path[700]! }))).toEqual(path.slice(0, 701));
    expect((await session.load())?.graph.nodes).toHaveLength(2_000);
  });

  test("C-9 RUN-3 a node, a frame or a component that is missing is DATA_CORRUPT or COMPONENT_MISSING, never less graph", async () => {
    for (const [kind, code] of [
      ["node", "DATA_CORRUPT"],
      ["part", "COMPONENT_MISSING"],
    ] as const) {
      await using bench = new Bench(backend);
      const session = await bench.session();
      const lease = await hold(session);
      const checkpoint = { turnState: EMPTY_TURN_STATE, toolState: { body: Uint8Array.of(1) } };
      await session.commit(appending(session, lease, [node("a"), node("b", "a")], { checkpoint }));
      const kv = await bench.handle();
      const { items } = await kv.scan(sessionPartition("s"), { ...prefixRange([kind]), limit: 1 });
      await kv.commit(sessionPartition("s"), { deletes: [items[0]!.key] });
      expect((await refused(session.load())).code).toBe(code);
      expect((await refused(session.load({ scope: "path" }))).code).toBe(code);
    }
  });

  test("C-14 C-17 RUN-2 head and head meta say the same but for the graph; frames round-trip, labels unknown here too", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const frame: AgentFrame = {
      id: "f1",
      session: "s",
      previous: "f0",
      status: "quiescent",
      reason: "a reason nobody knows",
      cause: "why not",
      createdAt: "2026-01-02",
      assignment: { provider: "p", model: "m-2" },
      options: { deep: [1, { x: null }] },
      executionState: { body: Uint8Array.of(1, 2) },
    };
    const first: AgentFrame = {
      id: "f2",
      session: "s",
      status: "active",
      reason: "compaction",
      createdAt: "2026-01-01",
      assignment: { provider: "p", model: "m-1" },
    };
    await session.commit(
      appending(session, lease, [node("a")], { frames: [frame, first], currentFrame: "f1" }),
    );
    const head = (await session.load())!;
    const { ref } = head.frames[1]!.executionState!;
    expect(head.frames).toEqual([first, { ...frame, executionState: { ref } }]);
    expect(await session.component(ref)).toEqual(Uint8Array.of(1, 2));
    expect((await refused(session.component("zz"))).code).toBe("COMPONENT_MISSING");
    const { graph, ...rest } = head;
    expect(await session.headMeta()).toEqual({ ...rest, leaf: graph.leaf, nodeCount: 1 });
    // A frame named again with its reference is changed, and its bytes stay.
    await session.commit(
      appending(session, lease, [node("b")], {
        frames: [{ ...frame, status: "done", executionState: { ref } }],
      }),
    );
    expect((await session.load())?.frames[1]).toMatchObject({ status: "done", executionState: { ref } });
    expect(await session.headMeta()).toMatchObject({ currentFrame: "f1" });
  });

  test("C-13 RUN-2 picker info counts user messages and shows the first, and reads no graph", async () => {
    await using bench = new Bench(backend);
    const session = await (await bench.stores()).create({ id: "s", model: "m", workingDirectory: "/home" });
    const lease = await hold(session);
    const long = `${"x".repeat(255)}😀 and more`;
    const assistant = node("b", "a", { type: "message", message: { role: "assistant", parts: [] } });
    await session.commit(appending(session, lease, [node("0"), userMessage("a", long, "0"), assistant]));
    await session.commit(appending(session, lease, [userMessage("c", "second", "b")]));
    expect(await session.pickerInfo()).toEqual({
      id: "s",
      workingDirectory: "/home",
      relation: { type: "root" },
      firstUserMessage: "x".repeat(255),
      userMessageCount: 2,
    });
    const nodes = [userMessage("d", "anew")];
    await session.commit(appending(session, lease, nodes, { graph: { type: "replace", graph: { nodes } } }));
    expect(await session.pickerInfo()).toMatchObject({ firstUserMessage: "anew", userMessageCount: 1 });
  });

  test("C-18 C-19 C-27 a live state is what was stored, but for its session and turn limit; nothing stored changes nothing", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const policy = { session: "mine", turnsMax: 9, provider: "old", model: "old" };
    const live = newLiveState(policy, "2026-01-01");
    expect(await loadLiveState(session, live)).toBeUndefined();
    expect(refreshLiveState(live, undefined)).toBe(live);
    await session.commit(
      appending(session, lease, tree, { graph: { type: "append", nodes: tree, leaf: "left" } }),
    );
    const bare = (await loadLiveState(session, live))!;
    expect(bare.policy).toEqual({ session: "mine", turnsMax: 9, provider: "p", model: "m-1" });
    expect(bare).toMatchObject({ revision: 1, turnState: EMPTY_TURN_STATE, currentFrame: INITIAL_FRAME });
    expect(bare.frames).toMatchObject([{ id: INITIAL_FRAME, assignment: { provider: "p", model: "m-1" } }]);
    const frames: AgentFrame[] = ["f1", "f2"].map((id) => ({
      id,
      session: "s",
      status: "active",
      reason: "initial",
      createdAt: id,
      assignment: { provider: "elsewhere", model: "other" },
    }));
    const checkpoint = { turnState: { turnIndex: 3, usage: { input: 1 } } };
    await session.commit(appending(session, lease, [node("n", "left")], { frames, checkpoint }));
    const path = (await loadLiveState(session, bare, { scope: "path" }))!;
    expect(path.graph.nodes.map(({ id }) => id)).toEqual(["root", "left", "n"]);
    expect(path.turnState.turnIndex).toBe(3);
    expect(path.currentFrame).toBe("f2");
    expect(path.frames.map(({ assignment }) => assignment.model)).toEqual(["m-1", "m-1"]);
  });

  test("RUN-3 a read that commits come between is of one moment", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const lease = await hold(session);
    const kv = await bench.handle();
    let commits = 3;
    const interrupted = kvWith(kv, {
      scan: async (...call: Parameters<typeof kv.scan>) => {
        if (commits-- > 0) await session.commit(appending(session, lease, [node(`c${commits}`)]));
        return kv.scan(...call);
      },
    });
    await session.commit(appending(session, lease, [node("a")]));
    const reader = (await (await bench.stores({ kv: interrupted })).open("s"))!;
    const head = (await reader.load())!;
    expect(head.graph.nodes).toHaveLength(head.revision);
    expect(head.revision).toBe(4);
  });
});
