import { decodeKey } from "@tidemark/kv";
import { expect, test } from "vitest";
import { sessionKeys, sessionPartition } from "../src/keys.ts";
import { sessionGateRecord } from "../src/session-gate.ts";
import { appending, Bench, hold, node } from "./stores.ts";

/** A session with a root, a left branch of two nodes, and the right one, where it is. */
async function branched(bench: Bench) {
  const session = await bench.session();
  const lease = await hold(session);
  const nodes = [node("root"), node("left", "root"), node("left-leaf", "left"), node("right", "root")];
  await session.commit(appending(session, lease, nodes));
  return { session, lease };
}

async function nodeIds(session: Awaited<ReturnType<Bench["session"]>>): Promise<string[]> {
  return ((await session.load())?.graph.nodes ?? []).map(({ id }) => id);
}

async function storedNodes(bench: Bench, session: string): Promise<number> {
  return (await bench.dump(session)).filter(({ key }) => decodeKey(key)[0] === "node").length;
}

test("C-80 tombstoned nodes are hidden at once, unknown ids are ignored, and rows stay until vacuum", async () => {
  await using bench = new Bench();
  const { session } = await branched(bench);
  expect(await session.tombstone([])).toBe(0);
  expect(await session.tombstone(["left-leaf", "unknown"])).toBe(1);
  expect(await session.tombstone(["left-leaf"])).toBe(0);
  expect(await nodeIds(session)).toEqual(["root", "left", "right"]);
  expect(await session.node("left-leaf")).toBeUndefined();
  expect((await session.headMeta())?.nodeCount).toBe(3);
  await expect(session.load({ scope: "path", leaf: "left-leaf" })).rejects.toMatchObject({
    code: "LEAF_UNRESOLVABLE",
  });
  expect(await storedNodes(bench, session.id)).toBe(4);
});

test("C-80 what is below a tombstoned node is hidden with it, so that no turn can stand on a broken path", async () => {
  await using bench = new Bench();
  const { session, lease } = await branched(bench);
  expect(await session.tombstone(["left"])).toBe(2);
  expect(await nodeIds(session)).toEqual(["root", "right"]);
  const below = appending(session, lease, [node("new", "left-leaf")]);
  await expect(session.commit(below)).rejects.toMatchObject({ code: "NODE_PARENT_UNKNOWN", node: "new" });
});

test("C-81 vacuum removes tombstoned nodes and reports what this call removed", async () => {
  await using bench = new Bench();
  const { session } = await branched(bench);
  await session.tombstone(["left", "left-leaf"]);
  expect(await session.vacuum()).toBe(2);
  expect(await session.vacuum()).toBe(0);
  expect(await storedNodes(bench, session.id)).toBe(2);
  expect(await nodeIds(session)).toEqual(["root", "right"]);
});

test("C-81 vacuum removes nodes that were replaced, and keeps an id that is used again", async () => {
  await using bench = new Bench();
  const { session, lease } = await branched(bench);
  const graph = {
    type: "replace",
    graph: { nodes: [node("root"), node("new", "root")], leaf: "new" },
  } as const;
  await session.commit({ ...appending(session, lease, [node("x")]), expected: 1, graph });
  expect(await session.vacuum()).toBe(4);
  expect(await nodeIds(session)).toEqual(["root", "new"]);
  expect(await session.node("root")).toMatchObject({ id: "root" });
});

test("C-82 a node that the head or a retained anchor reaches is not removed, and nothing of the call is", async () => {
  await using bench = new Bench();
  const { session } = await branched(bench);
  for (const id of ["root", "right"]) {
    await expect(session.tombstone(["left-leaf", id])).rejects.toMatchObject({
      code: "NODE_REACHABLE",
      node: id,
    });
  }
  await session.anchors.retain("bookmark", "left-leaf");
  await expect(session.tombstone(["left"])).rejects.toMatchObject({ code: "NODE_REACHABLE", node: "left" });
  expect(await nodeIds(session)).toHaveLength(4);
  await session.anchors.release("bookmark");
  await session.anchors.release("bookmark");
  expect(await session.tombstone(["left", "left-leaf"])).toBe(2);
});

test("C-82 a fork keeps its own nodes, whatever becomes of its parent's", async () => {
  await using bench = new Bench();
  const { session } = await branched(bench);
  const child = await session.fork({ leaf: "left-leaf" });
  await session.tombstone(["left", "left-leaf"]);
  await session.vacuum();
  expect(await nodeIds(child)).toEqual(["root", "left", "left-leaf"]);
  await expect(child.tombstone(["left"])).rejects.toMatchObject({ code: "NODE_REACHABLE", node: "left" });
});

test("C-82 an anchor keeps nodes that were replaced, and can name only what is there", async () => {
  await using bench = new Bench();
  const { session, lease } = await branched(bench);
  await expect(session.anchors.retain("a", "nowhere")).rejects.toMatchObject({ code: "LEAF_UNRESOLVABLE" });
  const anchor = await session.anchors.retain("a", "left");
  expect(await session.anchors.list()).toEqual([anchor]);
  const graph = { type: "replace", graph: { nodes: [node("new")], leaf: "new" } } as const;
  await session.commit({ ...appending(session, lease, [node("x")]), expected: 1, graph });
  expect(await session.vacuum()).toBe(2);
  await session.anchors.release("a");
  expect(await session.vacuum()).toBe(2);
});

