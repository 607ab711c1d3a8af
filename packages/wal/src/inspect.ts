import { formatLogId, type LogId } from "@tidemark/core";
import { BlockReader } from "./extent.ts";
import { BATCH_HEADER_BYTES, decodeBatchHeader } from "./batch-header.ts";
import { parseCheckpointName, readCheckpointHead } from "./checkpoint.ts";
import { surveyDirectory, whileItLives, type DirectoryOptions, type DirectoryState } from "./directory.ts";
import { WalError } from "./errors.ts";
import type { WalFile, WalFs } from "./file-system.ts";
import type { StoredLog } from "./log-scan.ts";
import { sameLog } from "./log.ts";
import { readRunIntent } from "./run-intent.ts";
import { formatSegmentName } from "./segment-name.ts";
import type { Vector } from "./vector.ts";
import type { Watermark } from "./watermark.ts";

/** A segment file by its name, its size and, for the last of a log, its headers. Nothing of it was verified. */
export interface SegmentInspection {
  /** Below the directory. */
  readonly file: string;
  readonly firstLsn: number;
  /** `firstLsn - 1` if there is no batch. */
  readonly lastLsn: number;
  /** Of the file, free space at its end included. */
  readonly bytes: number;
}

/** One log as its file names and headers have it. */
export interface LogInspection {
  readonly id: LogId;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly segments: readonly SegmentInspection[];
  /** What the watermark knows to be durable. */
  readonly watermark: { readonly lsn: number; readonly ended: boolean } | undefined;
  /** It is to begin anew behind this LSN when the directory is opened; nothing else of it counts. */
  readonly begin: { readonly lsn: number } | undefined;
  /** The fetched range that was being stored last. */
  readonly runNote: { readonly from: number; readonly to: number } | undefined;
}

/** A checkpoint file by what it begins with. */
export interface CheckpointInspection {
  readonly file: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly version: number | undefined;
  /** `undefined`: of a newer version, or no checkpoint at all. */
  readonly vector: Vector | undefined;
}

/** What a directory holds. */
export interface DirectoryInspection {
  readonly state: DirectoryState;
  /** The live process that holds it. */
  readonly holder: string | undefined;
  /** The version of its watermark, if that is newer than this program. */
  readonly newerVersion: number | undefined;
  readonly logs: readonly LogInspection[];
  readonly checkpoints: readonly CheckpointInspection[];
  readonly watermark: Pick<Watermark, "durability" | "clean"> | "damaged" | undefined;
  readonly temporary: readonly string[];
  /** Names that are not of a log, nor `known`. */
  readonly unknown: readonly string[];
  /** Of all segments and checkpoints. */
  readonly bytes: number;
}

/**
 * Says what a directory holds, from names, sizes and headers: quick, and no proof ({@link verifyDirectory} is).
 * Changes nothing and needs no lock; what a live process holds may change meanwhile.
 */
export function inspectDirectory(
  fs: WalFs,
  dir: string,
  options: DirectoryOptions,
): Promise<DirectoryInspection> {
  return whileItLives(fs, dir, () => inspectOnce(fs, dir, options));
}

async function inspectOnce(fs: WalFs, dir: string, options: DirectoryOptions): Promise<DirectoryInspection> {
  const survey = await surveyDirectory(fs, dir, options);
  const { state, holder, temporary, unknown, watermark, newer } = survey;
  const logs: LogInspection[] = [];
  for (const stored of survey.logs) logs.push(await inspectLog(fs, stored, watermark, options));
  for (const { id, after } of survey.begun) {
    const nothing = { bytes: 0, segments: [], watermark: undefined, runNote: undefined };
    logs.push({ id, first: after.lsn + 1, last: after.lsn, ...nothing, begin: { lsn: after.lsn } });
  }
  const checkpoints: CheckpointInspection[] = [];
  for (const file of survey.checkpoints) {
    const found = await withFile(fs, `${dir}/${file}`, async (open) => ({
      bytes: await open.size(),
      head: await readCheckpointHead(open),
    }));
    const { version, vector } = found.head ?? {};
    checkpoints.push({
      file,
      sequence: parseCheckpointName(file) as number,
      bytes: found.bytes,
      version,
      vector,
    });
  }
  const bytes = [...logs, ...checkpoints].reduce((sum, each) => sum + each.bytes, 0);
  return {
    state,
    holder,
    newerVersion: newer?.version,
    logs,
    checkpoints,
    watermark:
      typeof watermark === "object"
        ? { durability: watermark.durability, clean: watermark.clean }
        : watermark,
    temporary,
    unknown,
    bytes,
  };
}

async function inspectLog(
  fs: WalFs,
  stored: StoredLog,
  watermark: Watermark | "damaged" | undefined,
  { hasher }: DirectoryOptions,
): Promise<LogInspection> {
  const { id, dir } = stored;
  const segments: SegmentInspection[] = [];
  for (const [index, name] of stored.segments.entries()) {
    const file = formatSegmentName(name);
    const next = stored.segments[index + 1];
    const { bytes, lastLsn } = await withFile(fs, `${dir}/${file}`, async (open) => ({
      bytes: await open.size(),
      lastLsn: next === undefined ? await lastByHeaders(open, stored, name.firstLsn) : next.firstLsn - 1,
    }));
    segments.push({ file: `${id.channel}/${file}`, firstLsn: name.firstLsn, lastLsn, bytes });
  }
  const known = typeof watermark === "object" ? watermark.entries : [];
  const entry = known.find((each) => sameLog(each.log, id));
  return {
    id,
    first: segments[0]?.firstLsn ?? 1,
    last: segments.at(-1)?.lastLsn ?? 0,
    bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
    segments,
    watermark: entry && { lsn: entry.lsn, ended: entry.ended },
    begin: undefined,
    runNote: await readRunIntent(fs, dir, id, hasher),
  };
}

/** Follows the headers of a segment as long as each continues the one before. */
async function lastByHeaders(file: WalFile, stored: StoredLog, firstLsn: number): Promise<number> {
  const size = await file.size();
  const header = new BlockReader(file, 0, size);
  const logText = formatLogId(stored.id);
  let last = firstLsn - 1;
  while (await header.fill(BATCH_HEADER_BYTES)) {
    try {
      const batch = decodeBatchHeader(header.buffer, header.at);
      if (batch.firstLsn !== last + 1 || formatLogId(batch.log) !== logText) return last;
      const bytes = BATCH_HEADER_BYTES + batch.payloadBytes;
      if (!(await header.fill(bytes))) return last;
      header.at += bytes;
      last += batch.recordCount;
    } catch (error) {
      if (error instanceof WalError) return last;
      throw error;
    }
  }
  return last;
}

async function withFile<T>(fs: WalFs, path: string, use: (file: WalFile) => Promise<T>): Promise<T> {
  const file = await fs.open(path, "read");
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
