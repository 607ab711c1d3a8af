import { SessionStoreError } from "./errors.ts";

/**
 * The queue register of a session: every change to the queue checks and rewrites it, so that what was decided about
 * several rows holds for all of them or is decided anew.
 */
export interface QueueRecord {
  /** Changes of the queue so far. */
  readonly version: number;
  /** The last sequence given out; never used again. */
  readonly sequence: number;
  /** Open batches, claimed or not. */
  readonly open: number;
  /** Bytes of their items. */
  readonly openBytes: number;
  /** Batches that ended and are kept as evidence. */
  readonly settled: number;
}

/** The register before the first batch. */
export const EMPTY_QUEUE: QueueRecord = { version: 0, sequence: 0, open: 0, openBytes: 0, settled: 0 };

/** How much a session's queue holds. */
export interface QueueLimits {
  /** Open batches. @defaultValue 1,000 */
  readonly openMax: number;
  /** Bytes of the items of all open batches, as canonical JSON. @defaultValue 16 MiB */
  readonly openBytesMax: number;
  /** Bytes of one batch's items, as canonical JSON. @defaultValue 256 KiB */
  readonly batchBytesMax: number;
}

/** The limits where nothing else is asked for. */
export const QUEUE_LIMITS: QueueLimits = {
  openMax: 1_000,
  openBytesMax: 16 * 1024 * 1024,
  batchBytesMax: 256 * 1024,
};

/** The most open batches that {@link QueueLimits} may allow: a claim looks at all of them. */
export const QUEUE_OPEN_MAX: number = 1_000;

/** The register after one more batch. @throws SessionStoreError `WORK_QUEUE_FULL` */
export function withEnqueued(queue: QueueRecord, bytes: number, limits: QueueLimits): QueueRecord {
  const { openMax, openBytesMax } = limits;
  const open = queue.open + 1;
  const openBytes = queue.openBytes + bytes;
  if (open > openMax) throw queueFull("batches", openMax, open);
  if (openBytes > openBytesMax) throw queueFull("bytes", openBytesMax, openBytes);
  return { ...queue, version: queue.version + 1, sequence: queue.sequence + 1, open, openBytes };
}

/** The register after batches ended that had these bytes. */
export function withSettled(queue: QueueRecord, bytes: readonly number[]): QueueRecord {
  return {
    ...queue,
    version: queue.version + 1,
    open: queue.open - bytes.length,
    openBytes: queue.openBytes - bytes.reduce((sum, one) => sum + one, 0),
    settled: queue.settled + bytes.length,
  };
}

/** The register after rows changed that it does not count. */
export function touched(queue: QueueRecord): QueueRecord {
  return { ...queue, version: queue.version + 1 };
}

function queueFull(what: string, limit: number, actual: number): SessionStoreError {
  return new SessionStoreError(
    "WORK_QUEUE_FULL",
    `Cannot queue more work: ${actual} ${what} would be open, the limit is ${limit}`,
    { limit, actual, retryable: true },
  );
}
