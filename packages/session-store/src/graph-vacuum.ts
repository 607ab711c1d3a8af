import { decodeKey, type KvCheck, type KvItem, type KvKey, prefixRange } from "@tidemark/kv";
import { agentFrameRecord } from "./agent-frame.ts";
import { anchorsRecord, type AnchorsRecord } from "./anchors.ts";
import { refsOf } from "./checkpoint.ts";
import { type Decision, nothing, runDecision, type View } from "./decision.ts";
import { SessionStoreError } from "./errors.ts";
import { nodeIdRecord, nodeRecord } from "./graph.ts";
import { type HeadRecord, headRecord } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { type PlacedNode, reachableSequences } from "./reachable.ts";
import { scanAll } from "./scan-all.ts";
import { requireOpenGate, type SessionContext, unchanged } from "./session-context.ts";

/** How many nodes or components one step changes, and about how many bytes of them: a step is one commit. */
const STEP_RECORDS_MAX = 100;
const STEP_BYTES_MAX = 512 * 1024;

/** What a collection of a session's components did. */
export interface ComponentReport {
  /** Checkpoints and frames that name components: of the head, the anchors and the frames. */
  readonly roots: number;
  readonly retained: number;
  /** What this call removed. */
  readonly deleted: number;
}

/** The graph as it is stored, hidden and replaced nodes included, with what it hangs on. */
interface StoredGraph {
  readonly gate: Uint8Array | undefined;
  readonly head: HeadRecord | undefined;
  readonly anchors: AnchorsRecord;
  readonly nodes: ReadonlyMap<number, PlacedNode>;
  /** How many bytes each node has, by sequence. */
  readonly bytes: ReadonlyMap<number, number>;
  /** That gate, head and anchors are as they were: every change of the graph changes the head. */
  readonly checks: readonly KvCheck[];
}

/**
 * Hides nodes, and all below them, from every read at once; their records stay until {@link vacuumGraph}. Ids that are
 * unknown or hidden already are ignored.
 *
 * @returns How many nodes this call hid.
 * @throws SessionStoreError `NODE_REACHABLE` with the first node that the head or a retained anchor reaches; then
 * nothing was hidden. A fork has nodes of its own, so it is never affected.
 */
export async function tombstoneNodes(context: SessionContext, ids: readonly string[]): Promise<number> {
  if (ids.length === 0) return 0;
  const { kv, records } = context;
  const wanted = new Set(ids);
  let hidden = 0;
  for (;;) {
    const step = await runDecision(
      kv,
      records.partition,
      (view) => readStored(view, context),
      (stored) => decideTombstones(stored, wanted, context),
    );
    hidden += step;
    if (step === 0) return hidden;
  }
}

/**
 * Removes the records of nodes that are hidden or were replaced, and that no anchor reaches. Reads see no difference.
 *
 * @returns How many nodes this call removed.
 */
export async function vacuumGraph(context: SessionContext): Promise<number> {
  const { kv, records } = context;
  let removed = 0;
  for (;;) {
    const step = await runDecision(
      kv,
      records.partition,
      async (view) => {
        const stored = await readStored(view, context);
        const gone = removable(stored);
        const keys = gone.map(({ node }) => sessionKeys.nodeId(node.id));
        return { stored, gone, keys, places: keys.length === 0 ? [] : await view.get(keys) };
      },
      ({ stored, gone, keys, places }): Decision<number> => {
        requireOpenGate(stored.gate, context);
        const deletes: KvKey[] = gone.map(({ sequence }) => sessionKeys.node(sequence));
        keys.forEach((key, index) => {
          // An id that was used again after a replacement finds its new node, and stays.
          if (nodeIdRecord.read(places[index], key, records)?.sequence === gone[index]!.sequence)
            deletes.push(key);
        });
        return { checks: stored.checks, puts: [], deletes, result: gone.length };
      },
    );
    removed += step;
    if (step === 0) return removed;
  }
}

/**
 * Removes bytes of components that neither the head, nor a frame, nor a retained anchor names. What cannot be read
 * keeps everything: the call rejects, and nothing was removed on the strength of it.
 */
export async function collectComponents(context: SessionContext): Promise<ComponentReport> {
  const { kv, records } = context;
  let deleted = 0;
  for (;;) {
    const step = await runDecision(
      kv,
      records.partition,
      (view) => readComponents(view, context),
      ({ stored, refs, roots, named }): Decision<ComponentReport> => {
        requireOpenGate(stored.gate, context);
        const unreachable = refs.filter((ref) => !named.has(ref));
        const gone = unreachable.slice(0, STEP_RECORDS_MAX);
        const result = { roots, retained: refs.length - unreachable.length, deleted: gone.length };
        return { checks: stored.checks, puts: [], deletes: gone.map((ref) => sessionKeys.part(ref)), result };
      },
    );
    deleted += step.deleted;
    if (step.deleted === 0) return { ...step, deleted };
  }
}

