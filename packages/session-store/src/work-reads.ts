import { prefixRange } from "@tidemark/kv";
import type { NamedWork } from "./cancel-work.ts";
import type { View } from "./decision.ts";
import { SessionStoreError } from "./errors.ts";
import { sessionKeys } from "./keys.ts";
import type { RecordContext } from "./records.ts";
import { viewOpen, viewSettled, type SettledWork, type WorkBatch, type WorkView } from "./work-batch.ts";
import { openWorkRecord, readBatches, readOpen, settledWorkRecord, workPlaceRecord } from "./work-rows.ts";

/** What stands under a source key, in whatever state it is. */
export async function findSource(
  view: View,
  sourceKey: string | undefined,
  records: RecordContext,
): Promise<WorkBatch | undefined> {
  if (sourceKey === undefined) return undefined;
  const key = sessionKeys.source(sourceKey);
  const found = workPlaceRecord.read((await view.get([key]))[0], key, records);
  return found === undefined ? undefined : (await readBatches(view, [found.sequence], records))[0];
}

/** The states of batches by id, in the order asked. */
export async function findNamed(
  view: View,
  ids: readonly string[],
  records: RecordContext,
): Promise<NamedWork[]> {
  const sequences = await findSequences(view, ids, records);
  const known = sequences.filter((sequence) => sequence !== undefined);
  const keys = known.flatMap((sequence) => [
    sessionKeys.openWork(sequence),
    sessionKeys.settledWork(sequence),
  ]);
  const rows = known.length === 0 ? [] : await view.get(keys);
  let at = 0;
  return ids.map((id, index): NamedWork => {
    const sequence = sequences[index];
    if (sequence === undefined) return { id };
    const open = openWorkRecord.read(rows[at++], sessionKeys.openWork(sequence), records);
    const settled = settledWorkRecord.read(rows[at++], sessionKeys.settledWork(sequence), records);
    return { id, ...(open && { open }), ...(settled && { settled }) };
  });
}

/** A batch by id, and all open ones that were queued after it, in order. */
export async function namedFrom(view: View, id: string, records: RecordContext): Promise<NamedWork[]> {
  const [first] = await findNamed(view, [id], records);
  const sequence = first?.open?.sequence ?? first?.settled?.sequence;
  if (first === undefined || sequence === undefined) return [{ id }];
  const open = await readOpen(view, records, sequence + 1);
  return [first, ...open.map((work) => ({ id: work.id, open: work }))];
}

/** All open batches as callers see them while `generation` is the live one, in order. */
export async function viewsOfOpen(
  view: View,
  generation: number | undefined,
  records: RecordContext,
): Promise<WorkView[]> {
  const open = await readOpen(view, records);
  const batches = await readBatches(
    view,
    open.map((work) => work.sequence),
    records,
  );
  // What ended and was vacuumed since the rows were read is not there any more, and not open either.
  return open.flatMap((work, index) => {
    const batch = batches[index];
    return batch === undefined ? [] : viewOpen(batch, work, generation);
  });
}

/** A batch by id as callers see it; `undefined` if none is known. */
export async function viewNamed(
  view: View,
  id: string,
  generation: number | undefined,
  records: RecordContext,
): Promise<WorkView | undefined> {
  const [named] = await findNamed(view, [id], records);
  const work = named?.open ?? named?.settled;
  if (named === undefined || work === undefined) return undefined;
  const [batch] = await readBatches(view, [work.sequence], records);
  if (batch === undefined) return undefined;
  return named.open ? viewOpen(batch, named.open, generation) : viewSettled(batch, work as SettledWork);
}

/** The batches of a claim, which nothing removes while it is held. */
export async function claimedBatches(
  view: View,
  sequences: readonly number[],
  records: RecordContext,
): Promise<WorkBatch[]> {
  const batches = await readBatches(view, sequences, records);
  return batches.map((batch, index) => {
    if (batch !== undefined) return batch;
    throw new SessionStoreError(
      "DATA_CORRUPT",
      `Cannot find work ${sequences[index]} of ${records.partition}`,
    );
  });
}

/** One page of what ended, in order of enqueuing, and where the next begins. */
export async function readSettled(
  view: View,
  start: Uint8Array | undefined,
  limit: number,
  records: RecordContext,
): Promise<{ readonly settled: SettledWork[]; readonly next?: Uint8Array }> {
  const range = prefixRange(["settled-work"]);
  const { items, next } = await view.scan({ ...range, ...(start === undefined ? {} : { start }), limit });
  const settled = items.map(({ key, value }) => settledWorkRecord.read(value, key, records) as SettledWork);
  return { settled, ...(next === undefined ? {} : { next }) };
}

async function findSequences(
  view: View,
  ids: readonly string[],
  records: RecordContext,
): Promise<(number | undefined)[]> {
  if (ids.length === 0) return [];
  const keys = ids.map((id) => sessionKeys.workId(id));
  const found = await view.get(keys);
  return keys.map((key, index) => workPlaceRecord.read(found[index], key, records)?.sequence);
}
