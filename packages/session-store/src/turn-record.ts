import type { KvItem } from "@tidemark/kv";
import type { ModelChoice, StoredFrame } from "./agent-frame.ts";
import { agentFrameRecord } from "./agent-frame.ts";
import { base64, bytesOfBase64 } from "./base64.ts";
import { canonicalJson, type JsonValue } from "./canonical-json.ts";
import type { StoredCheckpoint } from "./checkpoint.ts";
import { SessionStoreError } from "./errors.ts";
import type { ResolvedGraph } from "./graph-delta.ts";
import { messageOf, nodeIdRecord, type NodeRecord, nodeRecord } from "./graph.ts";
import { type HeadRecord, headRecord, type MessageCounts } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { FIRST_MESSAGE_LENGTH_MAX } from "./limits.ts";
import { recordCodec, type RecordCodec, type RecordContext } from "./records.ts";
import type { TurnResult } from "./turn-commit.ts";
import { mergeUsage, type UsageEntry } from "./usage-ledger.ts";
import type { WorkCompletion } from "./work-claim.ts";

/**
 * A committed turn as a decision that travels: everything it changed, with every place known, so that who applies it to
 * the same head writes the same bytes. `turnPuts` makes the records of head, graph, frames, components and stamp from
 * it; settled work and stamped attachments are named, and are the matter of whoever keeps those.
 */
export interface TurnRecord {
  readonly session: string;
  /** The stamp's turn; absent if the commit had none. */
  readonly turn?: string;
  /** {@link turnHash} of its content. */
  readonly hash: string;
  /** {@link TURN_PROJECTION_VERSION} of the hash. */
  readonly projection: number;
  /** The revision it was decided on; 0 if there was no head. */
  readonly parentRevision: number;
  /** `parentRevision + 1`. */
  readonly revision: number;
  /** Of the lease it was committed under. */
  readonly generation: number;
  /** Unix ms of the clock of the store that decided it. */
  readonly committedAtMs: number;
  readonly config: ModelChoice;
  /** New and changed frames. */
  readonly frames: readonly StoredFrame[];
  /** The frame the session is in from now on. */
  readonly currentFrame?: string;
  readonly graph: ResolvedGraph;
  /** The state from now on; absent if it is what it was. */
  readonly checkpoint?: StoredCheckpoint;
  /** Bytes of components that came with it, by reference. */
  readonly bodies: ReadonlyMap<string, Uint8Array>;
  /** What was used: deltas. */
  readonly usage: readonly UsageEntry[];
  readonly completed: readonly WorkCompletion[];
  readonly attachments: readonly string[];
}

/** Stamp and result of a turn, as stored: what a retry is judged and answered by. */
export interface TurnRow {
  readonly hash: string;
  readonly projection: number;
  readonly result: TurnResult;
}

/** How the stamp of a turn is stored. */
export const turnRowRecord: RecordCodec<TurnRow> = recordCodec("turn", 1);

/** What a turn writes, and the head it leads to. */
export interface TurnPuts {
  readonly head: HeadRecord;
  readonly puts: readonly KvItem[];
}

/** The version of {@link encodeTurnRecord}. */
export const TURN_RECORD_VERSION: number = 1;

/**
 * The records a turn writes over the head it was decided on: head, nodes and their ids, frames, components, stamp. A pure
 * function of its arguments: a follower that applies a turn writes byte for byte what the committer wrote.
 *
 * @throws `RangeError` if the turn does not follow this head.
 */
export function turnPuts(head: HeadRecord | undefined, record: TurnRecord, place: RecordContext): TurnPuts {
  if ((head?.revision ?? 0) !== record.parentRevision) {
    throw new RangeError(
      `A turn on revision ${record.parentRevision} does not follow ${head?.revision ?? 0}`,
    );
  }
  const next = nextHead(head, record);
  const puts: KvItem[] = [headRecord.item(next, sessionKeys.head, place)];
  record.graph.nodes.forEach((node, index) => {
    const sequence = record.graph.first + index;
    puts.push(nodeRecord.item(node, sessionKeys.node(sequence), place));
    puts.push(nodeIdRecord.item({ sequence }, sessionKeys.nodeId(node.id), place));
  });
  for (const frame of record.frames) {
    puts.push(agentFrameRecord.item(frame, sessionKeys.frame(frame.id), place));
  }
  for (const [ref, body] of [...record.bodies].sort(([a], [b]) => (a < b ? -1 : 1))) {
    puts.push({ key: sessionKeys.part(ref), value: body });
  }
  if (record.turn !== undefined) {
    const { hash, projection } = record;
    const row: TurnRow = { hash, projection, result: turnResult(next) };
    puts.push(turnRowRecord.item(row, sessionKeys.turn(record.turn), place));
  }
  return { head: next, puts };
}