function decideTombstones(
  stored: StoredGraph,
  wanted: ReadonlySet<string>,
  context: SessionContext,
): Decision<number> {
  requireOpenGate(stored.gate, context);
  const { head, nodes } = stored;
  if (head === undefined) return nothing(0);
  const reached = reachableSequences(nodes, [...leavesOf(stored)]);
  const live = withDescendants(
    [...nodes.values()].filter(({ sequence, node }) => !node.tombstoned && sequence >= head.graph.floor),
    wanted,
  );
  for (const { sequence, node } of live) if (reached.has(sequence)) throw nodeReachable(node.id);
  const { records } = context;
  // Children first: between two steps a turn may be put below what is still there, and keeps the way to its root.
  const hidden = stepOf(live.reverse(), stored);
  if (hidden.length === 0) return nothing(0);
  const graph = { ...head.graph, count: head.graph.count - hidden.length };
  const puts: KvItem[] = [headRecord.item({ ...head, graph }, sessionKeys.head, records)];
  for (const { sequence, node } of hidden) {
    puts.push(nodeRecord.item({ ...node, tombstoned: true }, sessionKeys.node(sequence), records));
    puts.push(nodeIdRecord.item({ sequence, tombstoned: true }, sessionKeys.nodeId(node.id), records));
  }
  return { checks: stored.checks, puts, deletes: [], result: hidden.length };
}

/** The nodes of some ids and all below them, parents first: what no path could pass through any more. */
function withDescendants(nodes: readonly PlacedNode[], ids: ReadonlySet<string>): PlacedNode[] {
  const sequences = new Set<number>();
  return nodes.filter(({ sequence, node }) => {
    const { parentSequence } = node;
    const below = parentSequence !== undefined && sequences.has(parentSequence);
    if (!below && !ids.has(node.id)) return false;
    sequences.add(sequence);
    return true;
  });
}

/** The nodes one step of a vacuum removes. */
function removable(stored: StoredGraph): PlacedNode[] {
  const { head, nodes } = stored;
  if (head === undefined) return [];
  const reached = reachableSequences(nodes, [...leavesOf(stored)]);
  const gone = [...nodes.values()].filter(
    ({ sequence, node }) => (node.tombstoned || sequence < head.graph.floor) && !reached.has(sequence),
  );
  return stepOf(gone, stored);
}

/** As many of some nodes as one step takes. */
function stepOf(nodes: readonly PlacedNode[], { bytes }: StoredGraph): PlacedNode[] {
  let room = STEP_BYTES_MAX;
  return nodes.slice(0, STEP_RECORDS_MAX).filter(({ sequence }, index) => {
    room -= bytes.get(sequence)!;
    return index === 0 || room >= 0;
  });
}

function* leavesOf({ head, anchors }: StoredGraph): Iterable<number> {
  if (head?.graph.leaf !== undefined) yield head.graph.leaf.sequence;
  for (const { node } of anchors.anchors) yield node.sequence;
}

async function readStored(view: View, { records }: SessionContext): Promise<StoredGraph> {
  const { gate, head, anchors } = sessionKeys;
  const keys = [gate, head, anchors];
  const values = await view.get(keys);
  const nodes = new Map<number, PlacedNode>();
  const bytes = new Map<number, number>();
  for (const { key, value } of await scanAll(view, prefixRange(["node"]))) {
    const sequence = decodeKey(key)[1] as number;
    nodes.set(sequence, { sequence, node: nodeRecord.read(value, key, records)! });
    bytes.set(sequence, value.length);
  }
  return {
    gate: values[0],
    head: headRecord.read(values[1], head, records),
    anchors: anchorsRecord.read(values[2], anchors, records) ?? { anchors: [] },
    nodes,
    bytes,
    checks: unchanged(keys, values),
  };
}

async function readComponents(view: View, context: SessionContext) {
  const { records } = context;
  const { gate, head, anchors } = sessionKeys;
  const keys = [gate, head, anchors];
  const values = await view.get(keys);
  const stored = { gate: values[0], checks: unchanged(keys, values) };
  const named = new Set<string>();
  let roots = 0;
  const root = (refs: readonly string[]) => {
    if (refs.length > 0) roots += 1;
    for (const ref of refs) named.add(ref);
  };
  root(refsOf(headRecord.read(values[1], head, records)?.checkpoint?.manifest));
  for (const anchor of anchorsRecord.read(values[2], anchors, records)?.anchors ?? [])
    root(refsOf(anchor.checkpoint?.manifest));
  for (const { key, value } of await scanAll(view, prefixRange(["frame"]))) {
    const state = agentFrameRecord.read(value, key, records)?.executionState;
    root(state === undefined ? [] : [state.ref]);
  }
  const parts = await scanAll(view, prefixRange(["part"]));
  return { stored, named, roots, refs: parts.map(({ key }) => decodeKey(key)[1] as string) };
}

function nodeReachable(node: string): SessionStoreError {
  return new SessionStoreError(
    "NODE_REACHABLE",
    `Cannot remove node ${node}: the head or a retained anchor reaches it`,
    { node },
  );
}
