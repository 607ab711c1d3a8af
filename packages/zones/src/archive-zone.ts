import type { KvCheck, KvItem, KvKey } from "@tidemark/kv";
import type { Decision, RecordContext, View } from "@tidemark/session-store";
import { zoneDigest } from "./content-digest.ts";
import { readContent } from "./read-content.ts";
import { isBlank, type LiveZone, readZone, type ZoneView } from "./read-zone.ts";
import { zoneKeys } from "./zone-keys.ts";
import { archiveZoneName } from "./zone-name.ts";
import {
  archivedRecord,
  archiveRecord,
  type ArchiveRow,
  digestRecord,
  type DigestRow,
  garbageRecord,
  type ZoneHead,
} from "./zone-records.ts";
import { pointersItem, type ZoneWriter } from "./zone-writer.ts";

/** Where something was archived. */
export interface Archived {
  readonly zone: string;
  /** Unix ms. */
  readonly archivedAtMs: number;
}

/** A current conversation that is to be archived. */
export interface Archivable {
  readonly live: LiveZone;
  /** `zoneDigest` of all that is in it. */
  readonly digest: string;
  /** What is stored of the first archive of this content. */
  readonly first: Uint8Array | undefined;
}

/** What {@link decideArchive} rests on. */
export interface ArchiveView {
  readonly zone: ZoneView;
  /** What is not blank, the conversation that is shown first. */
  readonly archivable: readonly Archivable[];
}

/** Reads what is current, and what it would be the same as. */
export async function readArchive(view: View, { records, merges }: ZoneWriter): Promise<ArchiveView> {
  const zone = await readZone(view, records);
  const archivable: Archivable[] = [];
  for (const live of zone.live) {
    if (isBlank(live.head)) continue;
    const digest = await digestOf(view, live.head, records, merges);
    const [first] = await view.get([zoneKeys.digest(digest)]);
    archivable.push({ live, digest, first });
  }
  return { zone, archivable };
}

/**
 * Archives every current conversation, in one step: each is named by a time after all that were given, and is current
 * no more. What has the bytes of an archive that is there is that archive.
 *
 * @returns Where the conversation is that was shown; nothing if none was more than blank.
 */
export function decideArchive(
  { zone, archivable }: ArchiveView,
  writer: ZoneWriter,
  nowMs: number,
): Decision<Archived | undefined> {
  if (archivable.length === 0) return { checks: [], puts: [], deletes: [], result: undefined };
  const { archived, archivedMs, ...change } = archiveAll(zone, archivable, writer, nowMs);
  return {
    checks: change.checks,
    puts: [...change.puts, pointersItem(zone.pointers, { archivedMs }, writer)],
    deletes: change.deletes,
    result: archived[0],
  };
}

/** What it takes to archive all that is current; the register is left to the caller. */
export function archiveAll(
  zone: ZoneView,
  archivable: readonly Archivable[],
  writer: ZoneWriter,
  nowMs: number,
): {
  readonly checks: readonly KvCheck[];
  readonly puts: readonly KvItem[];
  readonly deletes: readonly KvKey[];
  readonly archived: readonly Archived[];
  readonly archivedMs: number;
} {
  const { records, definition } = writer;
  const checks: KvCheck[] = [zone.pointersCheck, ...zone.live.map(({ headCheck }) => headCheck)];
  const puts: KvItem[] = [];
  const archived: Archived[] = [];
  // Of two regions that each began what are the same bytes, the second is the first.
  const given = new Map<string, DigestRow>();
  let { archivedMs } = zone.pointers;
  for (const { live, digest, first } of archivable) {
    const { head } = live;
    const key = zoneKeys.digest(digest);
    const known = given.get(digest) ?? digestRecord.read(first, key, records);
    if (!given.has(digest)) checks.push({ key, value: first });
    if (known === undefined) archivedMs = Math.max(nowMs, archivedMs + 1);
    const archivedAtMs = known?.archivedAtMs ?? archivedMs;
    if (known === undefined) puts.push(...archiveItems(rowOf(head, archivedAtMs, digest), writer));
    // Its bytes are in the first archive; it must not come back either.
    else puts.push(markItem(head.conversation, archivedAtMs, writer), garbageItem(head.conversation, writer));
    given.set(digest, known ?? { archivedAtMs, conversation: head.conversation });
    archived.push({ zone: archiveZoneName(definition, archivedAtMs), archivedAtMs });
  }
  const deletes = zone.live.map(({ head }) => zoneKeys.current(head.conversation));
  return { checks, puts, deletes, archived, archivedMs };
}

/** The records of an archive. */
export function archiveItems(row: ArchiveRow, writer: ZoneWriter): KvItem[] {
  const { conversation, archivedAtMs, digest } = row;
  const { records } = writer;
  return [
    archiveRecord.item(row, zoneKeys.archive(archivedAtMs, conversation), records),
    markItem(conversation, archivedAtMs, writer),
    digestRecord.item({ archivedAtMs, conversation }, zoneKeys.digest(digest), records),
  ];
}

/** Marks a conversation as archived. */
export function markItem(conversation: string, archivedAtMs: number, { records }: ZoneWriter): KvItem {
  return archivedRecord.item({ archivedAtMs }, zoneKeys.archived(conversation), records);
}

/** Notes that the content of a conversation is to be removed. */
export function garbageItem(conversation: string, { records }: ZoneWriter): KvItem {
  return garbageRecord.item({}, zoneKeys.garbage(conversation), records);
}

/** The row of an archive of what a head says. */
export function rowOf(head: ZoneHead, archivedAtMs: number, digest: string): ArchiveRow {
  const { conversation, preview, nodeCount, revision, session } = head;
  return {
    conversation,
    archivedAtMs,
    preview,
    nodeCount,
    revision,
    ...(session === undefined ? {} : { session }),
    digest,
  };
}

/** The digest of all that is in a conversation. */
async function digestOf(
  view: View,
  head: ZoneHead,
  records: RecordContext,
  merges: boolean,
): Promise<string> {
  const content = await readContent(view, head, records, { parts: "all", merges });
  const log = new Uint8Array(content.log.length + content.torn.length);
  log.set(content.log);
  log.set(content.torn, content.log.length);
  const { state, session } = content.head;
  const stateDigest = state === undefined || state.bytes === 0 ? "" : state.digest;
  return zoneDigest(records.hasher, stateDigest, log, session);
}
