import { prefixRange } from "@tidemark/kv";
import { scanAll } from "@tidemark/session-store";
import { summaryOf } from "./list-archives.ts";
import { contentDigest, zoneDigest } from "./content-digest.ts";
import type { ZoneContent } from "./read-content.ts";
import { isBlank } from "./read-zone.ts";
import { writerOf } from "./zone-context.ts";
import type { ZoneFile, ZoneFiles } from "./zone-files.ts";
import { encodeMeta, readMeta } from "./zone-meta.ts";
import { archiveZoneName, currentZoneName, META_FILE, OUTPUT_FILE, STATE_FILE } from "./zone-name.ts";
import type { Zones } from "./zones.ts";

/** What became of a zone that was exported. */
export interface ExportedZone {
  readonly zone: string;
  /**
   * - `written`: its files are those of the zone.
   * - `same`: they were.
   * - `removed`: an earlier export of what is no longer current is gone, so that no import brings it back.
   */
  readonly outcome: "written" | "same" | "removed";
  /** Of its files. */
  readonly bytes: number;
}

/** What is exported. */
export interface ExportOptions {
  /** Agents; without it all that have zones. */
  readonly definitions?: readonly string[];
  /** Only says what would be done. @defaultValue false */
  readonly dryRun?: boolean;
}

/**
 * Writes zones as files: snapshot, log, and `zone.json`, which says what the snapshot covers. Each file is replaced whole. A
 * current zone that an earlier export left there, and that is an archive now, is removed; what another program put there under
 * that name stays. Archives that were deleted here stay there.
 */
export async function exportZones(
  zones: Zones,
  files: ZoneFiles,
  { definitions, dryRun = false }: ExportOptions = {},
): Promise<readonly ExportedZone[]> {
  const exported: ExportedZone[] = [];
  for (const definition of definitions ?? (await zones.definitions())) {
    const digests = new Set<string>();
    for (const archivedAtMs of await archiveTimes(zones, definition)) {
      const content = await zones.archivedContent(definition, archivedAtMs);
      const zone = archiveZoneName(definition, archivedAtMs);
      digests.add(digestOf(zones, content));
      exported.push(await writeZone(zones, files, zone, content, dryRun));
    }
    const current = await zones.currentContent(definition);
    const zone = currentZoneName(definition);
    if (current !== undefined && !isBlank(current.head))
      exported.push(await writeZone(zones, files, zone, current, dryRun));
    else if (digests.has(readMeta((await files.read(zone, META_FILE))?.bytes)?.digest ?? "")) {
      if (!dryRun) await files.remove(zone);
      exported.push({ zone, outcome: "removed", bytes: 0 });
    }
  }
  return exported;
}

/** The times of all archives of an agent, oldest first. */
async function archiveTimes(zones: Zones, definition: string): Promise<number[]> {
  const { commits } = zones.context;
  const { records } = writerOf(zones.context, definition);
  const items = await commits.read(definition, (view) => scanAll(view, prefixRange(["archive"])));
  return items.map((item) => summaryOf(item, definition, records).archivedAtMs);
}

async function writeZone(
  zones: Zones,
  files: ZoneFiles,
  zone: string,
  content: ZoneContent,
  dryRun: boolean,
): Promise<ExportedZone> {
  const { head, state } = content;
  const output = outputOf(content);
  const meta = encodeMeta(head, digestOf(zones, content));
  const wanted: [string, ZoneFile][] = [];
  if (output.length > 0) wanted.push([OUTPUT_FILE, { bytes: output, modifiedMs: head.log.atMs }]);
  if (state !== undefined)
    wanted.push([STATE_FILE, { bytes: state, modifiedMs: head.state?.atMs ?? head.log.atMs }]);
  // Last: it describes what is there then.
  wanted.push([META_FILE, { bytes: meta, modifiedMs: head.log.atMs }]);
  const bytes = wanted.reduce((sum, [, file]) => sum + file.bytes.length, 0);
  const there = await files.files(zone);
  const foreign = there.filter((name) => !wanted.some(([file]) => file === name));
  let same = foreign.length === 0 && there.length === wanted.length;
  for (const [name, file] of wanted) same &&= isSame(await files.read(zone, name), file);
  if (same) return { zone, outcome: "same", bytes };
  if (!dryRun) {
    // What is derived of another log must not stay beside this one.
    if (foreign.length > 0) await files.remove(zone);
    for (const [name, file] of wanted) await files.write(zone, name, file);
  }
  return { zone, outcome: "written", bytes };
}

function digestOf({ context }: Zones, content: ZoneContent): string {
  const { state, head } = content;
  const stateDigest = state === undefined || state.length === 0 ? "" : contentDigest(context.hasher, state);
  return zoneDigest(context.hasher, stateDigest, outputOf(content), head.session);
}

/** The log as a file has it, with a torn last line. */
function outputOf({ log, torn }: ZoneContent): Uint8Array {
  const bytes = new Uint8Array(log.length + torn.length);
  bytes.set(log);
  bytes.set(torn, log.length);
  return bytes;
}

function isSame(there: ZoneFile | undefined, wanted: ZoneFile): boolean {
  return (
    there !== undefined &&
    there.bytes.length === wanted.bytes.length &&
    there.bytes.every((byte, index) => byte === wanted.bytes[index])
  );
}
