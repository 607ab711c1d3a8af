import { SessionStoreError } from "./errors.ts";
import type { OpenWork, WorkBatch } from "./work-batch.ts";
import type { WorkDecision } from "./work-change.ts";
import { sameWork, type WorkContent } from "./work-draft.ts";
import { withEnqueued, type QueueLimits, type QueueRecord } from "./work-queue-record.ts";

/** What queuing work looks at. */
export interface EnqueueSnapshot {
  readonly queue: QueueRecord;
  /** What was queued under the draft's source key, in whatever state it is now. */
  readonly source: WorkBatch | undefined;
}

/** What became of a draft. */
export interface EnqueueResult {
  /** What is queued: for a source key that was known, the batch it had the first time, with its payloads and ids. */
  readonly batch: WorkBatch;
  /** Whether this call queued it. */
  readonly enqueued: boolean;
}

/**
 * Queues work at the end. A source key that is known gives the batch it stands for, also after that was completed or
 * cancelled, until vacuum; such a call changes nothing.
 *
 * @throws SessionStoreError `SOURCE_CONFLICT` if the source key stands for other work, `WORK_QUEUE_FULL` if more would
 * be open than `limits` allow.
 */
export function decideEnqueue(
  snapshot: EnqueueSnapshot,
  session: string,
  content: WorkContent,
  limits: QueueLimits,
  nowMs: number,
): WorkDecision<EnqueueResult> {
  const { queue, source } = snapshot;
  if (source !== undefined) {
    if (!sameWork(source, content.batch)) throw sourceConflict(source);
    return { result: { batch: source, enqueued: false } };
  }
  const next = withEnqueued(queue, content.bytes, limits);
  const batch: WorkBatch = { ...content.batch, session, sequence: next.sequence, enqueuedAtMs: nowMs };
  return {
    change: { queue: next, enqueued: [batch], open: [openWork(batch, content.bytes)] },
    result: { batch, enqueued: true },
  };
}

function openWork(batch: WorkBatch, bytes: number): OpenWork {
  const { sequence, id, sourceKey, delivery, slot, mergeKey, availableAtMs } = batch;
  return {
    sequence,
    id,
    ...(sourceKey === undefined ? {} : { sourceKey }),
    delivery,
    slot,
    ...(mergeKey === undefined ? {} : { mergeKey }),
    availableAtMs,
    bytes,
    claimCount: 0,
  };
}

function sourceConflict({ session, sourceKey, id }: WorkBatch): SessionStoreError {
  return new SessionStoreError(
    "SOURCE_CONFLICT",
    `Source key ${sourceKey} of session ${session} stands for other work: batch ${id}`,
    { session },
  );
}
