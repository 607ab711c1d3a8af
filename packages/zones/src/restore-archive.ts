import type { Decision, RecordContext, View } from "@tidemark/session-store";
import { type KvItem, type KvKey, prefixRange } from "@tidemark/kv";
import {
  type Archived,
  archiveAll,
  type ArchiveView,
  garbageItem,
  markItem,
  readArchive,
} from "./archive-zone.ts";
import { ZonesError } from "./errors.ts";
import { zoneKeys } from "./zone-keys.ts";
import { archiveZoneName } from "./zone-name.ts";
import { archiveRecord, type ArchiveRow, currentRecord, digestRecord } from "./zone-records.ts";
import { nextStamp } from "./zone-stamp.ts";
import { pointersItem, type ZoneWriter } from "./zone-writer.ts";

/** An archive, with what decisions about it check. */
export interface StoredArchive {
  readonly row: ArchiveRow;
  readonly key: KvKey;
  readonly value: Uint8Array;
  /** What is stored of the first archive of its content. */
  readonly first: Uint8Array | undefined;
}

/** What became of an archive that was brought back. */
export interface Restored {
  /** The archive it was. */
  readonly zone: string;
  readonly archivedAtMs: number;
  /** Where what was current before is now; absent if that was blank. */
  readonly archived?: Archived;
}

/** Finds an archive by its time. Of two that two regions made in one millisecond, the first by name. */
export async function readStoredArchive(
  view: View,
  archivedAtMs: number,
  records: RecordContext,
): Promise<StoredArchive | undefined> {
  const { items } = await view.scan({ ...prefixRange(["archive", archivedAtMs]), limit: 1 });
  const [item] = items;
  if (item === undefined) return undefined;
  const row = archiveRecord.read(item.value, item.key, records) as ArchiveRow;
  const [first] = await view.get([zoneKeys.digest(row.digest)]);
  return { row, ...item, first };
}

/** What {@link decideRestore} rests on. */
export interface RestoreView extends ArchiveView {
  readonly stored: StoredArchive;
}

/** @throws {@link ZonesError} `ZONE_UNKNOWN` */
export async function readRestore(
  view: View,
  archivedAtMs: number,
  writer: ZoneWriter,
): Promise<RestoreView> {
  const current = await readArchive(view, writer);
  return { ...current, stored: await requireStored(view, archivedAtMs, writer) };
}

/** @throws {@link ZonesError} `ZONE_UNKNOWN` */
export async function requireStored(
  view: View,
  archivedAtMs: number,
  { definition, records }: ZoneWriter,
): Promise<StoredArchive> {
  const stored = await readStoredArchive(view, archivedAtMs, records);
  if (stored !== undefined) return stored;
  throw new ZonesError("ZONE_UNKNOWN", `There is no ${archiveZoneName(definition, archivedAtMs)}`, {
    definition,
  });
}

/** Makes an archive current, and archives what was, in one step. */
export function decideRestore(
  { zone, archivable, stored }: RestoreView,
  writer: ZoneWriter,
  nowMs: number,
): Decision<Restored> {
  const { row } = stored;
  const { conversation, archivedAtMs, digest } = row;
  // The same bytes are about to be current: there is nothing to keep of them.
  const kept = archivable.filter((one) => one.digest !== digest);
  const before = archiveAll(zone, kept, writer, nowMs);
  const dropped = zone.live.filter(({ head }) => !kept.some(({ live }) => live.head === head));
  const begun = nextStamp(zone.live[0]?.current.begun, nowMs, writer.clockId);
  const current = currentRecord.item({ conversation, begun }, zoneKeys.current(conversation), writer.records);
  const gone = removal(stored, writer);
  const { archivedMs } = before;
  const [archived] = before.archived;
  return {
    checks: [...before.checks, { key: stored.key, value: stored.value }, ...gone.checks],
    puts: [
      ...before.puts,
      ...dropped.flatMap(({ head }) => droppedItems(head.conversation, archivedAtMs, writer)),
      current,
      pointersItem(zone.pointers, { archivedMs }, writer),
    ],
    deletes: [...before.deletes, ...gone.deletes, zoneKeys.archived(conversation)],
    result: {
      zone: archiveZoneName(writer.definition, archivedAtMs),
      archivedAtMs,
      ...(archived === undefined ? {} : { archived }),
    },
  };
}

/** What is noted of a conversation that goes without an archive. */
function droppedItems(conversation: string, archivedAtMs: number, writer: ZoneWriter): KvItem[] {
  const garbage = garbageItem(conversation, writer);
  // Where somebody may still write it who has not heard, it must not come back.
  return writer.merges ? [garbage, markItem(conversation, archivedAtMs, writer)] : [garbage];
}

/** What is left of an archive when its row goes. */
export function removal(
  { row, key, first }: StoredArchive,
  { records }: ZoneWriter,
): {
  readonly checks: readonly { readonly key: KvKey; readonly value: Uint8Array | undefined }[];
  readonly deletes: readonly KvKey[];
} {
  const digestKey = zoneKeys.digest(row.digest);
  const known = digestRecord.read(first, digestKey, records);
  const own = known?.conversation === row.conversation;
  return {
    checks: [{ key: digestKey, value: first }],
    deletes: own ? [key, digestKey] : [key],
  };
}

/** Removes an archive for ever, in one step; its content is removed afterwards. */
export function decideDelete(stored: StoredArchive, writer: ZoneWriter): Decision<Archived> {
  const { conversation, archivedAtMs } = stored.row;
  const { checks, deletes } = removal(stored, writer);
  const puts: KvItem[] = [garbageItem(conversation, writer)];
  return {
    checks: [{ key: stored.key, value: stored.value }, ...checks],
    puts,
    // Where somebody may still write it who has not heard, what says that it is gone stays.
    deletes: writer.merges ? deletes : [...deletes, zoneKeys.archived(conversation)],
    result: { zone: archiveZoneName(writer.definition, archivedAtMs), archivedAtMs },
  };
}
