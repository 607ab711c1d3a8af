import type { KvItem } from "@tidemark/kv";
import { agentFrameRecord } from "./agent-frame.ts";
import { refsOf } from "./checkpoint.ts";
import { leafUnresolvable } from "./graph-delta.ts";
import { nodeIdRecord, type NodeRecord, nodeRecord } from "./graph.ts";
import { type HeadRecord, headRecord } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { findNode, readAtHead, readComponent, readFrames, readPath } from "./read-session.ts";
import type { RecordContext } from "./records.ts";
import type { SessionContext } from "./session-context.ts";
import { countMessages } from "./turn-record.ts";

/**
 * The records of a child of a session, as they are at one of its leaves: the path to the leaf, frames, configuration and,
 * at the session's own leaf, the checkpoint with its components; a checkpoint of another moment would not fit an
 * earlier leaf. The child holds all it needs itself: what becomes of the parent does not touch it. Usage stays with the
 * parent, which paid for it, and turns can be tried again there alone. The child's head has revision 1.
 *
 * Empty if nothing was ever committed to the parent.
 *
 * @throws {@link SessionStoreError} `LEAF_UNRESOLVABLE`
 */
export async function forkItems(
  parent: SessionContext,
  child: RecordContext & { readonly session: string },
  leaf: string | undefined,
): Promise<KvItem[]> {
  const items = await readAtHead(parent, async (view, head) => {
    const { records } = parent;
    const at = leaf === undefined ? head.graph.leaf : await findNode(view, head, leaf, records);
    if (at === undefined && leaf !== undefined) throw leafUnresolvable(leaf);
    const path = at === undefined ? [] : await readPath(view, at, records);
    const frames = await readFrames(view, records);
    const current = at?.id === head.graph.leaf?.id;
    const refs = new Set([
      ...(current ? refsOf(head.checkpoint?.manifest) : []),
      ...frames.flatMap(({ executionState }) => (executionState === undefined ? [] : [executionState.ref])),
    ]);
    const parts: KvItem[] = [];
    for (const ref of refs) {
      parts.push({ key: sessionKeys.part(ref), value: await readComponent(view, ref, records) });
    }
    return [
      headRecord.item(childHead(head, path, child.session, current), sessionKeys.head, child),
      ...path.flatMap((node, index) => nodeItems(node, index + 1, child)),
      ...frames.map((frame) =>
        agentFrameRecord.item({ ...frame, session: child.session }, sessionKeys.frame(frame.id), child),
      ),
      ...parts,
    ];
  });
  if (items === undefined && leaf !== undefined) throw leafUnresolvable(leaf);
  return items ?? [];
}

function childHead(
  { config, currentFrame, checkpoint }: HeadRecord,
  path: readonly NodeRecord[],
  session: string,
  current: boolean,
): HeadRecord {
  const leaf = path.at(-1);
  return {
    session,
    revision: 1,
    config,
    graph: {
      floor: 1,
      next: path.length + 1,
      count: path.length,
      ...(leaf === undefined ? {} : { leaf: { id: leaf.id, sequence: path.length } }),
    },
    usage: [],
    messages: countMessages(undefined, path),
    ...(currentFrame === undefined ? {} : { currentFrame }),
    ...(checkpoint === undefined || !current ? {} : { checkpoint }),
  };
}

/** A node of a path, which lies below the one before it. */
function nodeItems(
  { parentSequence: _, ...node }: NodeRecord,
  sequence: number,
  child: RecordContext,
): KvItem[] {
  const record = sequence === 1 ? node : { ...node, parentSequence: sequence - 1 };
  return [
    nodeRecord.item(record, sessionKeys.node(sequence), child),
    nodeIdRecord.item({ sequence }, sessionKeys.nodeId(node.id), child),
  ];
}
