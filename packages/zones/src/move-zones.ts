import { compareHlc, type Hlc } from "@tidemark/core";
import { prefixRange } from "@tidemark/kv";
import { type Decision, scanAll } from "@tidemark/session-store";
import { garbageItem, markItem } from "./archive-zone.ts";
import { contentDigest } from "./content-digest.ts";
import { guardDefinitionId } from "./definition-id.ts";
import { type ArchiveSummary, summaryOf } from "./list-archives.ts";
import { placeZone } from "./place-zone.ts";
import type { ZoneContent } from "./read-content.ts";
import { isBlank, readZone, type ZoneView } from "./read-zone.ts";
import { removeArchives } from "./retention.ts";
import type { ForeignContent } from "./stage-content.ts";
import { sweepGarbage } from "./sweep-zone.ts";
import { writerOf, type ZoneContext } from "./zone-context.ts";
import { zoneKeys } from "./zone-keys.ts";
import { formatStamp } from "./zone-stamp.ts";
import { pointersItem, type ZoneWriter } from "./zone-writer.ts";
import type { Zones } from "./zones.ts";

/** What is at another agent now, and is to go here if nobody went on with it. */
export interface CopiedZones {
  readonly archives: readonly ArchiveSummary[];
  readonly current?: { readonly conversation: string; readonly stamp: Hlc };
  /** Whether something else of the same moment is current there: both stay. */
  readonly conflict: boolean;
}

/** What {@link moveZones} did. */
export interface MovedZones {
  readonly archives: number;
  readonly current: boolean;
  /** False if something of the same moment is current at the destination, or somebody went on here meanwhile. */
  readonly removed: boolean;
}

/**
 * Moves all zones of an agent to another. What is current at both is told by revision and stamp: the later stays current, and
 * of different conversations the earlier is archived; nothing is lost. Everything is copied before anything is removed here,
 * so that it ends right when it is run again after a crash, also if somebody went on here or there meanwhile.
 */
export async function moveZones(zones: Zones, from: string, to: string): Promise<MovedZones> {
  guardDefinitionId(from);
  guardDefinitionId(to);
  if (from === to) throw new RangeError("Zones cannot be moved to the agent they are of");
  const copied = await copyZones(zones, from, to);
  const removed = await removeCopied(zones, from, copied);
  zones.context.log(
    `zones: ${from} is moved to ${to}: ${copied.archives.length} archives${removed ? "" : "; to be run again"}`,
  );
  return { archives: copied.archives.length, current: copied.current !== undefined, removed };
}

/** Copies all zones of an agent to another; what is there already is not copied again. */
export async function copyZones(zones: Zones, from: string, to: string): Promise<CopiedZones> {
  const { context } = zones;
  const { records } = writerOf(context, from);
  const items = await context.commits.read(from, (view) => scanAll(view, prefixRange(["archive"])));
  const archives = items.map((item) => summaryOf(item, from, records));
  for (const { archivedAtMs: atMs } of archives) {
    const content = foreignOf(context, from, await zones.archivedContent(from, atMs));
    await placeZone(context, to, content, { as: "archive", atMs, same: true });
  }
  const content = await zones.currentContent(from);
  if (content === undefined || isBlank(content.head)) return { archives, conflict: false };
  const foreign = foreignOf(context, from, content);
  const options = { as: "current", atMs: foreign.atMs, same: true } as const;
  const { outcome } = await placeZone(context, to, foreign, options);
  const { conversation, stamp } = content.head;
  return { archives, current: { conversation, stamp }, conflict: outcome === "conflict" };
}

/** Removes what was copied. What somebody went on with stays. @returns Whether all of it is gone. */
export async function removeCopied(
  zones: Zones,
  definition: string,
  { archives, current, conflict }: CopiedZones,
): Promise<boolean> {
  // What somebody restored meanwhile is current here, and stays; what another run removed is gone.
  await removeArchives(zones, definition, archives);
  if (conflict || current === undefined) return !conflict;
  const { commits } = zones.context;
  const writer = writerOf(zones.context, definition);
  const gone = await commits.decide(
    definition,
    "pointers",
    (view) => readZone(view, writer.records),
    (view, nowMs) => decideDrop(view, current, writer, nowMs),
  );
  await sweepGarbage(commits, definition);
  return gone;
}

/** Lets go of what is current, if it is what was copied. */
function decideDrop(
  { live, pointers, pointersCheck }: ZoneView,
  { conversation, stamp }: Required<CopiedZones>["current"],
  writer: ZoneWriter,
  nowMs: number,
): Decision<boolean> {
  const zone = live.find(({ head }) => head.conversation === conversation);
  if (zone === undefined || compareHlc(zone.head.stamp, stamp) !== 0)
    return { checks: [], puts: [], deletes: [], result: live.every(({ head }) => isBlank(head)) };
  // Where somebody may still write it who has not heard, it must not come back.
  const marks = writer.merges ? [markItem(conversation, nowMs, writer)] : [];
  return {
    checks: [pointersCheck, zone.headCheck],
    puts: [...marks, garbageItem(conversation, writer), pointersItem(pointers, {}, writer)],
    deletes: [zoneKeys.current(conversation)],
    result: true,
  };
}

function foreignOf(context: ZoneContext, from: string, content: ZoneContent): ForeignContent {
  const { head, state, log, torn } = content;
  const { conversation, origin = conversation, revision, stamp, session } = head;
  const name = new TextEncoder().encode(`${from} ${conversation} ${formatStamp(stamp)}`);
  const logOffset = head.state?.logOffset;
  return {
    conversation: `move-${contentDigest(context.hasher, name)}`,
    origin,
    order: { revision, stamp },
    atMs: head.state?.atMs ?? head.log.atMs,
    ...(state === undefined ? {} : { state }),
    ...(logOffset === undefined ? {} : { logOffset }),
    log,
    floor: head.log.floor,
    torn,
    ...(session === undefined ? {} : { session }),
  };
}
