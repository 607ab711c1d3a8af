import type { KvCheck, KvItem } from "@tidemark/kv";
import type { RecordContext } from "@tidemark/session-store";
import { ZonesError } from "./errors.ts";
import { emptyHead, type ZoneView } from "./read-zone.ts";
import { zoneKeys } from "./zone-keys.ts";
import {
  currentRecord,
  headRecord,
  type Pointers,
  pointersRecord,
  type ZoneFence,
  type ZoneHead,
} from "./zone-records.ts";
import { nextStamp } from "./zone-stamp.ts";

/** Who decides about an agent's zones, and with what. */
export interface ZoneWriter {
  readonly definition: string;
  readonly records: RecordContext;
  /** In stamps: two regions have different ones. */
  readonly clockId: number;
  /** The name of the conversation that begins if none is current; nobody else makes it. */
  readonly fresh: string;
  /** Whether others write without having seen what is here. */
  readonly merges: boolean;
}

/** The current conversation as a decision goes on with it. */
export interface WrittenZone {
  readonly head: ZoneHead;
  readonly checks: readonly KvCheck[];
  readonly puts: readonly KvItem[];
}

/**
 * The current conversation, begun if there is none, with a stamp of its own.
 *
 * @throws {@link ZonesError} `ZONE_FENCED`
 */
export function writtenZone(
  view: ZoneView,
  fence: ZoneFence | undefined,
  writer: ZoneWriter,
  nowMs: number,
): WrittenZone {
  requireFence(view.pointers, fence, writer.definition);
  const [live] = view.live;
  const stamp = nextStamp(live?.head.stamp, nowMs, writer.clockId);
  const head: ZoneHead = live === undefined ? emptyHead(writer.fresh, stamp, nowMs) : { ...live.head, stamp };
  const checks = live === undefined ? [view.pointersCheck] : [view.pointersCheck, live.headCheck];
  const puts: KvItem[] = [];
  const fenced = fence !== undefined && fence.generation !== view.pointers.fence?.generation;
  if (live === undefined || fenced || fence?.session !== view.pointers.fence?.session)
    puts.push(pointersItem(view.pointers, fence === undefined ? {} : { fence: fenceOf(fence) }, writer));
  // Said with each message that travels: a region may miss those before it.
  if (live === undefined || writer.merges) {
    const current = live?.current ?? { conversation: head.conversation, begun: stamp };
    puts.push(currentRecord.item(current, zoneKeys.current(head.conversation), writer.records));
  }
  return { head, checks, puts };
}

/** The register after a change. */
export function pointersItem(
  pointers: Pointers,
  change: Partial<Pick<Pointers, "archivedMs" | "fence">>,
  { records }: ZoneWriter,
): KvItem {
  const next = { ...pointers, ...change, version: pointers.version + 1 };
  return pointersRecord.item(next, zoneKeys.pointers, records);
}

/** The item of a head. */
export function headItem(head: ZoneHead, { records }: ZoneWriter): KvItem {
  return headRecord.item(head, zoneKeys.head(head.conversation), records);
}

/** A lease has more to it than what fences. */
function fenceOf({ session, generation }: ZoneFence): ZoneFence {
  return { session, generation };
}

function requireFence({ fence: stored }: Pointers, fence: ZoneFence | undefined, definition: string): void {
  if (stored === undefined) return;
  if (fence !== undefined && (fence.session !== stored.session || fence.generation >= stored.generation))
    return;
  throw new ZonesError(
    "ZONE_FENCED",
    `Cannot write the zone of ${definition}: the lease with the generation ${stored.generation} writes it`,
    {
      definition,
      expected: stored.generation,
      ...(fence === undefined ? {} : { actual: fence.generation }),
    },
  );
}
