import { formatLogId, type LogId } from "@tidemark/core";
import type { WalBatch } from "./batch.ts";
import { surveyDirectory, type DirectoryOptions } from "./directory.ts";
import { openStored } from "./dump.ts";
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
    const { first, bytes, failed, reader } = await openStored(fs, survey, id, options);
    // Half a log would pass for a whole one.
    if (failed !== undefined && bytes === 0) throw failed;
    views.push({ id, first, bytes, read: (how = {}) => reader.read(first, { ...how, verify: false }) });
  }
  return views.toSorted((a, b) => (formatLogId(a.id) < formatLogId(b.id) ? -1 : 1));
}
