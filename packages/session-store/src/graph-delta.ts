import { SessionStoreError } from "./errors.ts";
import type { GraphDelta, GraphNode, NodeIdRecord, NodeRecord } from "./graph.ts";
import type { HeadRecord, NodePosition } from "./head.ts";
import { guardId } from "./limits.ts";

/** What a commit does to the graph, with every place known. */
export interface ResolvedGraph {
  readonly type: "unchanged" | "append" | "replace";
  /** The sequence of the first of the nodes; those of the others follow. */
  readonly first: number;
  readonly nodes: readonly NodeRecord[];
  /** Where the session is from now on; absent: nowhere. */
  readonly leaf?: NodePosition;
}

/** Ids a delta names that may be stored: what has to be looked up to resolve it. */
export function idsToLookUp(delta: GraphDelta): string[] {
  switch (delta.type) {
    case "unchanged":
      return delta.leaf === undefined ? [] : [delta.leaf];
    case "append": {
      const parents = delta.nodes.flatMap(({ parent }) => (parent === undefined ? [] : [parent]));
      return [...new Set([...delta.nodes.map(({ id }) => id), ...parents, delta.leaf])];
    }
    case "replace":
      return [];
  }
}

/**
 * Gives every node of a delta its sequence, and finds the places of parents and leaf.
 *
 * @param stored - Where the ids of {@link idsToLookUp} lie, if they are stored.
 * @throws {@link SessionStoreError} in the order of the nodes `NODE_COLLISION`, `NODE_PARENT_UNKNOWN`; then
 * `LEAF_UNRESOLVABLE`.
 */
export function resolveGraph(
  delta: GraphDelta,
  head: HeadRecord | undefined,
  stored: ReadonlyMap<string, NodeIdRecord>,
): ResolvedGraph {
  const first = head?.graph.next ?? 1;
  const floor = delta.type === "replace" ? first : (head?.graph.floor ?? 1);
  const { nodes, leaf } = nodesOf(delta);
  const added = new Map<string, number>();
  // What was replaced is no longer of the graph, whatever its id still finds.
  const find = (id: string) => {
    const record = stored.get(id);
    return record !== undefined && record.sequence >= floor ? record : undefined;
  };
  const place = (id: string) => {
    const record = find(id);
    return added.get(id) ?? (record?.tombstoned ? undefined : record?.sequence);
  };
  const resolved = nodes.map((node, index) => {
    if (added.has(node.id) || find(node.id) !== undefined) throw collision(node.id);
    const parentSequence = node.parent === undefined ? undefined : place(node.parent);
    if (node.parent !== undefined && parentSequence === undefined) throw parentUnknown(node.id, node.parent);
    added.set(node.id, first + index);
    return { ...node, ...(parentSequence === undefined ? {} : { parentSequence }) };
  });
  const at = leaf === undefined ? keptLeaf(delta, head) : { id: leaf, sequence: place(leaf) };
  if (at !== undefined && at.sequence === undefined) throw leafUnresolvable(at.id);
  return {
    type: delta.type,
    first,
    nodes: resolved,
    ...(at === undefined ? {} : { leaf: at as NodePosition }),
  };
}

/** The nodes of a delta with their known fields and no others. @throws `TypeError`, `RangeError` */
export function guardDelta(delta: GraphDelta): GraphDelta {
  switch (delta.type) {
    case "unchanged":
      return delta.leaf === undefined
        ? { type: delta.type }
        : { type: delta.type, leaf: guardId(delta.leaf, "leaf") };
    case "append":
      return { type: delta.type, nodes: delta.nodes.map(guardNode), leaf: guardId(delta.leaf, "leaf") };
    case "replace": {
      const { nodes, leaf } = delta.graph;
      const graph = {
        nodes: nodes.map(guardNode),
        ...(leaf === undefined ? {} : { leaf: guardId(leaf, "leaf") }),
      };
      return { type: delta.type, graph };
    }
    default:
      throw new TypeError(`graph.type must be unchanged, append or replace: ${(delta as GraphDelta).type}`);
  }
}

/** The error of an id that no readable node of the graph has. */
export function leafUnresolvable(node: string): SessionStoreError {
  return new SessionStoreError("LEAF_UNRESOLVABLE", `No node ${node} is in the graph`, { node });
}

function guardNode({ id, parent, cause, frame, timestamp, payload }: GraphNode): GraphNode {
  guardId(id, "node.id");
  if (parent !== undefined) guardId(parent, "node.parent");
  if (frame !== undefined) guardId(frame, "node.frame");
  if (typeof timestamp !== "string" && typeof timestamp !== "number") {
    throw new TypeError("node.timestamp must be text or a number");
  }
  return {
    id,
    timestamp,
    payload,
    ...(parent === undefined ? {} : { parent }),
    ...(cause === undefined ? {} : { cause }),
    ...(frame === undefined ? {} : { frame }),
  };
}

function nodesOf(delta: GraphDelta): { readonly nodes: readonly GraphNode[]; readonly leaf?: string } {
  if (delta.type === "replace") return delta.graph;
  if (delta.type === "append") return delta;
  return { nodes: [], ...(delta.leaf === undefined ? {} : { leaf: delta.leaf }) };
}

function keptLeaf(delta: GraphDelta, head: HeadRecord | undefined): NodePosition | undefined {
  return delta.type === "replace" ? undefined : head?.graph.leaf;
}

function collision(node: string): SessionStoreError {
  return new SessionStoreError("NODE_COLLISION", `Cannot add node ${node}: its id is in use`, { node });
}

function parentUnknown(node: string, parent: string): SessionStoreError {
  return new SessionStoreError(
    "NODE_PARENT_UNKNOWN",
    `Cannot add node ${node}: its parent ${parent} is neither stored nor before it`,
    { node },
  );
}
