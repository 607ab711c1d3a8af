import type { NodeRecord } from "./graph.ts";

/** A stored node and where it lies. */
export interface PlacedNode {
  readonly sequence: number;
  readonly node: NodeRecord;
}

/**
 * The sequences on the ways from some nodes to their roots. A way ends where a node is missing: nothing above it is
 * claimed to be reached.
 */
export function reachableSequences(
  nodes: ReadonlyMap<number, PlacedNode>,
  leaves: Iterable<number>,
): Set<number> {
  const reached = new Set<number>();
  for (const leaf of leaves) {
    let at = nodes.get(leaf);
    while (at !== undefined && !reached.has(at.sequence)) {
      reached.add(at.sequence);
      const { parentSequence } = at.node;
      at = parentSequence === undefined ? undefined : nodes.get(parentSequence);
    }
  }
  return reached;
}
