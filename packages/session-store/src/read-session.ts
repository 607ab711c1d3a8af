import { compareBytes } from "@tidemark/core";
import { prefixRange } from "@tidemark/kv";
import { agentFrameRecord, compareFrames, type StoredFrame } from "./agent-frame.ts";
import {
  componentMissing,
  componentRef,
  hydrate,
  type LoadedCheckpoint,
  refsOf,
  type StoredCheckpoint,
} from "./checkpoint.ts";
import { type View, viewOf } from "./decision.ts";
import { asSessionStoreError, SessionStoreError } from "./errors.ts";
import { leafUnresolvable } from "./graph-delta.ts";
import {
  type GraphNode,
  nodeIdRecord,
  nodeOf,
  type NodeRecord,
  nodeRecord,
  type SessionGraph,
} from "./graph.ts";
import { type Head, type HeadMeta, type HeadRecord, headRecord, type NodePosition } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import type { RecordContext } from "./records.ts";
import { scanAll } from "./scan-all.ts";
import type { SessionContext } from "./session-context.ts";
import { requireReadable, sessionGateRecord } from "./session-gate.ts";

/** How much of a session's graph is read: all of it, or the way from the root to a leaf, the session's own by default. */
export type ReadScope = { readonly scope: "full" } | { readonly scope: "path"; readonly leaf?: string };

/** How often a read starts over because a commit came in between, before it is `BUSY`. */
const READ_ATTEMPTS_MAX = 16;
/** How many nodes a walk along a path reads at once. */
const PATH_PAGE_NODES = 256;

/** The head with its graph; `undefined` before the first commit. All of one moment. */
export async function readHead(context: SessionContext, scope: ReadScope): Promise<Head | undefined> {
  guardScope(scope, context);
  return readAtHead(context, async (view, head) => ({
    ...baseOf(head, await readFrames(view, context.records)),
    graph: await readGraph(view, head, scope, context.records),
    ...(head.checkpoint === undefined
      ? {}
      : { checkpoint: await readCheckpoint(view, head.checkpoint, context.records) }),
  }));
}

/** The head without its graph; `undefined` before the first commit. Its cost does not grow with the graph. */
export async function readHeadMeta(context: SessionContext): Promise<HeadMeta | undefined> {
  return readAtHead(context, async (view, head) => ({
    ...baseOf(head, await readFrames(view, context.records)),
    nodeCount: head.graph.count,
    ...(head.checkpoint === undefined ? {} : { checkpoint: head.checkpoint }),
    ...(head.graph.leaf === undefined ? {} : { leaf: head.graph.leaf.id }),
  }));
}

/** One node; `undefined` if none of that id is in the graph, or it is hidden. */
export async function readNode(context: SessionContext, id: string): Promise<GraphNode | undefined> {
  const { records } = context;
  return readAtHead(context, async (view, head) => {
    const position = await findNode(view, head, id, records);
    if (position === undefined) return undefined;
    const key = sessionKeys.node(position.sequence);
    const [bytes] = await view.get([key]);
    const node = nodeRecord.read(bytes, key, records);
    if (node === undefined) throw hole(`node ${id} is not where its id says`);
    return nodeOf(node);
  });
}

/** The nodes of a path from root to leaf, each with its place. For {@link readHead} and for forks. */
export async function readPath(
  view: View,
  leaf: NodePosition,
  records: RecordContext,
): Promise<NodeRecord[]> {
  const path: NodeRecord[] = [];
  let wanted: number | undefined = leaf.sequence;
  while (wanted !== undefined) {
    // Parents lie below their children, mostly just below: a page upwards from the wanted one holds many of them.
    const end = sessionKeys.node(wanted + 1);
    const { items } = await view.scan({
      ...prefixRange(["node"]),
      end,
      reverse: true,
      limit: PATH_PAGE_NODES,
    });
    const found = path.length;
    for (const { key, value } of items) {
      if (wanted === undefined || compareBytes(key, sessionKeys.node(wanted)) !== 0) continue;
      const node: NodeRecord | undefined = nodeRecord.read(value, key, records);
      if (node === undefined || node.tombstoned) break;
      path.push(node);
      wanted = node.parentSequence;
    }
    if (path.length === found) throw pathBroken(leaf.id, wanted);
  }
  return path.reverse();
}

/** Where a readable node of the graph lies. */
export async function findNode(
  view: View,
  head: HeadRecord,
  id: string,
  records: RecordContext,
): Promise<NodePosition | undefined> {
  const key = sessionKeys.nodeId(id);
  const [bytes] = await view.get([key]);
  const place = nodeIdRecord.read(bytes, key, records);
  if (place === undefined || place.tombstoned || place.sequence < head.graph.floor) return undefined;
  return { id, sequence: place.sequence };
}

