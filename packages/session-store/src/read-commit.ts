import type { KvCheck } from "@tidemark/kv";
import { agentFrameRecord } from "./agent-frame.ts";
import { type AttachmentRow, attachmentRecord } from "./attachment-rows.ts";
import { refsOf } from "./checkpoint.ts";
import type { View } from "./decision.ts";
import { idsToLookUp } from "./graph-delta.ts";
import { type NodeIdRecord, nodeIdRecord } from "./graph.ts";
import { type HeadRecord, headRecord } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { type LeaseRecord, leaseRecord } from "./lease.ts";
import type { PreparedCommit } from "./prepare-commit.ts";
import type { RecordContext } from "./records.ts";
import { unchanged } from "./session-context.ts";
import { type SessionGate, sessionGateRecord } from "./session-gate.ts";
import type { SettleSnapshot } from "./settle-work.ts";
import { type TurnRow, turnRowRecord } from "./turn-record.ts";
import type { WorkCompletion } from "./work-claim.ts";
import { EMPTY_QUEUE } from "./work-queue-record.ts";
import { queueRecord, readClaims } from "./work-rows.ts";

/** What a commit looks at, as it was stored at one moment. */
export interface CommitSnapshot {
  readonly gate: SessionGate | undefined;
  readonly lease: LeaseRecord | undefined;
  readonly head: HeadRecord | undefined;
  readonly turn: TurnRow | undefined;
  /** Where the ids that the graph's delta names lie. */
  readonly nodes: ReadonlyMap<string, NodeIdRecord>;
  /** References without bytes that neither the head nor a stored frame has, and whether their bytes are stored. */
  readonly parts: ReadonlyMap<string, boolean>;
  /** The queue and the claims that the commit completes; absent if it completes none. */
  readonly settle?: Omit<SettleSnapshot, "lease">;
  /** The rows of the attachments the commit refers to, by id; an id without a row is not in it. */
  readonly attachments: ReadonlyMap<string, AttachmentRow>;
  /** That all of this is as it was. */
  readonly checks: readonly KvCheck[];
}

/** Reads what {@link decideCommit} looks at. */
export async function readCommit(
  view: View,
  { commit, frames, checkpoint, bodies }: PreparedCommit,
  records: RecordContext,
): Promise<CommitSnapshot> {
  const { gate, lease, head } = sessionKeys;
  const turn = commit.turn === undefined ? undefined : sessionKeys.turn(commit.turn.turn);
  const ids = idsToLookUp(commit.graph);
  const framesNamed = frames.filter(
    ({ executionState }) => executionState && !bodies.has(executionState.ref),
  );
  const frameKeys = framesNamed.map(({ id }) => sessionKeys.frame(id));
  const idKeys = ids.map((id) => sessionKeys.nodeId(id));
  // Before the turn's own register: a retry that finds its claims settled must find the turn that settled them.
  const settled = await readSettled(view, commit.completed ?? [], records);
  const registers = turn === undefined ? [gate, lease, head] : [gate, lease, head, turn];
  const values = await view.get([...registers, ...idKeys, ...frameKeys]);
  const checks = unchanged(registers, values);
  const nodes = new Map<string, NodeIdRecord>();
  ids.forEach((id, index) => {
    const record = nodeIdRecord.read(values[registers.length + index], idKeys[index]!, records);
    if (record !== undefined) nodes.set(id, record);
  });
  const storedHead = headRecord.read(values[2], head, records);
  const known = new Set(refsOf(storedHead?.checkpoint?.manifest));
  frameKeys.forEach((key, index) => {
    const frame = agentFrameRecord.read(values[registers.length + ids.length + index], key, records);
    if (frame?.executionState !== undefined) known.add(frame.executionState.ref);
  });
  const refs = [...refsOf(checkpoint?.manifest), ...framesNamed.map((frame) => frame.executionState!.ref)];
  const unknown = [...new Set(refs)].filter((ref) => !known.has(ref) && !bodies.has(ref));
  const partKeys = unknown.map((ref) => sessionKeys.part(ref));
  const parts = unknown.length === 0 ? [] : await view.get(partKeys);
  const referred = await readAttachments(view, commit.attachments ?? [], records);
  return {
    gate: sessionGateRecord.read(values[0], gate, records),
    lease: leaseRecord.read(values[1], lease, records),
    head: storedHead,
    turn: turn === undefined ? undefined : turnRowRecord.read(values[3], turn, records),
    nodes,
    parts: new Map(unknown.map((ref, index) => [ref, parts[index] !== undefined])),
    attachments: referred.attachments,
    checks: [...checks, ...unchanged(partKeys, parts), ...referred.checks, ...settled.checks],
    ...(settled.settle === undefined ? {} : { settle: settled.settle }),
  };
}

/** The rows of the attachments that a commit refers to. */
async function readAttachments(
  view: View,
  ids: readonly string[],
  records: RecordContext,
): Promise<Pick<CommitSnapshot, "attachments" | "checks">> {
  const attachments = new Map<string, AttachmentRow>();
  const keys = [...new Set(ids)].map((id) => sessionKeys.attachment(id));
  if (keys.length === 0) return { checks: [], attachments };
  const values = await view.get(keys);
  keys.forEach((key, index) => {
    const row = attachmentRecord.read(values[index], key, records);
    if (row !== undefined) attachments.set(row.id, row);
  });
  return { checks: unchanged(keys, values), attachments };
}

/** The queue and the rows of the claims that completions name. */
async function readSettled(
  view: View,
  completions: readonly WorkCompletion[],
  records: RecordContext,
): Promise<{ readonly checks: readonly KvCheck[]; readonly settle?: Omit<SettleSnapshot, "lease"> }> {
  if (completions.length === 0) return { checks: [] };
  const key = sessionKeys.queue;
  const [value] = await view.get([key]);
  const queue = queueRecord.read(value, key, records) ?? EMPTY_QUEUE;
  const rows = await readClaims(view, completions, records);
  // Whatever changes a claim or an open batch changes the queue register.
  return { checks: [{ key, value }], settle: { queue, rows } };
}
