import { formatLogId, guardSafe, type Hasher, type LogId } from "@tidemark/core";
import { surveyDirectory, type DirectoryOptions, type DirectorySurvey } from "./directory.ts";
import { WalError } from "./errors.ts";
import type { WalFs } from "./file-system.ts";
import { sameLog } from "./log.ts";
import { LogReader } from "./log-reader.ts";
import { examineLog } from "./verify.ts";

/** A record as {@link dumpLog} gives it: plain values that JSON can hold, but for `body`. */
export interface DumpedRecord {
  /** `formatLogId` of the log. */
  readonly log: string;
  readonly lsn: number;
  /** The batch it lies in. */
  readonly batch: { readonly firstLsn: number; readonly lastLsn: number; readonly digest: string };
  readonly type: number;
  /** Of the body. */
  readonly bytes: number;
  /** The body, if asked for in hexadecimal. */
  readonly hex?: string;
  /** The body, if asked for: a copy. */
  readonly body?: Uint8Array;
}

/** Options of {@link dumpLog}. */
export interface DumpOptions extends DirectoryOptions {
  /** The first LSN wanted. @defaultValue the first held */
  readonly from?: number;
  /** The last LSN wanted. @defaultValue the last held */
  readonly to?: number;
  /** What to give of a body besides its length. @defaultValue "length" */
  readonly body?: "length" | "hex" | "bytes";
  readonly signal?: AbortSignal;
}

/**
 * The records of a stored log, in order, without opening the directory: nothing is changed and no lock is needed.
 * The log is verified first, then read again; memory does not grow with it.
 *
 * @throws {@link WalError} `WAL_NOT_HELD` if the log is not there or begins above `from`, `WAL_CORRUPT` at damage
 * (with `nextLsn`, from which one may go on), `WAL_VERSION_UNSUPPORTED` where a newer version wrote on.
 */
export async function* dumpLog(
  fs: WalFs,
  dir: string,
  id: LogId,
  options: DumpOptions,
): AsyncGenerator<DumpedRecord, void, undefined> {
  const { from, to = Number.MAX_SAFE_INTEGER, body = "length", signal } = options;
  if (from !== undefined) guardSafe(from, "from", 1);
  const survey = await surveyDirectory(fs, dir, options);
  const log = await openStored(fs, survey, id, options);
  const name = formatLogId(id);
  let next = from ?? log.first;
  for await (const batch of log.reader.read(from ?? log.first, {
    ...(signal && { signal }),
    verify: false,
  })) {
    if (batch.firstLsn > to) return;
    next = batch.lastLsn + 1;
    const place = { firstLsn: batch.firstLsn, lastLsn: batch.lastLsn, digest: hex(batch.digest) };
    for (const record of batch.records()) {
      if (record.lsn < (from ?? 1)) continue;
      if (record.lsn > to) return;
      const { lsn, type } = record;
      yield {
        log: name,
        lsn,
        batch: place,
        type,
        bytes: record.body.length,
        ...(body === "hex" && { hex: hex(record.body) }),
        ...(body === "bytes" && { body: record.body.slice() }),
      };
    }
  }
  // Nothing good follows, and it is not the end: a dump that just stopped would say that it were.
  if (log.failed !== undefined && (log.failed.lsn ?? next) >= next) throw log.failed;
}

/** A place to fetch whole batches from: at least the one that covers `from`, or nothing. */
export type BatchSource = (log: LogId, from: number, to: number) => Promise<Uint8Array | undefined>;

/** How much a {@link directorySource} gives at once. */
const SOURCE_BYTES = 4 * 1024 * 1024;

/**
 * Another directory as a source of batches to repair from, such as that of a peer or a backup. Nothing in it is
 * changed; a log is verified when it is first asked for, and only its good batches are given.
 */
export function directorySource(fs: WalFs, dir: string, options: { readonly hasher: Hasher }): BatchSource {
  let survey: Promise<DirectorySurvey> | undefined;
  const logs = new Map<string, Promise<StoredLogReader>>();
  return async (id, from, to) => {
    survey ??= surveyDirectory(fs, dir, options);
    const key = formatLogId(id);
    const opened = logs.get(key) ?? openStored(fs, await survey, id, options);
    logs.set(key, opened);
    try {
      const bytes = await (await opened).reader.readBatches(from, to, SOURCE_BYTES);
      return bytes.length === 0 ? undefined : bytes;
    } catch (error) {
      if (error instanceof WalError && (error.code === "WAL_NOT_HELD" || error.code === "WAL_CORRUPT"))
        return undefined;
      throw error;
    }
  };
}

/** A log of a directory that is not opened, and how far it is good. */
export interface StoredLogReader {
  readonly first: number;
  /** Of its good batches. */
  readonly bytes: number;
  /** Where and why the log is not good, if it is not. */
  readonly failed: WalError | undefined;
  readonly reader: LogReader;
}

/** A log of a directory that is not opened, as far as it is good. */
export async function openStored(
  fs: WalFs,
  survey: DirectorySurvey,
  id: LogId,
  options: DirectoryOptions,
): Promise<StoredLogReader> {
  const stored = survey.logs.find((each) => sameLog(each.id, id));
  if (stored === undefined) {
    throw new WalError("WAL_NOT_HELD", `Cannot read ${formatLogId(id)}: it is not in this directory`, {
      log: id,
    });
  }
  const { recovery, extents, failed } = await examineLog(fs, survey, stored, options);
  const nothing = (): void => {};
  const view = { id, extents, failed, first: recovery.first, whenChanged: () => nothing, wakeAll: nothing };
  const bytes = extents.reduce((sum, { start, end }) => sum + end - start, 0);
  return {
    first: recovery.first,
    bytes,
    failed,
    reader: new LogReader(view, fs, stored.dir, options.hasher),
  };
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
