import { readFileSync } from "node:fs";
import { nobleHasher } from "@tidemark/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  canonicalJson,
  type GraphNode,
  type JsonValue,
  type TurnCommit,
  turnProjection,
} from "../src/index.ts";
import { nameCheckpoint } from "../src/checkpoint.ts";
import { prepareCommit } from "../src/prepare-commit.ts";
import { node, userMessage } from "./stores.ts";

interface Vector {
  readonly about: string;
  /** Bodies of components are text. */
  readonly commit: TurnCommit;
  readonly canonical: string;
  readonly hash: string;
}

const vectors = JSON.parse(
  readFileSync(new URL("golden/turn-hash.json", import.meta.url), "utf8"),
  (key, value) => (key === "body" ? new TextEncoder().encode(value as string) : (value as unknown)),
) as Vector[];

const hashOf = (commit: TurnCommit): string => prepareCommit(commit, nobleHasher).hash;

function projectionOf(commit: TurnCommit): string {
  const prepared = prepareCommit(commit, nobleHasher);
  const { checkpoint } = commit;
  const named = checkpoint && nameCheckpoint(checkpoint, nobleHasher, new Map());
  const parts = { frames: prepared.frames, ...(named === undefined ? {} : { manifest: named.manifest }) };
  return canonicalJson(turnProjection(commit, parts));
}

test.each(vectors)("C-38 C-41 RUN-5 the published hash: $about", ({ commit, canonical, hash }) => {
  expect(projectionOf(commit)).toBe(canonical);
  expect(hashOf(commit)).toBe(hash);
});

const base: TurnCommit = {
  session: "s",
  expected: 1,
  config: { provider: "p", model: "m" },
  frames: [
    {
      id: "f",
      session: "s",
      status: "active",
      reason: "initial",
      createdAt: "2026-01-01",
      assignment: { provider: "p", model: "m" },
    },
  ],
  currentFrame: "f",
  graph: { type: "append", nodes: [userMessage("a", "hi"), node("b", "a")], leaf: "b" },
  checkpoint: { turnState: { turnIndex: 1, usage: { input: 1 } }, toolState: { body: Uint8Array.of(1) } },
  usage: [{ source: "agent", model: "m", counts: { input: 1 } }],
  turn: { session: "s", turn: "t" },
  completed: [{ session: "s", claim: "1.1", generation: 1 }],
  attachments: ["a1"],
};

const fence = { session: "s", owner: "w", nonce: "n", generation: 3 };
const renamed = (nodes: readonly GraphNode[]): GraphNode[] => {
  const name = (id: string): string => `other-${id}`;
  return nodes.map(({ id, parent, timestamp: _, ...rest }) => ({
    ...rest,
    id: name(id),
    timestamp: 99,
    ...(parent === undefined ? {} : { parent: name(parent) }),
  }));
};

test("C-38 C-39 what a retry may have otherwise does not count: revision, lease, release, ids and times of nodes", () => {
  const { graph } = base;
  const same: Partial<TurnCommit>[] = [
    { expected: 7 },
    { expected: "any" },
    { lease: fence },
    { lease: fence, release: true },
    { turn: { session: "s", turn: "another" } },
    {
      graph: { type: "append", nodes: renamed(graph.type === "append" ? graph.nodes : []), leaf: "other-b" },
    },
    { graph: { type: "append", nodes: [userMessage("z", "hi"), node("b", "z", { say: "b" })], leaf: "b" } },
  ];
  for (const change of same)
    expect(hashOf({ ...base, ...change }), JSON.stringify(change)).toBe(hashOf(base));
});

test("C-39 C-40 everything else counts", () => {
  const frame = base.frames![0]!;
  const nodes = base.graph.type === "append" ? base.graph.nodes : [];
  const append = (changed: readonly GraphNode[], leaf = "b"): Partial<TurnCommit> => ({
    graph: { type: "append", nodes: changed, leaf },
  });
  const other: Partial<TurnCommit>[] = [
    { config: { provider: "p", model: "n" } },
    { frames: [{ ...frame, createdAt: "2026-01-02" }] },
    { frames: [{ ...frame, options: { timestamp: 1 } }] },
    { currentFrame: "g" },
    { checkpoint: { ...base.checkpoint!, turnState: { turnIndex: 2, usage: { input: 1 } } } },
    { checkpoint: { ...base.checkpoint!, toolState: { body: Uint8Array.of(2) } } },
    { usage: [] },
    { completed: [{ session: "s", claim: "1.2", generation: 1 }] },
    { completed: [{ session: "s", claim: "1.1", generation: 2 }] },
    { attachments: ["a2"] },
    append(nodes, "a"),
    append([nodes[0]!, node("b")]),
    append([nodes[0]!, node("b", "stored")]),
    append([nodes[0]!, { ...node("b", "a"), cause: "c" }]),
    append([nodes[0]!, { ...node("b", "a"), frame: "f" }]),
    append([nodes[0]!, node("b", "a", { say: "c" })]),
    append([userMessage("a", "ho"), nodes[1]!]),
    { graph: { type: "replace", graph: { nodes, leaf: "b" } } },
    { graph: { type: "unchanged" } },
  ];
  const hashes = [base, ...other.map((change) => ({ ...base, ...change }))].map(hashOf);
  expect(new Set(hashes).size).toBe(hashes.length);
});

test("C-41 RUN-5 nothing of a payload is left out by its name: any change to what a user stored changes the hash", () => {
  const names = fc.constantFrom(
    "timestamp",
    "node_id",
    "parent_node_id",
    "leaf_node_id",
    "id",
    "message",
    "x",
  );
  const value = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.integer(),
      fc.string(),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(names, tie("value"), { maxKeys: 3, noNullPrototype: true }),
    ),
  })).value;
  const commit = (payload: JsonValue): TurnCommit => ({
    session: "s",
    config: { provider: "p", model: "m" },
    graph: { type: "append", nodes: [node("n", undefined, { type: "tool", result: payload })], leaf: "n" },
  });
  fc.assert(
    fc.property(value, value, (a, b) => {
      expect(hashOf(commit(a)) === hashOf(commit(b))).toBe(canonicalJson(a) === canonicalJson(b));
    }),
  );
});

test("C-41 a component given by its bytes and by its reference is the same content", () => {
  const given = prepareCommit(base, nobleHasher);
  const ref = [...given.bodies.keys()][0]!;
  const named = { ...base, checkpoint: { ...base.checkpoint!, toolState: { ref } } };
  expect(hashOf(named)).toBe(given.hash);
});
