import type { Decision, RecordContext, View } from "@tidemark/session-store";
import { ZonesError } from "./errors.ts";
import { CHUNK_BYTES } from "./limits.ts";
import type { Preview } from "./preview.ts";
import { beginsLine } from "./read-content.ts";
import { readZone, type ZoneView } from "./read-zone.ts";
import { zoneKeys } from "./zone-keys.ts";
import { bytesItem, type SnapshotFacts, type ZoneFence } from "./zone-records.ts";
import { formatStamp } from "./zone-stamp.ts";
import { headItem, type ZoneWriter, writtenZone } from "./zone-writer.ts";

/** A snapshot that is to be written. */
export interface StateDraft extends Preview {
  readonly bytes: Uint8Array;
  /** `contentDigest` of the bytes. */
  readonly digest: string;
  readonly revision: number;
  readonly logOffset: number;
  readonly session?: string;
  readonly fence?: ZoneFence;
}

/** What {@link decideWriteState} rests on. */
export interface StateView {
  readonly zone: ZoneView;
  /** Whether a line of the log begins where the snapshot ends. */
  readonly whole: boolean;
}

/** Reads what a snapshot that covers the log up to an offset rests on. */
export async function readWriteState(view: View, offset: number, records: RecordContext): Promise<StateView> {
  const zone = await readZone(view, records);
  const head = zone.live[0]?.head;
  return { zone, whole: head === undefined || (await beginsLine(view, head, offset, records)) };
}

/** What became of a snapshot. */
export interface StateWritten {
  readonly bytes: number;
  readonly revision: number;
  readonly logOffset: number;
  /** Unix ms. */
  readonly modifiedMs: number;
}

/** What {@link decideWriteState} answers. */
export interface StateDecided extends StateWritten {
  readonly conversation: string;
}

/**
 * Replaces the snapshot of the current conversation, whole: its bytes lie under a version of their own, which the head
 * names, so a reader sees the old ones or the new ones. The log begins at the offset that the snapshot covers; records
 * of it that are covered whole are removed afterwards.
 *
 * @throws {@link ZonesError} `ZONE_FENCED`, `ZONE_OFFSET`
 */
export function decideWriteState(
  { zone, whole }: StateView,
  draft: StateDraft,
  writer: ZoneWriter,
  nowMs: number,
): Decision<StateDecided> {
  const { head, checks, puts } = writtenZone(zone, draft.fence, writer, nowMs);
  const { bytes, logOffset, revision, session } = draft;
  const { conversation, log } = head;
  if (logOffset < log.floor || logOffset > log.end || !whole)
    throw new ZonesError(
      "ZONE_OFFSET",
      `A snapshot of ${writer.definition} covers its log up to ${logOffset}: ` +
        `no line begins there in the log, which is kept from ${log.floor} to ${log.end}`,
      { definition: writer.definition, limit: log.end, actual: logOffset },
    );
  const version = formatStamp(head.stamp);
  const chunks = chunksOf(bytes).map((chunk, index) =>
    bytesItem(chunk, zoneKeys.state(conversation, version, index), writer.records),
  );
  const state: SnapshotFacts = {
    version,
    chunks: chunks.length,
    bytes: bytes.length,
    digest: draft.digest,
    logOffset,
    atMs: nowMs,
  };
  const written = {
    ...head,
    ...(session === undefined ? {} : { session }),
    revision,
    preview: draft.preview,
    nodeCount: draft.nodeCount,
    state,
    log: { ...log, floor: logOffset },
  };
  return {
    checks,
    puts: [...puts, headItem(written, writer), ...chunks],
    deletes: stateKeys(conversation, head.state),
    result: { conversation, bytes: bytes.length, revision, logOffset, modifiedMs: nowMs },
  };
}

/** The bytes of a snapshot as they lie in records. */
export function chunksOf(bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) chunks.push(bytes.subarray(at, at + CHUNK_BYTES));
  return chunks;
}

/** Where the bytes of a snapshot lie. */
function stateKeys(conversation: string, state: SnapshotFacts | undefined): Uint8Array[] {
  if (state === undefined) return [];
  return Array.from({ length: state.chunks }, (_, index) =>
    zoneKeys.state(conversation, state.version, index),
  );
}
