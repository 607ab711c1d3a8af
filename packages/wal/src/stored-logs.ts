import { formatLogId, type LogId } from "@tidemark/core";
import type { WalBatch } from "./batch.ts";
import { surveyDirectory, type DirectoryOptions } from "./directory.ts";
import { openStored, type StoredLogReader } from "./dump.ts";
import { WalError } from "./errors.ts";
import type { WalFs } from "./file-system.ts";

/** A log of a directory that is not opened. */
export interface StoredLogView {
  readonly id: LogId;
  /** The first LSN held. */
  readonly first: number;
  /** Of its good batches. */
  readonly bytes: number;
  /**
   * Its batches, in order; leaving the loop ends it. Memory does not grow with the log.
   *
   * @throws {@link WalError} `WAL_CORRUPT` at damage, with `nextLsn`.
   */
  read(options?: { readonly signal?: AbortSignal }): AsyncIterable<WalBatch>;
}

/**
 * The logs of a directory, each verified once, as they are now: nothing is changed and no lock is needed, so that a
 * process may write in it meanwhile.
 *
 * @throws {@link WalError} `WAL_NOT_HELD` if it holds no log.
 */
export async function readStoredLogs(
  fs: WalFs,
  dir: string,
  options: DirectoryOptions & { readonly signal?: AbortSignal },
): Promise<StoredLogView[]> {
  const survey = await surveyDirectory(fs, dir, options);
  if (survey.newer !== undefined) throw survey.newer;
  if (survey.logs.length === 0) {
    const what = survey.state === "wal" ? "without logs" : survey.state;
    throw new WalError("WAL_NOT_HELD", `Cannot read the logs of ${dir}: it is ${what}`);
  }
  const views: StoredLogView[] = [];
  for (const { id } of survey.logs) {
    options.signal?.throwIfAborted();
    const stored = await openStored(fs, survey, id, options);
    const { first, bytes, failed } = stored;
    // Half a log would pass for a whole one.
    if (failed !== undefined && bytes === 0) throw failed;
    views.push({ id, first, bytes, read: (how = {}) => readToEnd(stored, how) });
  }
  return views.toSorted((a, b) => (formatLogId(a.id) < formatLogId(b.id) ? -1 : 1));
}

/** Where nothing good follows damage, a reader just ends: whoever reads all of a log must hear that it is not all. */
async function* readToEnd(
  { first, failed, reader }: StoredLogReader,
  options: { readonly signal?: AbortSignal },
): AsyncGenerator<WalBatch, void, undefined> {
  let next = first;
  for await (const batch of reader.read(first, { ...options, verify: false })) {
    next = batch.lastLsn + 1;
    yield batch;
  }
  if (failed !== undefined && (failed.lsn ?? next) >= next) throw failed;
}