/** All agent frames, in their order. */
export async function readFrames(view: View, records: RecordContext): Promise<StoredFrame[]> {
  const items = await scanAll(view, prefixRange(["frame"]));
  return items.map(({ key, value }) => agentFrameRecord.read(value, key, records)!).sort(compareFrames);
}

/**
 * Reads beside the head, again if the head changed meanwhile: every commit changes it, so what is read is of one moment.
 * What is missing counts as missing only if the head stayed: else a vacuum may have taken what was replaced.
 *
 * @throws {@link SessionStoreError} `SESSION_UNKNOWN`, `SESSION_DELETED`, `BUSY`, and what `read` throws.
 */
export async function readAtHead<Result>(
  { kv, records, session }: SessionContext,
  read: (view: View, head: HeadRecord) => Promise<Result>,
): Promise<Result | undefined> {
  const view = viewOf(kv, records.partition);
  try {
    for (let attempt = 0; attempt < READ_ATTEMPTS_MAX; attempt++) {
      const [gate, before] = await view.get([sessionKeys.gate, sessionKeys.head]);
      requireReadable(sessionGateRecord.read(gate, sessionKeys.gate, records), session);
      const head = headRecord.read(before, sessionKeys.head, records);
      if (before === undefined || head === undefined) return undefined;
      const outcome = await settle(read(view, head));
      const [after] = await view.get([sessionKeys.head]);
      if (after === undefined || compareBytes(before, after) !== 0) continue;
      if ("error" in outcome) throw outcome.error;
      return outcome.value;
    }
  } catch (error) {
    throw asSessionStoreError(error);
  }
  throw new SessionStoreError("BUSY", `Cannot read session ${session}: it was committed to each time`);
}

async function settle<Value>(
  promise: Promise<Value>,
): Promise<{ readonly value: Value } | { readonly error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

async function readGraph(
  view: View,
  head: HeadRecord,
  scope: ReadScope,
  records: RecordContext,
): Promise<SessionGraph> {
  if (scope.scope === "full") {
    const nodes = await readNodes(view, head, records);
    return { nodes, ...(head.graph.leaf === undefined ? {} : { leaf: head.graph.leaf.id }) };
  }
  const leaf = scope.leaf === undefined ? head.graph.leaf : await findNode(view, head, scope.leaf, records);
  if (leaf === undefined) {
    if (scope.leaf !== undefined) throw leafUnresolvable(scope.leaf);
    return { nodes: [] };
  }
  return { nodes: (await readPath(view, leaf, records)).map(nodeOf), leaf: leaf.id };
}

async function readNodes(view: View, head: HeadRecord, records: RecordContext): Promise<GraphNode[]> {
  const { floor, next, count } = head.graph;
  const range = { start: sessionKeys.node(floor), end: sessionKeys.node(next) };
  const items = await scanAll(view, range);
  const nodes = items
    .map(({ key, value }) => nodeRecord.read(value, key, records)!)
    .filter(({ tombstoned }) => !tombstoned);
  if (nodes.length !== count) throw hole(`${nodes.length} nodes are there, ${count} should be`);
  return nodes.map(nodeOf);
}

async function readCheckpoint(
  view: View,
  checkpoint: StoredCheckpoint,
  records: RecordContext,
): Promise<LoadedCheckpoint> {
  const refs = refsOf(checkpoint.manifest);
  const bodies = new Map<string, Uint8Array>();
  for (const ref of refs) bodies.set(ref, await readComponent(view, ref, records));
  return hydrate(checkpoint, (ref) => bodies.get(ref)!);
}

/** The bytes of a component. @throws {@link SessionStoreError} `COMPONENT_MISSING`, or `DATA_CORRUPT` if they are not its own */
export async function readComponent(view: View, ref: string, { hasher }: RecordContext): Promise<Uint8Array> {
  const [body] = await view.get([sessionKeys.part(ref)]);
  if (body === undefined) throw componentMissing(ref);
  if (componentRef(body, hasher) !== ref) throw hole(`component ${ref} has other bytes`);
  return body;
}

function baseOf({ session, revision, config, currentFrame, usage }: HeadRecord, frames: StoredFrame[]) {
  return {
    session,
    revision,
    config,
    frames,
    usage,
    ...(currentFrame === undefined ? {} : { currentFrame }),
  };
}

function guardScope(scope: ReadScope, { session }: SessionContext): void {
  const { scope: name } = scope;
  if (name === "full" || name === "path") return;
  throw new SessionStoreError(
    "UNSUPPORTED_READ_SCOPE",
    `Cannot read session ${session} in scope ${String(name)}`,
    {
      scope: String(name),
    },
  );
}

function pathBroken(leaf: string, sequence: number | undefined): SessionStoreError {
  return hole(`the path to ${leaf} breaks at sequence ${sequence}`);
}

function hole(what: string): SessionStoreError {
  return new SessionStoreError("DATA_CORRUPT", `What is stored is not whole: ${what}`);
}
