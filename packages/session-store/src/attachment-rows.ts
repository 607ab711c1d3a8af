import { recordCodec, type RecordCodec } from "./records.ts";

/**
 * What a session knows of one attachment. The row is written before any byte of the attachment is (an intent),
 * and stamped by the turn whose content refers to it. Kept at `("attachment", id)` of the session's partition, so
 * that two sessions with the same bytes never share a row.
 */
export interface AttachmentRow {
  /** The hash of the bytes, as hexadecimal text. */
  readonly id: string;
  readonly session: string;
  /** Where the bytes came from or are known as: free text of the caller. */
  readonly uri: string;
  /** When the intent was last recorded, in Unix ms of the store's clock. */
  readonly intentAtMs: number;
  /** When a turn or the caller committed it; absent until then. The first stamp wins. */
  readonly committedAtMs?: number;
  /** The lease generation the intent was recorded under. While it lives the row is never swept, however old. */
  readonly generation?: number;
}

/** How rows of attachments are stored. */
export const attachmentRecord: RecordCodec<AttachmentRow> = recordCodec("attachment", 1);

/** What stamping decided: the rows to write, and the ids it had no row for. */
export interface Stamped {
  readonly rows: readonly AttachmentRow[];
  /** Ids this session never recorded, or that were swept: nothing is written for them. */
  readonly unknown: readonly string[];
}

/**
 * Stamps the rows of `ids` as committed. Never inserts a row, and a row that has a stamp keeps it.
 *
 * @param rows - The stored row of each id, in the order of `ids`.
 */
export function decideStamp(
  rows: readonly (AttachmentRow | undefined)[],
  ids: readonly string[],
  nowMs: number,
): Stamped {
  const stamped = new Map<string, AttachmentRow>();
  const unknown = new Set<string>();
  ids.forEach((id, index) => {
    const row = rows[index];
    if (row === undefined) unknown.add(id);
    else if (row.committedAtMs === undefined) stamped.set(id, { ...row, committedAtMs: nowMs });
  });
  return { rows: [...stamped.values()], unknown: [...unknown] };
}

/** What a session wants to record before it writes bytes. */
export interface AttachmentIntent {
  readonly id: string;
  readonly session: string;
  readonly uri: string;
  /** The generation of the lease the writer holds, if it holds one. */
  readonly generation?: number;
}

/**
 * The row of an intent. A committed row stays as it is; an uncommitted one is as young as its latest intent, so
 * that a writer who tries again is not swept by the age of its first attempt.
 */
export function decideIntent(
  row: AttachmentRow | undefined,
  intent: AttachmentIntent,
  nowMs: number,
): AttachmentRow {
  if (row?.committedAtMs !== undefined) return row;
  const { id, session, uri, generation } = intent;
  const intentAtMs = Math.max(nowMs, row?.intentAtMs ?? 0);
  return { id, session, uri, intentAtMs, ...(generation === undefined ? {} : { generation }) };
}

/** Uncommitted rows recorded at or before `atMs`, oldest first. */
export function selectUncommitted(rows: Iterable<AttachmentRow>, atMs: number): AttachmentRow[] {
  return [...rows]
    .filter((row) => row.committedAtMs === undefined && row.intentAtMs <= atMs)
    .sort((a, b) => a.intentAtMs - b.intentAtMs || (a.id < b.id ? -1 : 1));
}

/** Whether an intent may be given up: proof that its owner lives comes before age. */
export function mayGiveUp(
  row: AttachmentRow | undefined,
  atMs: number,
  liveGeneration: number | undefined,
): row is AttachmentRow {
  if (row === undefined || row.committedAtMs !== undefined || row.intentAtMs > atMs) return false;
  return row.generation === undefined || row.generation !== liveGeneration;
}
