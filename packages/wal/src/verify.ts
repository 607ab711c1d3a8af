import { formatLogId, type LogId } from "@tidemark/core";
import { verifyCheckpoint } from "./checkpoint.ts";
import {
  surveyDirectory,
  LIVE_ATTEMPTS,
  whileItLives,
  type DirectoryOptions,
  type DirectoryState,
  type DirectorySurvey,
} from "./directory.ts";
import type { WalFs } from "./file-system.ts";
import { beginName } from "./log-begin.ts";
import type { StoredLog } from "./log-scan.ts";
import { lastRun, recoverLog, type NotResumableReason, type RecoveredLog } from "./recovery.ts";
import { formatSegmentName } from "./segment-name.ts";
import { WATERMARK_NAME, type WatermarkEntry } from "./watermark.ts";

/**
 * What is wrong at a place.
 *
 * - `torn-tail`: the last write did not reach the disk whole. Opening cuts it; nothing acknowledged was in it.
 * - `unfinished`: the same in a directory that a live process holds: a write under way.
 * - `corruption`: bytes that were good are not. Only a copy from elsewhere helps.
 * - `gap`: LSNs that were stored are not there: a file is missing, or has lost its end.
 * - `newer-version`: written by a newer version of this program.
 * - `begun-anew`: the log was being dropped for a snapshot; opening completes that.
 * - `watermark-damaged`: nobody knows how the last run wrote; opening ends every epoch.
 * - `checkpoint-damaged`: more is replayed for it.
 */
export type FindingKind =
  | "torn-tail"
  | "unfinished"
  | "corruption"
  | "gap"
  | "newer-version"
  | "begun-anew"
  | "watermark-damaged"
  | "checkpoint-damaged";

/** Something that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind;
  /** Below the directory. */
  readonly file: string;
  readonly offset: number;
  /** Bytes that a cut would take. */
  readonly bytes: number | undefined;
  readonly log: LogId | undefined;
  /** The LSNs concerned; `to` is unknown where nothing good follows. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Opening the directory would leave this log failed, or would be refused. */
  readonly blocks: boolean;
  readonly message: string;
}

/** What verification found of one log. */
export interface LogVerification {
  readonly id: LogId;
  readonly first: number;
  /** Whole and unbroken up to here. */
  readonly last: number;
  /** Of the segment files. */
  readonly bytes: number;
  readonly verdict: "sound" | "torn" | "corrupt" | "newer-version";
  /** Why its owner could not append to it after opening, if so. */
  readonly reason: NotResumableReason | undefined;
}

/** What {@link verifyDirectory} found. */
export interface DirectoryVerification {
  readonly state: DirectoryState;
  readonly holder: string | undefined;
  /** Opening it would serve everything that was acknowledged. */
  readonly openable: boolean;
  readonly findings: readonly Finding[];
  readonly logs: readonly LogVerification[];
  readonly bytes: number;
}

/** How far a tool has come. */
export interface DirectoryProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** Options of {@link verifyDirectory}. */
export interface VerifyOptions extends DirectoryOptions {
  readonly signal?: AbortSignal;
  /** Called after each block of at most 1 MiB. */
  readonly onProgress?: (progress: DirectoryProgress) => void;
}

/**
 * Reads every batch of every log: header, digest, chain, the order of segments, the watermark, and the checkpoints.
 *
 * Judges as opening would, with the same code, and changes nothing. Segments are streamed, so memory does not grow
 * with a log; a checkpoint is read whole. Needs no lock: in a directory that a live process holds, what is being
 * written is `unfinished`.
 */
export function verifyDirectory(
  fs: WalFs,
  dir: string,
  options: VerifyOptions,
): Promise<DirectoryVerification> {
  return whileItLives(fs, dir, () => verifyOnce(fs, dir, options));
}

async function verifyOnce(fs: WalFs, dir: string, options: VerifyOptions): Promise<DirectoryVerification> {
  const { signal } = options;
  signal?.throwIfAborted();
  const survey = await surveyDirectory(fs, dir, options);
  const { state, holder, newer } = survey;
  const findings: Finding[] = [];
  const logs: LogVerification[] = [];
  const sizes = new Map<StoredLog, number>();
  for (const stored of survey.logs) sizes.set(stored, await bytesOf(fs, stored));
  const bytesTotal = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const meter = new Meter(bytesTotal, options);
  if (survey.watermark === "damaged" || (survey.watermark === undefined && survey.logs.length > 0))
    findings.push(watermarkFinding(survey));
  for (const stored of survey.logs) {
    meter.begin(sizes.get(stored) as number);
    const recovered = await recoverLive(fs, survey, stored, { ...options, onBytes: meter.add });
    findings.push(...findingsOf(recovered, stored, entryOf(survey, stored), holder));
    logs.push(verdictOf(recovered, sizes.get(stored) as number));
    meter.finish();
  }
  for (const { id, after } of survey.begun) {
    const { lsn } = after;
    const file = `${id.channel}/${beginName(id)}`;
    const message = `${formatLogId(id)} begins anew behind LSN ${lsn} when the directory is opened`;
    findings.push({ ...NOWHERE, kind: "begun-anew", file, log: id, from: lsn + 1, message });
    logs.push({ id, first: lsn + 1, last: lsn, bytes: 0, verdict: "sound", reason: undefined });
  }
  for (const file of survey.checkpoints) {
    signal?.throwIfAborted();
    const verdict = await verifyCheckpoint(fs, dir, options.hasher, file);
    if (verdict === "good") continue;
    const kind = verdict === "damaged" ? "checkpoint-damaged" : "newer-version";
    findings.push({ ...NOWHERE, kind, file, message: `Cannot trust ${file}: ${verdict}` });
  }
  const openable = state === "wal" && newer === undefined && findings.every((finding) => !finding.blocks);
  return { state, holder, openable, findings, logs, bytes: bytesTotal };
}

