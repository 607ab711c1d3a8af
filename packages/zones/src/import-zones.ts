import { zoneDigest, contentDigest } from "./content-digest.ts";
import { ZonesError } from "./errors.ts";
import { APPEND_BYTES_MAX } from "./limits.ts";
import type { Placed } from "./place-content.ts";
import { placeZone } from "./place-zone.ts";
import { splitTorn } from "./recover.ts";
import type { ForeignContent } from "./stage-content.ts";
import type { ZoneContext } from "./zone-context.ts";
import type { ZoneFiles } from "./zone-files.ts";
import { readMeta } from "./zone-meta.ts";
import { META_FILE, OUTPUT_FILE, parseZoneName, STATE_FILE, type ZoneName } from "./zone-name.ts";
import type { Zones } from "./zones.ts";

/** What became of a zone that was imported. */
export interface ImportedZone {
  readonly zone: string;
  /** As of content that is placed; `empty` has nothing in it; `failed` says why, and the others go on. */
  readonly outcome: Placed["outcome"] | "empty" | "failed";
  /** Of the archive that it is, or that has its bytes. */
  readonly archivedAtMs?: number;
  readonly code?: string;
  readonly message?: string;
}

/** What is imported. */
export interface ImportOptions {
  /** Agents; without it all that have zones there. */
  readonly definitions?: readonly string[];
  /** Only says what would be done. @defaultValue false */
  readonly dryRun?: boolean;
}

/**
 * Takes zones from files: archives, oldest first, then what is current. The files are only read, and a second import of
 * them changes nothing. What is current here is never lost: the earlier of two becomes an archive. A current zone of the same
 * moment with other bytes is a `conflict`, and is not taken.
 *
 * Names that are no zones of agents are passed by. Files beside snapshot and log are derived, and are not taken.
 */
export async function importZones(
  zones: Zones,
  files: ZoneFiles,
  { definitions, dryRun = false }: ImportOptions = {},
): Promise<readonly ImportedZone[]> {
  const named = (await files.zones()).flatMap((zone) => {
    const name = parseZoneName(zone);
    const wanted = name !== undefined && (definitions?.includes(name.definition) ?? true);
    return wanted ? [{ zone, name }] : [];
  });
  named.sort((a, b) => compareNames(a.name, b.name));
  const imported: ImportedZone[] = [];
  for (const { zone, name } of named) {
    imported.push({ zone, ...(await importZone(zones.context, files, zone, name, dryRun)) });
  }
  return imported;
}

async function importZone(
  context: ZoneContext,
  files: ZoneFiles,
  zone: string,
  { definition, archivedAtMs }: ZoneName,
  dryRun: boolean,
): Promise<Omit<ImportedZone, "zone">> {
  try {
    const content = await readZoneFiles(context, files, zone);
    if (content === undefined) return { outcome: "empty" };
    const as = archivedAtMs === undefined ? "current" : "archive";
    const atMs = archivedAtMs ?? content.atMs;
    return await placeZone(context, definition, content, { as, atMs, same: true, dryRun });
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    // A store that does not answer fails them all.
    if (!(error instanceof ZonesError)) throw error;
    return { outcome: "failed", code: String(code), message: error.message };
  }
}

/** What is in a zone of files; nothing if its files are missing or empty. */
export async function readZoneFiles(
  { hasher, limits }: ZoneContext,
  files: ZoneFiles,
  zone: string,
): Promise<ForeignContent | undefined> {
  const state = await files.read(zone, STATE_FILE, { bytesMax: limits.snapshotBytesMax });
  const output = await files.read(zone, OUTPUT_FILE, { bytesMax: limits.logBytesMax + APPEND_BYTES_MAX });
  const described = readMeta((await files.read(zone, META_FILE, { bytesMax: APPEND_BYTES_MAX }))?.bytes);
  const bytes = output?.bytes ?? new Uint8Array(0);
  const stateDigest = (state?.bytes.length ?? 0) === 0 ? "" : contentDigest(hasher, state!.bytes);
  const digest = zoneDigest(hasher, stateDigest, bytes, described?.session);
  const meta = described?.digest === digest ? described : undefined;
  if (stateDigest === "" && bytes.length === 0 && meta?.session === undefined) return undefined;
  const atMs = Math.max(state?.modifiedMs ?? 0, output?.modifiedMs ?? 0);
  const order = meta?.order ?? { stamp: { wallMs: atMs, counter: 0, clockId: 0 } };
  return {
    // The same content of the same zone is one conversation, however often it is taken.
    conversation: `file-${contentDigest(hasher, new TextEncoder().encode(`${zone} ${digest}`))}`,
    ...(meta === undefined ? {} : { origin: meta.origin }),
    order,
    atMs,
    ...(state === undefined ? {} : { state: state.bytes }),
    ...(meta?.logOffset === undefined ? {} : { logOffset: meta.logOffset }),
    ...splitTorn(bytes),
    floor: meta?.floor ?? 0,
    ...(meta?.session === undefined ? {} : { session: meta.session }),
  };
}

/** By agent, archives by time, current last. */
function compareNames(a: ZoneName, b: ZoneName): number {
  if (a.definition !== b.definition) return a.definition < b.definition ? -1 : 1;
  return (a.archivedAtMs ?? Number.POSITIVE_INFINITY) - (b.archivedAtMs ?? Number.POSITIVE_INFINITY);
}
