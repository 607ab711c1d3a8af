import { compareHlc, type Hlc } from "@tidemark/core";
import { type KvCheck, prefixRange } from "@tidemark/kv";
import { type RecordContext, scanAll, SessionStoreError, type View } from "@tidemark/session-store";
import {
  archivedRecord,
  type CurrentRow,
  currentRecord,
  headRecord,
  type Pointers,
  pointersRecord,
  type ZoneHead,
} from "./zone-records.ts";
import { zoneKeys } from "./zone-keys.ts";

/** A current conversation, with what decisions about it check. */
export interface LiveZone {
  readonly current: CurrentRow;
  readonly head: ZoneHead;
  readonly headCheck: KvCheck;
}

/** What decisions about an agent rest on. */
export interface ZoneView {
  readonly pointers: Pointers;
  readonly pointersCheck: KvCheck;
  /**
   * Conversations that are current, the one that is shown first. More than one only where regions began them without
   * having heard of each other.
   */
  readonly live: readonly LiveZone[];
}

/** Nothing was written for this agent yet. */
const NO_POINTERS: Pointers = Object.freeze({ version: 0, archivedMs: 0 });

/** Reads which conversations are current, and their heads. */
export async function readZone(view: View, records: RecordContext): Promise<ZoneView> {
  // Read first: whoever changes what follows changes it, so that a check of it is one of all of them.
  const [stored] = await view.get([zoneKeys.pointers]);
  const rows = (await scanAll(view, prefixRange(["current"]))).map(
    ({ key, value }) => currentRecord.read(value, key, records) as CurrentRow,
  );
  const marks = rows.map(({ conversation }) => zoneKeys.archived(conversation));
  const heads = rows.map(({ conversation }) => zoneKeys.head(conversation));
  const values = rows.length === 0 ? [] : await view.get([...marks, ...heads]);
  const live: LiveZone[] = [];
  rows.forEach((current, index) => {
    // Somebody who had not heard that it was archived wrote it, and what was archived stays so.
    if (archivedRecord.read(values[index], marks[index]!, records) !== undefined) return;
    const key = heads[index]!;
    const value = values[rows.length + index];
    const head = headRecord.read(value, key, records);
    if (head !== undefined) live.push({ current, head, headCheck: { key, value } });
  });
  live.sort(
    (a, b) =>
      compareHlc(b.current.begun, a.current.begun) ||
      (a.current.conversation < b.current.conversation ? -1 : 1),
  );
  return {
    pointers: pointersRecord.read(stored, zoneKeys.pointers, records) ?? NO_POINTERS,
    pointersCheck: { key: zoneKeys.pointers, value: stored },
    live,
  };
}

/** The head of a conversation. */
export async function readHead(
  view: View,
  conversation: string,
  records: RecordContext,
): Promise<ZoneHead | undefined> {
  const key = zoneKeys.head(conversation);
  const [value] = await view.get([key]);
  return headRecord.read(value, key, records);
}

/** The head of a conversation that something points to. @throws SessionStoreError `DATA_CORRUPT` if it is not there. */
export async function requireHead(
  view: View,
  conversation: string,
  records: RecordContext,
): Promise<ZoneHead> {
  const head = await readHead(view, conversation, records);
  if (head !== undefined) return head;
  throw new SessionStoreError("DATA_CORRUPT", `An archive of ${view.partition} lacks what is of it`);
}

/** The head of nothing yet. */
export function emptyHead(conversation: string, stamp: Hlc, nowMs: number): ZoneHead {
  return {
    conversation,
    revision: 0,
    preview: "",
    nodeCount: 0,
    log: { floor: 0, end: 0, tail: 0, torn: 0, atMs: nowMs },
    stamp,
  };
}

/** Whether there is nothing in a conversation that anybody could want back. */
export function isBlank({ state, log, session }: ZoneHead): boolean {
  return (state?.bytes ?? 0) === 0 && log.end + log.torn === log.floor && session === undefined;
}