/** The result of the turn that led to a head. */
export function turnResult({ revision, checkpoint }: HeadRecord): TurnResult {
  return { revision, ...(checkpoint === undefined ? {} : { checkpoint }) };
}

/** A turn as bytes: canonical JSON in UTF-8, bytes as base64. Equal turns have equal bytes. */
export function encodeTurnRecord(record: TurnRecord): Uint8Array {
  const bodies = Object.fromEntries([...record.bodies].map(([ref, body]) => [ref, base64(body)]));
  const value = { format: TURN_RECORD_VERSION, ...record, bodies };
  return new TextEncoder().encode(canonicalJson(value as unknown as JsonValue));
}

/**
 * The turn of {@link encodeTurnRecord}.
 *
 * @throws {@link SessionStoreError} `DATA_CORRUPT` if it is no turn; `RECORD_VERSION` if it is one of another version.
 */
export function decodeTurnRecord(bytes: Uint8Array): TurnRecord {
  let value: { readonly [key: string]: unknown };
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as typeof value;
  } catch (cause) {
    throw new SessionStoreError("DATA_CORRUPT", "Cannot read a turn record: it is not JSON", { cause });
  }
  const { format, bodies, ...record } = value;
  if (format !== TURN_RECORD_VERSION) {
    throw new SessionStoreError("RECORD_VERSION", `Cannot read a turn record of version ${String(format)}`, {
      kind: "turn-record",
      expected: TURN_RECORD_VERSION,
      ...(typeof format === "number" ? { actual: format } : {}),
    });
  }
  const entries = Object.entries(bodies as { readonly [ref: string]: string });
  return {
    ...(record as unknown as Omit<TurnRecord, "bodies">),
    bodies: new Map(entries.map(([ref, text]) => [ref, bytesOfBase64(text)])),
  };
}

function nextHead(head: HeadRecord | undefined, record: TurnRecord): HeadRecord {
  const { session, revision, config, graph } = record;
  const replaced = graph.type === "replace";
  const checkpoint = record.checkpoint ?? head?.checkpoint;
  const currentFrame = record.currentFrame ?? head?.currentFrame;
  return {
    session,
    revision,
    config,
    graph: {
      floor: replaced ? graph.first : (head?.graph.floor ?? 1),
      next: graph.first + graph.nodes.length,
      count: (replaced ? 0 : (head?.graph.count ?? 0)) + graph.nodes.length,
      ...(graph.leaf === undefined ? {} : { leaf: graph.leaf }),
    },
    usage: mergeUsage(head?.usage ?? [], record.usage),
    messages: countMessages(replaced ? undefined : head?.messages, graph.nodes),
    ...(currentFrame === undefined ? {} : { currentFrame }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

/** Counts user messages, and keeps the text of the first. */
export function countMessages(
  counts: MessageCounts | undefined,
  nodes: readonly NodeRecord[],
): MessageCounts {
  let { first, user } = counts ?? { user: 0 };
  for (const { payload } of nodes) {
    const message = messageOf(payload);
    if (message?.role !== "user") continue;
    user += 1;
    first ??= textOf(message.parts);
  }
  return { user, ...(first === undefined ? {} : { first }) };
}

function textOf(parts: NonNullable<ReturnType<typeof messageOf>>["parts"]): string {
  const texts = parts.filter(({ kind, content }) => kind === "text" && typeof content === "string");
  const text = texts.map(({ content }) => content as string).join("\n");
  // A cut between the halves of a surrogate pair would leave text that nothing can store.
  return text.slice(0, FIRST_MESSAGE_LENGTH_MAX).replace(/[\ud800-\udbff]$/, "");
}
