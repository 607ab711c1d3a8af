import { type KvItem, prefixRange } from "@tidemark/kv";
import type { Decision, View } from "@tidemark/session-store";
import {
  archiveAll,
  archiveItems,
  type ArchiveView,
  garbageItem,
  readArchive,
  rowOf,
} from "./archive-zone.ts";
import type { DescribedContent } from "./stage-content.ts";
import { zoneKeys } from "./zone-keys.ts";
import { archivedRecord, currentRecord, digestRecord, type ZoneHead } from "./zone-records.ts";
import { compareOrder, nextStamp, type ZoneOrder } from "./zone-stamp.ts";
import { headItem, pointersItem, type ZoneWriter } from "./zone-writer.ts";

/** What became of content that came from elsewhere. */
export interface Placed {
  /**
   * - `current`: it is current; what was is an archive.
   * - `archived`: it is an archive.
   * - `present`: it was taken earlier, or the same bytes are there: nothing was written.
   * - `conflict`: other bytes of the same moment are current, and may be of the same conversation: nothing was written.
   */
  readonly outcome: "current" | "archived" | "present" | "conflict";
  /** Of the archive that it is, or that has its bytes. */
  readonly archivedAtMs?: number;
}

/** What decisions about content from elsewhere rest on. */
export interface PlaceView extends ArchiveView {
  /** What says that the conversation was archived. */
  readonly mark: Uint8Array | undefined;
  /** What is stored of the first archive of its content. */
  readonly first: Uint8Array | undefined;
  /** The first time from the wished one on that no archive has. */
  readonly freeMs: number;
}

/** How content is to be placed. */
export interface PlaceOptions {
  readonly order: ZoneOrder;
  /** When it was archived, or last written. */
  readonly atMs: number;
  /** Whether what has the bytes of an archive is that archive. */
  readonly same: boolean;
  /** Whether it becomes current only if nothing is. @defaultValue false */
  readonly seed?: boolean;
}

/** Reads what placing content rests on. */
export async function readPlace(
  view: View,
  { head, digest }: DescribedContent,
  atMs: number,
  writer: ZoneWriter,
): Promise<PlaceView> {
  const zone = await readArchive(view, writer);
  const keys = [zoneKeys.archived(head.conversation), zoneKeys.digest(digest)];
  const [mark, first] = await view.get(keys);
  let freeMs = atMs;
  for (;;) {
    const { items } = await view.scan({ ...prefixRange(["archive", freeMs]), limit: 1 });
    if (items.length === 0) return { ...zone, mark, first, freeMs };
    freeMs += 1;
  }
}

/** Makes an archive of staged content, at the first free time from the wished one on. */
export function decidePlaceArchive(
  view: PlaceView,
  { head, digest }: DescribedContent,
  { same }: Pick<PlaceOptions, "same">,
  writer: ZoneWriter,
): Decision<Placed> {
  const { zone, mark, first, freeMs: archivedAtMs } = view;
  const { conversation } = head;
  if (zone.live.some((live) => live.head.conversation === conversation)) return present(view, undefined, []);
  const known = presentAt(view, conversation, digest, same, writer);
  if (known !== undefined)
    return present(view, known, mark === undefined ? [garbageItem(conversation, writer)] : []);
  const row = rowOf(head, archivedAtMs, digest);
  const archivedMs = Math.max(zone.pointers.archivedMs, archivedAtMs);
  const puts = archiveItems(row, writer);
  return {
    checks: [
      zone.pointersCheck,
      { key: zoneKeys.archive(archivedAtMs, conversation), value: undefined },
      { key: zoneKeys.archived(conversation), value: mark },
      { key: zoneKeys.digest(digest), value: first },
    ],
    // The first archive of a content stays the first.
    puts: [
      ...(first === undefined ? puts : puts.slice(0, 2)),
      headItem(head, writer),
      pointersItem(zone.pointers, { archivedMs }, writer),
    ],
    deletes: [],
    result: { outcome: "archived", archivedAtMs },
  };
}

/**
 * Makes staged content current if nothing is, or if it is the later state; what was current is archived. If what is
 * current is the later state, the content is archived instead: nothing is lost.
 */
export function decidePlaceCurrent(
  view: PlaceView,
  described: DescribedContent,
  options: PlaceOptions,
  writer: ZoneWriter,
  nowMs: number,
): Decision<Placed> {
  const { zone, archivable, mark } = view;
  const { head, digest } = described;
  const { conversation } = head;
  if (mark !== undefined || zone.live.some((live) => live.head.conversation === conversation))
    return present(view, undefined, []);
  const [shown] = archivable;
  if (shown !== undefined) {
    if (archivable.some((one) => one.digest === digest))
      return present(view, undefined, [garbageItem(conversation, writer)]);
    if (options.seed === true) return present(view, undefined, [garbageItem(conversation, writer)]);
    const order = compareOrder(options.order, shown.live.head);
    const related = lineageOf(shown.live.head) === lineageOf(head);
    const garbage = garbageItem(conversation, writer);
    if (order < 0 && related) return present(view, undefined, [garbage]);
    // Whether a foreign file is of the same conversation is not known: nobody but its user can tell what to keep.
    if (order === 0 && (related || head.origin === undefined))
      return {
        checks: [zone.pointersCheck],
        puts: [garbage],
        deletes: [],
        result: { outcome: "conflict" },
      };
    if (order <= 0) return decidePlaceArchive(view, described, options, writer);
  }
  // An earlier state of the same conversation is in the later one.
  const kept = archivable.filter((one) => lineageOf(one.live.head) !== lineageOf(head));
  const before = archiveAll(zone, kept, writer, nowMs);
  const dropped = zone.live.filter((live) => !kept.some((one) => one.live === live));
  const begun = nextStamp(zone.live[0]?.current.begun, nowMs, writer.clockId);
  const current = currentRecord.item({ conversation, begun }, zoneKeys.current(conversation), writer.records);
  return {
    checks: before.checks,
    puts: [
      ...before.puts,
      ...dropped.map((live) => garbageItem(live.head.conversation, writer)),
      current,
      headItem(head, writer),
      pointersItem(zone.pointers, { archivedMs: before.archivedMs }, writer),
    ],
    deletes: before.deletes,
    result: { outcome: "current" },
  };
}

/** Of which conversation a state is, wherever it was copied from. */
function lineageOf({ origin, conversation }: ZoneHead): string {
  return origin ?? conversation;
}

/** Where content is an archive already. */
function presentAt(
  { mark, first }: PlaceView,
  conversation: string,
  digest: string,
  same: boolean,
  { records }: ZoneWriter,
): number | undefined {
  const marked = archivedRecord.read(mark, zoneKeys.archived(conversation), records);
  if (marked !== undefined) return marked.archivedAtMs;
  return same ? digestRecord.read(first, zoneKeys.digest(digest), records)?.archivedAtMs : undefined;
}

function present(
  { zone }: PlaceView,
  archivedAtMs: number | undefined,
  puts: readonly KvItem[],
): Decision<Placed> {
  const result: Placed = {
    outcome: "present",
    ...(archivedAtMs === undefined ? {} : { archivedAtMs }),
  };
  return { checks: [zone.pointersCheck], puts, deletes: [], result };
}
