import {
  ByteReader,
  ByteWriter,
  CHANNEL_CODE,
  CoreError,
  HASH_CONTEXTS,
  channelOf,
  logId,
  type Hasher,
  type LogId,
} from "@tidemark/core";
import { BATCH_DIGEST_BYTES, equalBytes } from "./batch-header.ts";
import { WalError } from "./errors.ts";
import { replaceFile, type WalFs } from "./file-system.ts";

/** The durability of a run, as a number in the watermark. */
export const DURABILITY_CODE: { readonly always: 0; readonly group: 1; readonly os: 2 } = {
  always: 0,
  group: 1,
  os: 2,
};

/** What is remembered of one log. */
export interface WatermarkEntry {
  readonly log: LogId;
  /** Durable at least up to here: damage at or below is corruption. */
  readonly lsn: number;
  /** The digest of the batch that ends there, 16 bytes. */
  readonly digest: Uint8Array;
  /** The owner may not append to this epoch any more. */
  readonly ended: boolean;
}

/** What the last run left behind about itself. Written lazily: it may lag behind the logs, never lead them. */
export interface Watermark {
  readonly durability: number;
  /** The last run closed everything in order. */
  readonly clean: boolean;
  readonly entries: readonly WatermarkEntry[];
}

/** Its file. */
export const WATERMARK_NAME = "watermark";
const MAGIC = 0x4d574d54; // "TMWM" when read as little-endian bytes.
const VERSION = 1;
const DIGEST_BYTES = 32;
const ENTRY_BYTES = 34;

/**
 * Encodes a watermark, little-endian: magic "TMWM", u8 version 1, u8 durability (0 always, 1 group, 2 os), u8
 * clean, u8 zero, u32 count; entries: region u16, shard u16, epoch u32, channel u8, u8 ended, LSN u64, batch
 * digest 16; then BLAKE3 (context `tidemark 2026 watermark v1`) of everything before it, 32.
 */
export function encodeWatermark(watermark: Watermark, hasher: Hasher): Uint8Array {
  const writer = new ByteWriter(12 + watermark.entries.length * ENTRY_BYTES + DIGEST_BYTES);
  writer.u32(MAGIC);
  writer.u8(VERSION);
  writer.u8(watermark.durability);
  writer.u8(watermark.clean ? 1 : 0);
  writer.u8(0);
  writer.u32(watermark.entries.length);
  for (const { log, lsn, digest, ended } of watermark.entries) {
    writer.u16(log.region);
    writer.u16(log.shard);
    writer.u32(log.epoch);
    writer.u8(CHANNEL_CODE[log.channel]);
    writer.u8(ended ? 1 : 0);
    writer.u64(lsn);
    writer.raw(digest);
  }
  writer.raw(hasher.digest(HASH_CONTEXTS.watermark, writer.view(), DIGEST_BYTES));
  return writer.take();
}

/** Decodes {@link encodeWatermark}. @throws `CoreError` `DECODE_FAILED`. */
export function decodeWatermark(bytes: Uint8Array, hasher: Hasher): Watermark {
  const bodyBytes = Math.max(0, bytes.length - DIGEST_BYTES);
  const reader = new ByteReader(bytes, 0, bodyBytes);
  if (reader.u32() !== MAGIC) reader.fail("Cannot find the magic of a watermark", 0);
  const version = reader.u8();
  if (version !== VERSION) reader.fail(`Cannot read watermark version ${version}`, 4);
  const digest = hasher.digest(HASH_CONTEXTS.watermark, bytes.subarray(0, bodyBytes), DIGEST_BYTES);
  if (!equalBytes(digest, bytes.subarray(bodyBytes)))
    reader.fail("Cannot accept a watermark: its digest differs", bodyBytes);
  const durability = reader.u8();
  if (durability > DURABILITY_CODE.os) reader.fail(`Cannot read durability ${durability}`, 5);
  const clean = flag(reader);
  if (reader.u8() !== 0) reader.fail("Cannot accept a reserved byte", 7);
  const count = reader.u32();
  if (count * ENTRY_BYTES !== reader.remaining) reader.fail(`Cannot hold ${count} entries`, 8);
  const entries: WatermarkEntry[] = [];
  for (let index = 0; index < count; index++) {
    const [region, shard, epoch, code] = [reader.u16(), reader.u16(), reader.u32(), reader.u8()];
    const channel = channelOf(code);
    if (channel === undefined) return reader.fail(`Cannot read channel ${code}`);
    const ended = flag(reader);
    const lsn = reader.u64();
    entries.push({
      log: logId(region, shard, epoch, channel),
      lsn,
      digest: reader.view(BATCH_DIGEST_BYTES).slice(),
      ended,
    });
  }
  return { durability, clean, entries };
}

/** Writes the watermark of a directory, atomically. */
export function writeWatermark(fs: WalFs, dir: string, hasher: Hasher, watermark: Watermark): Promise<void> {
  return replaceFile(fs, dir, WATERMARK_NAME, encodeWatermark(watermark, hasher));
}

/**
 * Reads it: `undefined` if there is none, `"damaged"` if what is there cannot be trusted.
 *
 * @throws {@link WalError} `WAL_VERSION_UNSUPPORTED` if a newer version wrote it: everything else here may be new too.
 */
export async function readWatermark(
  fs: WalFs,
  dir: string,
  hasher: Hasher,
): Promise<Watermark | "damaged" | undefined> {
  const bytes = await fs.readFile(`${dir}/${WATERMARK_NAME}`);
  if (bytes === undefined) return undefined;
  try {
    return decodeWatermark(bytes, hasher);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    refuseNewer(bytes, hasher);
    return "damaged";
  }
}

/** A version that rotted does not match the digest; one that was written does. */
function refuseNewer(bytes: Uint8Array, hasher: Hasher): void {
  const version = bytes[4] ?? 0;
  if (bytes.length < 12 + DIGEST_BYTES || version <= VERSION) return;
  const end = bytes.length - DIGEST_BYTES;
  const digest = hasher.digest(HASH_CONTEXTS.watermark, bytes.subarray(0, end), DIGEST_BYTES);
  if (!equalBytes(digest, bytes.subarray(end))) return;
  const message = `Cannot read watermark version ${version}: the newest known is ${VERSION}`;
  throw new WalError("WAL_VERSION_UNSUPPORTED", message, { version });
}

function flag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail(`Cannot read ${value} as a flag`, reader.offset - 1);
  return value === 1;
}
