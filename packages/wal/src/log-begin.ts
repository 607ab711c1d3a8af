import {
  ByteReader,
  ByteWriter,
  CoreError,
  HASH_CONTEXTS,
  logId,
  type Channel,
  type Hasher,
  type LogId,
} from "@tidemark/core";
import { BATCH_DIGEST_BYTES, equalBytes } from "./batch-header.ts";
import { replaceFile, type WalFs } from "./file-system.ts";
import type { LogPosition } from "./log.ts";
import { intentName } from "./run-intent.ts";
import { formatSegmentName, logPrefix, parseSegmentName } from "./segment-name.ts";

const BYTES = 40;
const NAME = /^r(\d{5})-s(\d{5})-e(\d{10})\.begin$/;

/** Whether a file name is that of a {@link writeBeginNote}. */
export function isBeginName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Notes that a log is begun anew behind a position: from then on everything that is stored of it is void, whatever a
 * crash leaves of it. LSN u64, batch digest 16 (zeros if nobody remembers it), BLAKE3 of both 16; replaced atomically.
 */
export function writeBeginNote(
  fs: WalFs,
  dir: string,
  log: LogId,
  after: LogPosition,
  hasher: Hasher,
): Promise<void> {
  return replaceFile(fs, dir, beginName(log), encode(after, hasher));
}

/** A log that is to begin behind a position. */
export interface BegunLog {
  readonly id: LogId;
  readonly after: LogPosition;
}

/** The logs of a channel directory with a note that can be trusted. */
export async function begunLogs(
  fs: WalFs,
  dir: string,
  channel: Channel,
  hasher: Hasher,
): Promise<BegunLog[]> {
  const found: BegunLog[] = [];
  for (const name of (await fs.list(dir)).toSorted()) {
    const match = NAME.exec(name);
    const after = match === null ? undefined : await readNote(fs, `${dir}/${name}`, hasher);
    if (match === null || after === undefined) continue;
    const [region, shard, epoch] = [match[1], match[2], match[3]].map(Number) as [number, number, number];
    if (region <= 0xffff && shard <= 0xffff && epoch <= 0xffff_ffff)
      found.push({ id: logId(region, shard, epoch, channel), after });
  }
  return found;
}

async function readNote(fs: WalFs, path: string, hasher: Hasher): Promise<LogPosition | undefined> {
  const bytes = await fs.readFile(path);
  if (bytes === undefined || bytes.length !== BYTES) return undefined;
  try {
    const reader = new ByteReader(bytes);
    const after = { lsn: reader.u64(), digest: reader.view(BATCH_DIGEST_BYTES).slice() };
    return equalBytes(encode(after, hasher), bytes) ? after : undefined;
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

/** Removes the note: what it asked for is done. */
export async function dropBeginNote(fs: WalFs, dir: string, log: LogId): Promise<void> {
  await fs.unlink(`${dir}/${beginName(log)}`);
  await fs.syncDir(dir);
}

/**
 * Does what a note asks for, also for the second time: removes every segment of the log and makes an empty one behind
 * the position. Returns its name.
 */
export async function beginAnew(fs: WalFs, dir: string, log: LogId, after: LogPosition): Promise<string> {
  const prefix = logPrefix(log);
  for (const name of await fs.list(dir)) {
    const segment = parseSegmentName(name);
    if (segment !== undefined && logPrefix(segment) === prefix) await fs.unlink(`${dir}/${name}`);
  }
  await fs.unlink(`${dir}/${intentName(log)}`);
  await fs.syncDir(dir);
  const { region, shard, epoch } = log;
  const name = formatSegmentName({ region, shard, epoch, firstLsn: after.lsn + 1 });
  const file = await fs.open(`${dir}/${name}`, "create");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.syncDir(dir);
  return name;
}

function encode({ lsn, digest }: LogPosition, hasher: Hasher): Uint8Array {
  const writer = new ByteWriter(BYTES);
  writer.u64(lsn);
  writer.raw(digest.length === BATCH_DIGEST_BYTES ? digest : new Uint8Array(BATCH_DIGEST_BYTES));
  writer.raw(hasher.digest(HASH_CONTEXTS.watermark, writer.view(), BYTES - writer.length));
  return writer.take();
}

/** The file name of the note. */
export function beginName(log: LogId): string {
  return `${logPrefix(log)}.begin`;
}