const NOWHERE = {
  offset: 0,
  bytes: undefined,
  log: undefined,
  from: undefined,
  to: undefined,
  blocks: false,
} as const;

/** Recovery without its last step, as {@link verifyDirectory} and a read without opening use it. */
export function examineLog(
  fs: WalFs,
  survey: DirectorySurvey,
  stored: StoredLog,
  options: DirectoryOptions & { readonly onBytes?: (bytes: number) => void },
): Promise<RecoveredLog> {
  const { hasher, onBytes } = options;
  const watermark = entryOf(survey, stored);
  const run = lastRun(survey.watermark);
  return recoverLog(stored, { fs, hasher, watermark, ...run, scanFrom: undefined, onBytes });
}

async function recoverLive(
  fs: WalFs,
  survey: DirectorySurvey,
  stored: StoredLog,
  options: DirectoryOptions & { readonly onBytes: (bytes: number) => void },
): Promise<RecoveredLog> {
  let recovered = await examineLog(fs, survey, stored, options);
  for (let attempt = 1; attempt < LIVE_ATTEMPTS; attempt++) {
    if (survey.holder === undefined || recovered.damages.length === 0) break;
    recovered = await examineLog(fs, survey, stored, options);
  }
  return recovered;
}

function entryOf(survey: DirectorySurvey, stored: StoredLog): WatermarkEntry | undefined {
  if (typeof survey.watermark !== "object") return undefined;
  const key = formatLogId(stored.id);
  return survey.watermark.entries.find((entry) => formatLogId(entry.log) === key);
}

function findingsOf(
  { recovery, failed, damages, tail }: RecoveredLog,
  stored: StoredLog,
  watermark: WatermarkEntry | undefined,
  holder: string | undefined,
): Finding[] {
  const { id, durable, cut } = recovery;
  const file = (segment: string): string => `${id.channel}/${segment}`;
  if (cut !== undefined) {
    const message = `The last write of ${formatLogId(id)} did not reach the disk whole`;
    const kind = holder === undefined ? "torn-tail" : "unfinished";
    const { offset, bytes } = cut;
    const from = durable.lsn + 1;
    return [{ ...NOWHERE, kind, file: file(cut.segment), offset, bytes, log: id, from, message }];
  }
  if (failed === undefined) return [];
  const known = Math.max(watermark?.lsn ?? 0, (tail?.firstLsn ?? 1) - 1);
  const found = damages.map(({ segment, offset, error, lsn, nextLsn, between }): Finding => {
    const newer = error.code === "WAL_VERSION_UNSUPPORTED";
    const to = nextLsn === undefined ? (known >= lsn ? known : undefined) : nextLsn - 1;
    return {
      kind: newer ? "newer-version" : between ? "gap" : "corruption",
      file: file(segment),
      offset,
      bytes: undefined,
      log: id,
      from: lsn,
      to,
      blocks: true,
      message: error.message,
    };
  });
  if (found.length > 0) return found;
  const last = stored.segments.at(-1);
  return [
    {
      ...NOWHERE,
      kind: "gap",
      file: file(tail?.name ?? (last === undefined ? "" : formatSegmentName(last))),
      offset: tail?.end ?? 0,
      log: id,
      from: durable.lsn + 1,
      to: known,
      blocks: true,
      message: failed.message,
    },
  ];
}

function verdictOf({ recovery, failed }: RecoveredLog, bytes: number): LogVerification {
  const { id, first, durable, cut, reason } = recovery;
  const newer = failed?.code === "WAL_VERSION_UNSUPPORTED";
  const verdict = newer ? "newer-version" : failed ? "corrupt" : cut ? "torn" : "sound";
  return { id, first, last: durable.lsn, bytes, verdict, reason };
}

function watermarkFinding({ newer, watermark }: DirectorySurvey): Finding {
  if (newer !== undefined)
    return { ...NOWHERE, kind: "newer-version", file: WATERMARK_NAME, blocks: true, message: newer.message };
  const message =
    watermark === undefined
      ? "There is no watermark: nobody knows how the last run wrote"
      : "The watermark is damaged: nobody knows how the last run wrote";
  return { ...NOWHERE, kind: "watermark-damaged", file: WATERMARK_NAME, message };
}

async function bytesOf(fs: WalFs, stored: StoredLog): Promise<number> {
  let bytes = 0;
  for (const segment of stored.segments) {
    const file = await fs.open(`${stored.dir}/${formatSegmentName(segment)}`, "read");
    bytes += await file.size();
    await file.close();
  }
  return bytes;
}

/** Counts bytes, tells the caller, and ends the work when it was aborted. What is looked at twice counts once. */
class Meter {
  #done = 0;
  #limit = 0;
  readonly #total: number;
  readonly #options: VerifyOptions;

  constructor(total: number, options: VerifyOptions) {
    this.#total = total;
    this.#options = options;
  }

  /** The next log has this many bytes. */
  begin(bytes: number): void {
    this.#limit = this.#done + bytes;
  }

  readonly add = (bytes: number): void => {
    this.#options.signal?.throwIfAborted();
    this.#set(Math.min(this.#limit, this.#done + bytes));
  };

  finish(): void {
    this.#set(this.#limit);
  }

  #set(done: number): void {
    if (done === this.#done) return;
    this.#done = done;
    this.#options.onProgress?.({ bytesDone: done, bytesTotal: this.#total });
  }
}