const turnState = { turnIndex: 1, usage: { inputTokens: 0, outputTokens: 0 } };

test("C-83 collecting components keeps the live checkpoint and everything an anchor names, and reports", async () => {
  await using bench = new Bench();
  const { session, lease } = await branched(bench);
  const commitState = (expected: number, byte: number) =>
    session.commit({
      ...appending(session, lease, [node(`n${expected}`, "root")]),
      expected,
      checkpoint: { turnState, toolState: { body: Uint8Array.of(byte) } },
    });
  await commitState(1, 1);
  await session.anchors.retain("first");
  await commitState(2, 2);
  await commitState(3, 3);
  expect(await session.collectComponents()).toEqual({ roots: 2, retained: 2, deleted: 1 });
  expect(await session.collectComponents()).toEqual({ roots: 2, retained: 2, deleted: 0 });
  expect((await session.load())?.checkpoint?.toolState?.body).toEqual(Uint8Array.of(3));
  await session.anchors.release("first");
  expect(await session.collectComponents()).toEqual({ roots: 1, retained: 1, deleted: 1 });
});

test("C-83 a root that cannot be read keeps everything", async () => {
  await using bench = new Bench();
  const { session, lease } = await branched(bench);
  const checkpoint = { turnState, toolState: { body: Uint8Array.of(1) } };
  await session.commit({ ...appending(session, lease, [node("n", "root")]), expected: 1, checkpoint });
  const partition = sessionPartition(session.id);
  const kv = await bench.handle();
  const [head] = await kv.get(partition, [sessionKeys.head]);
  head![head!.length - 1]! ^= 1;
  await kv.commit(partition, { puts: [{ key: sessionKeys.head, value: head! }] });
  await expect(session.collectComponents()).rejects.toMatchObject({ code: "DATA_CORRUPT" });
  expect((await bench.dump()).filter(({ key }) => decodeKey(key)[0] === "part")).toHaveLength(1);
});

test("RUN-9 a commit that comes between is never robbed: what it brings is kept", async () => {
  await using bench = new Bench();
  const { session, lease } = await branched(bench);
  const checkpoint = { turnState, toolState: { body: Uint8Array.of(7) } };
  const commit = { ...appending(session, lease, [node("n", "root")]), expected: 1, checkpoint };
  const [report] = await Promise.all([
    session.collectComponents(),
    session.commit(commit),
    session.tombstone(["left-leaf"]),
  ]);
  expect(report.deleted).toBe(0);
  expect((await session.load())?.checkpoint?.toolState?.body).toEqual(Uint8Array.of(7));
});

test("RUN-9 records of a deleted session whose deletion was interrupted are swept", async () => {
  await using bench = new Bench();
  const { session } = await branched(bench);
  const stores = await bench.stores();
  const kv = await bench.handle();
  const gate = { state: "deleted", sinceMs: 1_000 } as const;
  const puts = [sessionGateRecord.item(gate, sessionKeys.gate, bench.records())];
  await kv.commit(sessionPartition(session.id), { puts });
  expect((await bench.dump()).length).toBeGreaterThan(4);
  expect(await stores.sweepDirectory(1_000)).toBe(1);
  expect(await bench.dump()).toEqual(puts);
});

test("C-34 C-72 a turn stamps the attachments it refers to in its own step, and ignores ids without a row", async () => {
  await using bench = new Bench();
  const { session, lease } = await branched(bench);
  const { id } = await session.attachments.put({ bytes: Uint8Array.of(1, 2), uri: "file:a", fence: lease });
  const commit = { ...appending(session, lease, [node("n", "root")]), attachments: [id, "unknown", id] };
  await expect(session.commit({ ...commit, expected: 9 })).rejects.toMatchObject({ code: "HEAD_CONFLICT" });
  expect(await session.attachments.row(id)).not.toHaveProperty("committedAtMs");
  await session.commit({ ...commit, expected: 1 });
  expect(await session.attachments.row(id)).toHaveProperty("committedAtMs");
  expect(await session.attachments.row("unknown")).toBeUndefined();
});

test("C-77 attachments of a fork stay when the parent is deleted, and go with the last session", async () => {
  await using bench = new Bench();
  const { session } = await branched(bench);
  const { id } = await session.attachments.put({ bytes: Uint8Array.of(1, 2), uri: "file:a" });
  await session.attachments.commit([id]);
  const stores = await bench.stores();
  const child = await session.fork();
  await stores.delete(session.id);
  const graceMs = 0;
  expect(await stores.collectAttachments({ graceMs })).toMatchObject({
    roots: 1,
    deleted: 0,
    complete: true,
  });
  expect(await child.attachments.get(id)).toEqual(Uint8Array.of(1, 2));
  await stores.delete(child.id);
  expect(await stores.collectAttachments({ graceMs })).toMatchObject({
    roots: 0,
    deleted: 1,
    complete: true,
  });
});
