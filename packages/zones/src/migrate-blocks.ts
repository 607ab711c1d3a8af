import { contentDigest } from "./content-digest.ts";
import { isDefinitionId } from "./definition-id.ts";
import { readLedger, writeLedger } from "./migration-ledger.ts";
import { placeZone } from "./place-zone.ts";
import { isBlank, readZone } from "./read-zone.ts";
import type { ForeignContent } from "./stage-content.ts";
import { writerOf, type ZoneContext } from "./zone-context.ts";
import { zoneKeys } from "./zone-keys.ts";
import { archivedRecord } from "./zone-records.ts";
import type { Zones } from "./zones.ts";

/** A block of a screen that had a zone of its own, as it lies in the old store, which is only read. */
export interface BlockZone {
  readonly blockId: string;
  /** Only blocks with the view `agent` had sessions. */
  readonly view: string;
  readonly definitionId?: string;
  /** What the id was called before; counts only if there is no `definitionId`. */
  readonly legacyDefinitionId?: string;
  /** Unix ms of the block's file; 0 if it is not known. */
  readonly createdMs: number;
  readonly modifiedMs: number;
  readonly snapshot?: Uint8Array | string;
}

/** Lists the old blocks, anew with each call. */
export type BlockSource = () => AsyncIterable<BlockZone>;

/** What {@link migrateBlockZones} did. All zero if there was nothing to do. */
export interface BlockCounts {
  /** Agent blocks with a valid id. */
  readonly scanned: number;
  /** Archives that were written. */
  readonly archived: number;
  /** Agents whose current zone was made. */
  readonly seeded: number;
  /** Scanned blocks without a snapshot. */
  readonly skipped: number;
  readonly failed: number;
}

/** What a check of the content says. */
export interface BlockCheck {
  /** Whether nothing is missing, and everything could be read. */
  readonly ok: boolean;
  readonly checked: number;
  /** Blocks whose snapshot is in no archive, and agents (`agent:<id>:current`) that lack their current zone; the first 100. */
  readonly missing: readonly string[];
}

const MIGRATION = "block-zones";
const VERSION = 1;
const MISSING_MAX = 100;

/**
 * Takes the sessions of blocks that had zones of their own into the zones of agents: each snapshot is an archive at the time
 * of its block, and the most recently modified of an agent is its current zone, unless it has one. The old zones are only read.
 *
 * It is noted as done once a check of the content passes: a second call does nothing then. After a crash or a failure it is
 * called again, and takes what is missing.
 */
export async function migrateBlockZones(zones: Zones, blocks: BlockSource): Promise<BlockCounts> {
  const { context } = zones;
  const done = await readLedger(context, MIGRATION);
  const counts = { scanned: 0, archived: 0, seeded: 0, skipped: 0, failed: 0 };
  if ((done?.version ?? 0) >= VERSION) return counts;
  const newest = new Map<string, BlockZone>();
  let listed = true;
  try {
    for await (const block of blocks()) {
      const definition = definitionOf(block);
      if (definition === undefined) continue;
      counts.scanned += 1;
      if (bytesOf(block).length === 0) {
        counts.skipped += 1;
        continue;
      }
      try {
        if (await archiveBlock(context, definition, block)) counts.archived += 1;
        const other = newest.get(definition);
        // The bytes are read from the archive again: one snapshot at a time is in memory.
        if (other === undefined || block.modifiedMs > other.modifiedMs)
          newest.set(definition, withoutBytes(block));
      } catch (error) {
        counts.failed += 1;
        context.log(`zones: the block ${block.blockId} could not be migrated: ${String(error)}`);
      }
    }
  } catch (error) {
    listed = false;
    context.log(`zones: the blocks could not be listed: ${String(error)}`);
  }
  for (const [definition, block] of newest) {
    try {
      if (await seedCurrent(zones, definition, block)) counts.seeded += 1;
    } catch (error) {
      counts.failed += 1;
      context.log(`zones: the current zone of ${definition} could not be made: ${String(error)}`);
    }
  }
  const whole = listed && counts.failed === 0 && (await verifyBlockZones(zones, blocks)).ok;
  if (whole) await writeLedger(context, { migration: MIGRATION, version: VERSION, counts });
  context.log(
    `zones: block zones: ${counts.scanned} scanned, ${counts.archived} archived, ${counts.seeded} seeded, ` +
      `${counts.skipped} skipped, ${counts.failed} failed${whole ? "" : "; to be run again"}`,
  );
  return counts;
}

