import { ByteReader, ByteWriter, CoreError, HASH_CONTEXTS, type Hasher } from "@tidemark/core";
import { equalBytes } from "./batch-header.ts";
import { WalError } from "./errors.ts";
import { replaceFile, type WalFile, type WalFs } from "./file-system.ts";
import { Vector } from "./vector.ts";

/** State up to a vector. The body is opaque to the log. */
export interface Checkpoint {
  /** LSN and batch digest of every log the body covers. */
  readonly vector: Vector;
  readonly body: Uint8Array;
}

/** A checkpoint that was read and verified. */
export interface StoredCheckpoint extends Checkpoint {
  readonly sequence: number;
  /** Newer files that could not be trusted: more is replayed for each. */
  readonly skipped: readonly string[];
}

const MAGIC = 0x50434d54; // "TMCP" when read as little-endian bytes.
const VERSION = 1;
const DIGEST_BYTES = 32;
const NAME = /^checkpoint-(\d{20})\.tmcp$/;
const KEPT = 2;

/**
 * Encodes a checkpoint, little-endian: magic "TMCP", u8 version 1, three zero bytes, u32 bytes of the vector, the
 * vector, u32 bytes of the body, the body, then BLAKE3 (context `tidemark 2026 checkpoint v1`) of all before, 32.
 */
export function encodeCheckpoint(checkpoint: Checkpoint, hasher: Hasher): Uint8Array {
  const vector = checkpoint.vector.encode();
  const writer = new ByteWriter(16 + vector.length + checkpoint.body.length + DIGEST_BYTES);
  writer.u32(MAGIC);
  writer.u32(VERSION);
  writer.u32(vector.length);
  writer.raw(vector);
  writer.u32(checkpoint.body.length);
  writer.raw(checkpoint.body);
  writer.raw(hasher.digest(HASH_CONTEXTS.checkpoint, writer.view(), DIGEST_BYTES));
  return writer.view();
}

/** Decodes {@link encodeCheckpoint}; the body is a view. @throws `CoreError` `DECODE_FAILED`. */
export function decodeCheckpoint(bytes: Uint8Array, hasher: Hasher): Checkpoint {
  const end = Math.max(0, bytes.length - DIGEST_BYTES);
  const reader = new ByteReader(bytes, 0, end);
  if (reader.u32() !== MAGIC) reader.fail("Cannot find the magic of a checkpoint", 0);
  const version = reader.u32();
  if (version !== VERSION) reader.fail(`Cannot read checkpoint version ${version}`, 4);
  const digest = hasher.digest(HASH_CONTEXTS.checkpoint, bytes.subarray(0, end), DIGEST_BYTES);
  if (!equalBytes(digest, bytes.subarray(end)))
    reader.fail("Cannot accept a checkpoint: its digest differs", end);
  const vector = Vector.decode(reader.view(reader.u32()));
  const body = reader.view(reader.u32());
  reader.finish();
  return { vector, body };
}

/**
 * Writes a checkpoint: temporary file, sync, rename, directory sync. Older ones go, but for the two newest.
 *
 * @returns Its sequence number.
 */
export async function writeCheckpoint(
  fs: WalFs,
  dir: string,
  hasher: Hasher,
  checkpoint: Checkpoint,
): Promise<number> {
  await fs.mkdir(dir);
  const held = await sequences(fs, dir);
  const sequence = (held[0] ?? 0) + 1;
  await replaceFile(fs, dir, nameOf(sequence), encodeCheckpoint(checkpoint, hasher));
  // What was just replaced by a sync is trusted; one that is read as bad is never counted among those kept.
  let good = 1;
  for (const older of held) {
    if (good < KEPT && (await readOne(fs, dir, hasher, older)) !== undefined) {
      good += 1;
      continue;
    }
    if (good >= KEPT) await fs.unlink(`${dir}/${nameOf(older)}`);
  }
  await fs.syncDir(dir);
  return sequence;
}

/**
 * Reads the newest checkpoint that verifies, or `undefined` if there is none at all.
 *
 * @throws {@link WalError} `WAL_BAD_FILE` if there are some and none can be trusted: what they covered may be gone
 * from the log.
 */
export async function readCheckpoint(
  fs: WalFs,
  dir: string,
  hasher: Hasher,
): Promise<StoredCheckpoint | undefined> {
  const skipped: string[] = [];
  for (const sequence of await sequences(fs, dir)) {
    const checkpoint = await readOne(fs, dir, hasher, sequence);
    if (checkpoint !== undefined) return { ...checkpoint, sequence, skipped };
    skipped.push(nameOf(sequence));
  }
  if (skipped.length === 0) return undefined;
  throw new WalError("WAL_BAD_FILE", `Cannot read any checkpoint: ${skipped.join(", ")} are damaged`);
}

async function readOne(
  fs: WalFs,
  dir: string,
  hasher: Hasher,
  sequence: number,
): Promise<Checkpoint | undefined> {
  const bytes = await fs.readFile(`${dir}/${nameOf(sequence)}`);
  try {
    return bytes === undefined ? undefined : decodeCheckpoint(bytes, hasher);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

/** The sequence number in the name of a checkpoint file; `undefined` for any other name. */
export function parseCheckpointName(name: string): number | undefined {
  const match = NAME.exec(name);
  const sequence = match === null ? Number.NaN : Number(match[1]);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

/** The version and the vector that a checkpoint file begins with, not verified; `undefined` if it is none. */
export async function readCheckpointHead(
  file: WalFile,
): Promise<{ readonly version: number; readonly vector: Vector | undefined } | undefined> {
  const head = new Uint8Array(12);
  if ((await file.read(head, 0)) < head.length) return undefined;
  const reader = new ByteReader(head);
  if (reader.u32() !== MAGIC) return undefined;
  const version = reader.u32();
  const vectorBytes = reader.u32();
  if (version !== VERSION) return { version, vector: undefined };
  if (vectorBytes > (await file.size()) - head.length) return undefined;
  const bytes = new Uint8Array(vectorBytes);
  await file.read(bytes, head.length);
  try {
    return { version, vector: Vector.decode(bytes) };
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

/** Reads a whole checkpoint and says whether it can be used. */
export async function verifyCheckpoint(
  fs: WalFs,
  dir: string,
  hasher: Hasher,
  name: string,
): Promise<"good" | "damaged" | "of a newer version"> {
  const bytes = await fs.readFile(`${dir}/${name}`);
  try {
    // One that has gone since was replaced by a newer.
    if (bytes !== undefined) decodeCheckpoint(bytes, hasher);
    return "good";
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    const reader = new ByteReader(bytes ?? new Uint8Array(0));
    const newer = reader.remaining >= 8 && reader.u32() === MAGIC && reader.u32() > VERSION;
    return newer ? "of a newer version" : "damaged";
  }
}

/** Newest first. */
async function sequences(fs: WalFs, dir: string): Promise<number[]> {
  const found = (await fs.list(dir)).map(parseCheckpointName).filter((each) => each !== undefined);
  return found.toSorted((a, b) => b - a);
}

function nameOf(sequence: number): string {
  return `checkpoint-${String(sequence).padStart(20, "0")}.tmcp`;
}
