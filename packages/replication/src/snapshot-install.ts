import { ByteReader, ByteWriter, CoreError, formatLogId, type Hasher } from "@tidemark/core";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  readCheckpoint,
  WalError,
  writeCheckpoint,
  type Checkpoint,
  type LogPosition,
  type Wal,
  type WalFs,
} from "@tidemark/wal";
import { equalBytes } from "./equal-bytes.ts";
import { decodeSnapshotBody } from "./snapshot-body.ts";

/** Where checkpoints are kept: beside the logs. */
export interface CheckpointPlace {
  readonly fs: WalFs;
  readonly dir: string;
  readonly hasher: Hasher;
}

const NAME = "snapshot.install";
const MAGIC = 0x49534d54; // "TMSI" when read as little-endian bytes.
const VERSION = 1;
const DIGEST_BYTES = 32;

/**
 * Makes it certain that a snapshot replaces what is here: a note that names its digest (magic "TMSI", version u32 1, digest
 * 32), then the snapshot as the newest checkpoint. A crash before the checkpoint is there leaves everything as it was; one
 * after it is made good by {@link finishInstall}.
 */
export async function beginInstall(place: CheckpointPlace, snapshot: Checkpoint): Promise<void> {
  const { fs, dir, hasher } = place;
  const writer = new ByteWriter(8 + DIGEST_BYTES);
  writer.u32(MAGIC);
  writer.u32(VERSION);
  writer.raw(digestOf(snapshot, hasher));
  await writeFile(place, writer.take());
  await writeCheckpoint(fs, dir, hasher, snapshot);
}

/**
 * Begins anew, behind the snapshot, each log that ends before it or that this directory never held; what is stored above it
 * stays, and is replayed on top. May be done again and again.
 *
 * @returns the logs that were begun anew.
 */
export async function placeLogs(wal: Wal, snapshot: Checkpoint): Promise<string[]> {
  const ends = new Map(
    decodeSnapshotBody(snapshot.body).ends.map(({ log, digest }) => [formatLogId(log), digest]),
  );
  const placed: string[] = [];
  for (const { log: id, lsn, digest } of snapshot.vector.entries()) {
    const key = formatLogId(id);
    const log = wal.log(id);
    if (log !== undefined && log.failed === undefined && log.first <= lsn + 1 && log.durable.lsn >= lsn)
      continue;
    const after: LogPosition = { lsn, digest: ends.get(key) ?? digest };
    if (log === undefined) await wal.createLog(id, { after });
    else await wal.replaceLog(id, { after });
    placed.push(key);
  }
  return placed;
}

/** The snapshot is in place. */
export async function endInstall({ fs, dir }: CheckpointPlace): Promise<void> {
  await fs.unlink(`${dir}/${NAME}`);
  await fs.syncDir(dir);
}

/**
 * Finishes what a crash interrupted: call it with the logs open, before a checkpoint is looked for.
 *
 * @returns whether a snapshot was being installed, and is in place now.
 */
export async function finishInstall(place: CheckpointPlace, wal: Wal): Promise<boolean> {
  const { fs, dir, hasher } = place;
  const note = await fs.readFile(`${dir}/${NAME}`);
  if (note === undefined) return false;
  const wanted = digestIn(note);
  const snapshot = wanted === undefined ? undefined : await newest(place);
  const due = snapshot !== undefined && equalBytes(digestOf(snapshot, hasher), wanted as Uint8Array);
  if (due) await placeLogs(wal, snapshot);
  await endInstall(place);
  return due;
}

/** Reads a snapshot that was received whole. @throws `CoreError` `DECODE_FAILED` unless digest and layout are right. */
export function openSnapshot(bytes: Uint8Array, hasher: Hasher): Checkpoint {
  const snapshot = decodeCheckpoint(bytes, hasher);
  decodeSnapshotBody(snapshot.body);
  return snapshot;
}

function digestOf(snapshot: Checkpoint, hasher: Hasher): Uint8Array {
  return encodeCheckpoint(snapshot, hasher).slice(-DIGEST_BYTES);
}

function digestIn(note: Uint8Array): Uint8Array | undefined {
  try {
    const reader = new ByteReader(note);
    if (reader.u32() !== MAGIC || reader.u32() !== VERSION) return undefined;
    const digest = reader.view(DIGEST_BYTES).slice();
    reader.finish();
    return digest;
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

async function newest({ fs, dir, hasher }: CheckpointPlace): Promise<Checkpoint | undefined> {
  try {
    return await readCheckpoint(fs, dir, hasher);
  } catch (error) {
    // None can be trusted: the logs that were begun anew say for themselves that a snapshot is missing.
    if (error instanceof WalError && error.code === "WAL_BAD_FILE") return undefined;
    throw error;
  }
}

async function writeFile({ fs, dir }: CheckpointPlace, bytes: Uint8Array): Promise<void> {
  const temporary = `${dir}/${NAME}.tmp`;
  await fs.mkdir(dir);
  await fs.unlink(temporary);
  const file = await fs.open(temporary, "create");
  try {
    for (let at = 0; at < bytes.length;) {
      const wrote = file.write(bytes.subarray(at), at);
      if (wrote === 0) throw Object.assign(new Error("Cannot write on: no byte was taken"), { code: "EIO" });
      at += wrote;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await fs.rename(temporary, `${dir}/${NAME}`);
  await fs.syncDir(dir);
}
