import { decodeKey, type KvItem, prefixRange } from "@tidemark/kv";
import type { RecordContext, View } from "@tidemark/session-store";
import { LIST_DEFAULT, LIST_MAX } from "./limits.ts";
import { archiveZoneName } from "./zone-name.ts";
import { archiveRecord, type ArchiveRow } from "./zone-records.ts";

/** An archive as a list shows it: the shape of a row of recent sessions. */
export interface ArchiveSummary {
  readonly zone: string;
  /** Unix ms. */
  readonly archivedAtMs: number;
  /** What the user said first, in one line; empty if it cannot be told. */
  readonly preview: string;
  /** How many nodes the snapshot has; 0 if it cannot be told. */
  readonly nodeCount: number;
}

/** How many archives a list may have: 0 is the default of 20, and none is longer than 100. */
export function listLimit(limit: number): number {
  return limit === 0 ? LIST_DEFAULT : Math.min(limit, LIST_MAX);
}

/** A row as a list shows it. A row that cannot be read shows empty values: the others are listed all the same. */
export function summaryOf(
  { key, value }: KvItem,
  definition: string,
  records: RecordContext,
): ArchiveSummary {
  const archivedAtMs = decodeKey(key)[1] as number;
  const zone = archiveZoneName(definition, archivedAtMs);
  const row = readable(value, key, records);
  return { zone, archivedAtMs, preview: row?.preview ?? "", nodeCount: row?.nodeCount ?? 0 };
}

/** The newest archives, newest first. */
export async function newestArchives(
  view: View,
  definition: string,
  limit: number,
  records: RecordContext,
): Promise<ArchiveSummary[]> {
  const { items } = await view.scan({ ...prefixRange(["archive"]), reverse: true, limit });
  return items.map((item) => summaryOf(item, definition, records));
}

function readable(value: Uint8Array, key: Uint8Array, records: RecordContext): ArchiveRow | undefined {
  try {
    return archiveRecord.read(value, key, records);
  } catch {
    return undefined;
  }
}