/** Checks, and only reads, that no block holds a snapshot that is in no zone of its agent. */
export async function verifyBlockZones(zones: Zones, blocks: BlockSource): Promise<BlockCheck> {
  const { context } = zones;
  const missing: string[] = [];
  const agents = new Map<string, string[]>();
  let checked = 0;
  try {
    for await (const block of blocks()) {
      const definition = definitionOf(block);
      if (definition === undefined || bytesOf(block).length === 0) continue;
      checked += 1;
      agents.set(definition, [...(agents.get(definition) ?? []), seedName(context, block)]);
      if (!(await isThere(context, definition, [blockName(context, block)]))) missing.push(block.blockId);
    }
    for (const [definition, seeds] of agents) {
      const current = (await zones.currentSession(definition)) !== undefined;
      if (!current && !(await isThere(context, definition, seeds)))
        missing.push(`agent:${definition}:current`);
    }
  } catch (error) {
    context.log(`zones: the blocks could not be checked: ${String(error)}`);
    return { ok: false, checked, missing: missing.slice(0, MISSING_MAX) };
  }
  return { ok: missing.length === 0, checked, missing: missing.slice(0, MISSING_MAX) };
}

/** The agent of a block, if it had sessions and the id is one. */
function definitionOf({ view, definitionId, legacyDefinitionId }: BlockZone): string | undefined {
  const id = definitionId ?? legacyDefinitionId;
  return view === "agent" && isDefinitionId(id) ? id : undefined;
}

function bytesOf({ snapshot = "" }: BlockZone): Uint8Array {
  return typeof snapshot === "string" ? new TextEncoder().encode(snapshot) : snapshot;
}

function withoutBytes({ snapshot: _, ...block }: BlockZone): BlockZone {
  return block;
}

async function archiveBlock(context: ZoneContext, definition: string, block: BlockZone): Promise<boolean> {
  const { createdMs, modifiedMs } = block;
  const atMs = createdMs > 0 ? createdMs : modifiedMs > 0 ? modifiedMs : await context.kv.nowMs();
  const content = contentOf(blockName(context, block), bytesOf(block), modifiedMs > 0 ? modifiedMs : atMs);
  // Two blocks with the same bytes are two archives: each was a session.
  const { outcome } = await placeZone(context, definition, content, { as: "archive", atMs, same: false });
  return outcome === "archived";
}

async function seedCurrent(zones: Zones, definition: string, block: BlockZone): Promise<boolean> {
  const { context } = zones;
  const name = seedName(context, block);
  if (await isThere(context, definition, [name])) return false;
  const archivedAtMs = await archiveOf(context, definition, blockName(context, block));
  if (archivedAtMs === undefined) return false;
  const { state, head } = await zones.archivedContent(definition, archivedAtMs);
  const content = contentOf(name, state ?? new Uint8Array(0), head.log.atMs);
  const options = { as: "current", atMs: content.atMs, same: true, seed: true } as const;
  return (await placeZone(context, definition, content, options)).outcome === "current";
}

function contentOf(conversation: string, state: Uint8Array, atMs: number): ForeignContent {
  const nothing = new Uint8Array(0);
  const order = { stamp: { wallMs: atMs, counter: 0, clockId: 0 } };
  return { conversation, order, atMs, state, log: nothing, floor: 0, torn: nothing };
}

/** The conversation that a block's snapshot becomes: the same however often it is migrated. */
function blockName({ hasher }: ZoneContext, { blockId }: BlockZone): string {
  return `block-${contentDigest(hasher, new TextEncoder().encode(blockId))}`;
}

/** The conversation that begins with a block's snapshot. */
function seedName(context: ZoneContext, block: BlockZone): string {
  return `${blockName(context, block)}-current`;
}

/** Where a conversation is an archive. */
async function archiveOf(
  context: ZoneContext,
  definition: string,
  conversation: string,
): Promise<number | undefined> {
  const { records } = writerOf(context, definition);
  const key = zoneKeys.archived(conversation);
  return context.commits.read(definition, async (view) => {
    const [mark] = await view.get([key]);
    return archivedRecord.read(mark, key, records)?.archivedAtMs;
  });
}

/** Whether one of some conversations is or was in an agent's zones. */
async function isThere(
  context: ZoneContext,
  definition: string,
  conversations: readonly string[],
): Promise<boolean> {
  const { records } = writerOf(context, definition);
  return context.commits.read(definition, async (view) => {
    const { live } = await readZone(view, records);
    if (live.some(({ head }) => conversations.includes(head.conversation) && !isBlank(head))) return true;
    const marks = await view.get(conversations.map((one) => zoneKeys.archived(one)));
    return marks.some((mark) => mark !== undefined);
  });
}
