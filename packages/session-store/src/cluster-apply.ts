import { encodeKey, type KvItem, type KvKey } from "@tidemark/kv";
import { attachmentRecord, decideStamp } from "./attachment-rows.ts";
import type { ClusterHead } from "./cluster-register.ts";
import type { ArrivedTurn } from "./cluster-turns.ts";
import { type Decision, nothing, runDecision } from "./decision.ts";
import { decideEnqueue } from "./enqueue.ts";
import { headRecord } from "./head.ts";
import { sessionKeys } from "./keys.ts";
import { recordCodec, type RecordCodec } from "./records.ts";
import { type SessionContext, unchanged } from "./session-context.ts";
import { settleOpen } from "./settle-work.ts";
import { decodeTurnRecord, turnPuts } from "./turn-record.ts";
import type { SettledAs } from "./work-batch.ts";
import type { WorkContent } from "./work-draft.ts";
import { EMPTY_QUEUE, QUEUE_LIMITS } from "./work-queue-record.ts";
import { findNamed } from "./work-reads.ts";
import { queueRecord, settledWorkRecord, workChangeRows } from "./work-rows.ts";

/** Of which turn of the cluster the head of this store is. */
const CLUSTER: KvKey = encodeKey(["cluster"]);
const clusterHeadRecord: RecordCodec<ClusterHead> = recordCodec("cluster-head", 1);
/** Work that ended elsewhere before it arrived here. */
const endedKey = (id: string): KvKey => encodeKey(["cluster-ended", id]);
const endedRecord: RecordCodec<{ readonly as: SettledAs }> = recordCodec("cluster-ended", 1);
/** Limits are judged where work is queued: what was accepted anywhere is queued everywhere. */
const NO_LIMITS = {
  ...QUEUE_LIMITS,
  openMax: Number.MAX_SAFE_INTEGER,
  openBytesMax: Number.MAX_SAFE_INTEGER,
};

/** The turn of the cluster that this store's head is of. */
export function readClusterHead({ kv, records }: SessionContext): Promise<ClusterHead> {
  return runDecision(
    kv,
    records.partition,
    (view) => view.get([CLUSTER]),
    ([stored]) => nothing(clusterHeadRecord.read(stored, CLUSTER, records) ?? { revision: 0, digest: "" }),
  );
}

/**
 * Writes a committed turn over the head it follows, and ends the work it answers; what of that has not arrived yet is
 * remembered, so that it is not queued when it does. A turn that is applied already changes nothing.
 */
export function applyTurn(
  context: SessionContext,
  { head, from, settled, record }: ArrivedTurn,
): Promise<void> {
  const { kv, records } = context;
  const turn = decodeTurnRecord(record);
  const registers = [CLUSTER, sessionKeys.head, sessionKeys.queue];
  const rows = turn.attachments.map((id) => sessionKeys.attachment(id));
  return runDecision(
    kv,
    records.partition,
    async (view) => ({
      values: await view.get([...registers, ...rows]),
      named: await findNamed(view, settled, records),
    }),
    ({ values, named }): Decision<void> => {
      const at = clusterHeadRecord.read(values[0], CLUSTER, records);
      if ((at?.digest ?? "") !== from.digest) return nothing(undefined);
      const written = turnPuts(headRecord.read(values[1], sessionKeys.head, records), turn, records);
      const puts: KvItem[] = [...written.puts, clusterHeadRecord.item(head, CLUSTER, records)];
      const queue = queueRecord.read(values[2], sessionKeys.queue, records) ?? EMPTY_QUEUE;
      const open = named.flatMap((work) => work.open ?? []);
      const deletes: KvKey[] = [];
      if (open.length > 0) {
        const change = workChangeRows(settleOpen(queue, open, "completed", turn.committedAtMs), records);
        puts.push(...change.puts);
        deletes.push(...change.deletes);
      }
      for (const { id, open: waiting, settled: ended } of named) {
        if (waiting !== undefined) continue;
        // Cancelled here while it was answered there: it was answered.
        if (ended !== undefined)
          puts.push(
            settledWorkRecord.item(
              { ...ended, as: "completed" },
              sessionKeys.settledWork(ended.sequence),
              records,
            ),
          );
        else puts.push(endedRecord.item({ as: "completed" }, endedKey(id), records));
      }
      // Where the bytes are kept the row is stamped; a region without them has no row.
      const attachments = rows.map((key, index) =>
        attachmentRecord.read(values[registers.length + index], key, records),
      );
      for (const row of decideStamp(attachments, turn.attachments, turn.committedAtMs).rows)
        puts.push(attachmentRecord.item(row, sessionKeys.attachment(row.id), records));
      return { checks: unchanged([...registers, ...rows], values), puts, deletes, result: undefined };
    },
  );
}

/** Queues work that was queued somewhere, once. */
export function applyWork(context: SessionContext, content: WorkContent): Promise<void> {
  const { kv, records, session } = context;
  const { id } = content.batch;
  const registers = [sessionKeys.queue, endedKey(id)];
  return runDecision(
    kv,
    records.partition,
    async (view) => ({ values: await view.get(registers), named: await findNamed(view, [id], records) }),
    ({ values, named: [known] }, nowMs): Decision<void> => {
      const ended = endedRecord.read(values[1], endedKey(id), records);
      if (ended !== undefined || known?.open !== undefined || known?.settled !== undefined)
        return nothing(undefined);
      const queue = queueRecord.read(values[0], sessionKeys.queue, records) ?? EMPTY_QUEUE;
      const { change } = decideEnqueue({ queue, source: undefined }, session, content, NO_LIMITS, nowMs);
      if (change === undefined) return nothing(undefined);
      return { checks: unchanged(registers, values), ...workChangeRows(change, records), result: undefined };
    },
  );
}

/** Ends work that was cancelled somewhere, unless it was answered. */
export function applyCancelled(context: SessionContext, ids: readonly string[]): Promise<void> {
  const { kv, records } = context;
  const registers = [sessionKeys.queue, ...ids.map(endedKey)];
  return runDecision(
    kv,
    records.partition,
    async (view) => ({ values: await view.get(registers), named: await findNamed(view, ids, records) }),
    ({ values, named }, nowMs): Decision<void> => {
      const queue = queueRecord.read(values[0], sessionKeys.queue, records) ?? EMPTY_QUEUE;
      const open = named.flatMap((work) => work.open ?? []);
      const rows =
        open.length === 0
          ? { puts: [], deletes: [] }
          : workChangeRows(settleOpen(queue, open, "cancelled", nowMs), records);
      named.forEach(({ id, open: waiting, settled }, index) => {
        const ended = endedRecord.read(values[1 + index], endedKey(id), records);
        if (waiting === undefined && settled === undefined && ended === undefined)
          rows.puts.push(endedRecord.item({ as: "cancelled" }, endedKey(id), records));
      });
      return { checks: unchanged(registers, values), ...rows, result: undefined };
    },
  );
}
