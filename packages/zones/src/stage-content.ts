import type { KvItem } from "@tidemark/kv";
import type { RecordContext } from "@tidemark/session-store";
import { contentDigest, zoneDigest } from "./content-digest.ts";
import { ZonesError } from "./errors.ts";
import { APPEND_BYTES_MAX, CHUNK_BYTES } from "./limits.ts";
import { previewOf } from "./preview.ts";
import { chunksOf } from "./write-state.ts";
import type { ZoneCommits } from "./zone-commits.ts";
import { zoneKeys } from "./zone-keys.ts";
import { bytesItem, type ZoneHead } from "./zone-records.ts";
import { formatStamp, type ZoneOrder } from "./zone-stamp.ts";

/** All that is of a conversation that comes from elsewhere, byte for byte. */
export interface ForeignContent {
  /** The same for the same content from the same place, so that it is taken once. */
  readonly conversation: string;
  /** The conversation it is a copy of, if that is known. */
  readonly origin?: string;
  readonly order: ZoneOrder;
  /** When its snapshot and its log were last written, Unix ms. */
  readonly atMs: number;
  readonly state?: Uint8Array;
  /** Up to where the snapshot covers the log. */
  readonly logOffset?: number;
  /** The log from `floor` on, without a torn last line. */
  readonly log: Uint8Array;
  readonly floor: number;
  readonly torn: Uint8Array;
  readonly session?: string;
}

/** The head of content, and the digest of all that is in it. */
export interface DescribedContent {
  readonly head: ZoneHead;
  readonly digest: string;
}

/** What a conversation may have. */
export interface ContentLimits {
  readonly snapshotBytesMax: number;
  readonly logBytesMax: number;
}

/**
 * The head that content will have.
 *
 * @throws {@link ZonesError} `ZONE_TOO_LARGE`
 */
export function describeContent(
  content: ForeignContent,
  definition: string,
  { records }: { readonly records: RecordContext },
  limits: ContentLimits,
): DescribedContent {
  const { conversation, state, log, floor, torn, session, atMs, order, logOffset } = content;
  guardSize(state?.length ?? 0, limits.snapshotBytesMax, "snapshot", definition);
  guardSize(log.length, limits.logBytesMax, "log", definition);
  guardSize(torn.length, APPEND_BYTES_MAX, "last line", definition);
  const end = floor + log.length;
  const covered = logOffset !== undefined && logOffset >= floor && logOffset <= end ? { logOffset } : {};
  const stateDigest = state === undefined ? "" : contentDigest(records.hasher, state);
  const facts = state && {
    version: `${formatStamp(order.stamp)}-foreign`,
    chunks: chunksOf(state).length,
    bytes: state.length,
    digest: stateDigest,
    ...covered,
    atMs,
  };
  const head: ZoneHead = {
    conversation,
    ...(content.origin === undefined ? {} : { origin: content.origin }),
    ...(session === undefined ? {} : { session }),
    revision: order.revision ?? 0,
    ...previewOf(state ?? new Uint8Array(0)),
    ...(facts === undefined ? {} : { state: facts }),
    log: { floor, end, tail: end, torn: torn.length, atMs },
    stamp: order.stamp,
  };
  const bytes = new Uint8Array(log.length + torn.length);
  bytes.set(log);
  bytes.set(torn, log.length);
  const digest = zoneDigest(records.hasher, state?.length === 0 ? "" : stateDigest, bytes, session);
  return { head, digest };
}

/** Writes the bytes of content that nothing points to yet, in as many steps as they need. Safe to repeat. */
export async function stageContent(
  commits: ZoneCommits,
  definition: string,
  content: ForeignContent,
  { state }: ZoneHead,
  records: RecordContext,
): Promise<void> {
  const { conversation, log, floor, torn } = content;
  const items: KvItem[] = chunksOf(content.state ?? new Uint8Array(0)).map((chunk, index) =>
    bytesItem(chunk, zoneKeys.state(conversation, state?.version ?? "", index), records),
  );
  for (let at = 0; at < log.length; at += CHUNK_BYTES) {
    const key = zoneKeys.log(conversation, floor + at);
    items.push(bytesItem(log.subarray(at, at + CHUNK_BYTES), key, records));
  }
  if (torn.length > 0) items.push(bytesItem(torn, zoneKeys.torn(conversation), records));
  for (const puts of batchesOf(items, commits.limits)) {
    await commits.decide(
      definition,
      "log",
      () => Promise.resolve(undefined),
      () => ({ checks: [], puts, deletes: [], result: undefined }),
    );
  }
}

function batchesOf(items: readonly KvItem[], limits: ZoneCommits["limits"]): KvItem[][] {
  const batches: KvItem[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = item.key.length + item.value.length;
    const batch = batches.at(-1);
    if (batch === undefined || batch.length === limits.items || bytes + size > limits.bytes) {
      batches.push([item]);
      bytes = size;
    } else {
      batch.push(item);
      bytes += size;
    }
  }
  return batches;
}

function guardSize(actual: number, limit: number, what: string, definition: string): void {
  if (actual <= limit) return;
  throw new ZonesError(
    "ZONE_TOO_LARGE",
    `Cannot take a ${what} of ${actual} bytes for ${definition}: the limit is ${limit}`,
    { definition, limit, actual },
  );
}
