import { guardUpTo } from "@tidemark/core";
import { prefixRange, type KvItem, type KvKey } from "@tidemark/kv";
import type { View } from "./decision.ts";
import { sessionKeys } from "./keys.ts";
import { recordCodec, type RecordCodec, type RecordContext } from "./records.ts";
import { scanAll } from "./scan-all.ts";
import type { OpenWork, SettledWork, WorkBatch } from "./work-batch.ts";
import type { WorkChange } from "./work-change.ts";
import type { ClaimRecord, ClaimRows, WorkCompletion } from "./work-claim.ts";
import { QUEUE_OPEN_MAX, type QueueRecord } from "./work-queue-record.ts";

/** The queue register. */
export const queueRecord: RecordCodec<QueueRecord> = recordCodec("queue", 1);
/** A batch as it was queued. */
export const workBatchRecord: RecordCodec<WorkBatch> = recordCodec("work", 1);
/** The part of an open batch that changes. */
export const openWorkRecord: RecordCodec<OpenWork> = recordCodec("open-work", 1);
/** What is kept of a batch that ended. */
export const settledWorkRecord: RecordCodec<SettledWork> = recordCodec("settled-work", 1);
/** A claim. */
export const claimRecord: RecordCodec<ClaimRecord> = recordCodec("claim", 1);
/** Where a batch lies, by its id and by its source key. */
export const workPlaceRecord: RecordCodec<{ readonly sequence: number }> = recordCodec("work-place", 1);

/** The rows that a change puts and deletes. */
export function workChangeRows(
  change: WorkChange,
  records: RecordContext,
): { readonly puts: KvItem[]; readonly deletes: KvKey[] } {
  const puts = [queueRecord.item(change.queue, sessionKeys.queue, records)];
  const deletes: KvKey[] = [];
  for (const batch of change.enqueued ?? []) {
    const { sequence, id, sourceKey } = batch;
    puts.push(
      workBatchRecord.item(batch, sessionKeys.work(sequence), records),
      workPlaceRecord.item({ sequence }, sessionKeys.workId(id), records),
    );
    if (sourceKey !== undefined)
      puts.push(workPlaceRecord.item({ sequence }, sessionKeys.source(sourceKey), records));
  }
  for (const work of change.open ?? []) {
    puts.push(openWorkRecord.item(work, sessionKeys.openWork(work.sequence), records));
  }
  for (const work of change.settled ?? []) {
    deletes.push(sessionKeys.openWork(work.sequence));
    puts.push(settledWorkRecord.item(work, sessionKeys.settledWork(work.sequence), records));
  }
  for (const id of change.claimsOver ?? []) deletes.push(sessionKeys.claim(id));
  for (const claim of change.claims ?? [])
    puts.push(claimRecord.item(claim, sessionKeys.claim(claim.id), records));
  for (const { sequence, id, sourceKey } of change.forgotten ?? []) {
    deletes.push(sessionKeys.settledWork(sequence), sessionKeys.work(sequence), sessionKeys.workId(id));
    if (sourceKey !== undefined) deletes.push(sessionKeys.source(sourceKey));
  }
  return { puts, deletes };
}

/** The open rows from a sequence on, in order. */
export async function readOpen(view: View, records: RecordContext, from: number = 0): Promise<OpenWork[]> {
  const range = { ...prefixRange(["open-work"]), start: sessionKeys.openWork(from) };
  const items = await scanAll(view, range);
  return items.map(({ key, value }) => openWorkRecord.read(value, key, records) as OpenWork);
}

/** The rows of the claims that completions name, in their order: as many as can be open, {@link QUEUE_OPEN_MAX}, at most. */
export async function readClaims(
  view: View,
  completions: readonly WorkCompletion[],
  records: RecordContext,
): Promise<ClaimRows[]> {
  guardUpTo(completions.length, "completions.length", QUEUE_OPEN_MAX);
  const keys = completions.map(({ claim }) => sessionKeys.claim(claim));
  const stored = await view.get(keys);
  const claims = keys.map((key, index) => claimRecord.read(stored[index], key, records));
  const openKeys = claims.flatMap((claim) => claim?.sequences.map((one) => sessionKeys.openWork(one)) ?? []);
  const open = (await view.get(openKeys)).map((bytes, index) =>
    openWorkRecord.read(bytes, openKeys[index] as KvKey, records),
  );
  let at = 0;
  return claims.map((claim) => ({ claim, open: open.slice(at, (at += claim?.sequences.length ?? 0)) }));
}

/** The rows of the claim that a completion names. */
export async function readClaim(
  view: View,
  completion: WorkCompletion,
  records: RecordContext,
): Promise<ClaimRows> {
  return (await readClaims(view, [completion], records))[0] as ClaimRows;
}

/** The batches at these sequences, in their order; `undefined` where a vacuum took one. */
export async function readBatches(
  view: View,
  sequences: readonly number[],
  records: RecordContext,
): Promise<(WorkBatch | undefined)[]> {
  if (sequences.length === 0) return [];
  const keys = sequences.map((sequence) => sessionKeys.work(sequence));
  const stored = await view.get(keys);
  return keys.map((key, index) => workBatchRecord.read(stored[index], key, records));
}
