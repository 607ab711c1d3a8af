import {
  ByteReader,
  ByteWriter,
  CHANNEL_CODE,
  channelOf,
  compareLogIds,
  type Channel,
  type LogId,
} from "@tidemark/core";
import { BATCH_DIGEST_BYTES, type Checkpoint, type Vector, type Wal } from "@tidemark/wal";
import { readLogId, writeLogId } from "./log-id-codec.ts";
import type { Replicated } from "./replicated.ts";

/** The state of every channel at one vector: the body of a checkpoint, and of a snapshot on its way. */
export interface SnapshotBody {
  /** The version of the list of members it was taken under. */
  readonly membershipVersion: number;
  /** The version that folded it. Whether an older one can go on from a state, the state itself says when it is restored. */
  readonly foldVersion: number;
  /** What each channel's `Replicated.snapshot` gave. */
  readonly parts: ReadonlyMap<Channel, Uint8Array>;
  /** The whole digest of the batch that ends at each position of the vector, where it is known. */
  readonly ends: readonly LogEnd[];
}

/** The batch a log was covered up to. */
export interface LogEnd {
  readonly log: LogId;
  /** 16 bytes. */
  readonly digest: Uint8Array;
}

const MAGIC = 0x53534d54; // "TMSS" when read as little-endian bytes.
const VERSION = 1;

/**
 * Encodes a body, little-endian: magic "TMSS", version u8 1, membership version u32, fold version u16, varint count,
 * then by ascending channel: channel u8 (1 signals, 2 sessions), state `bytes`; varint count, then by ascending log: log id,
 * digest 16 of the batch that ends at its position in the vector.
 */
export function encodeSnapshotBody(body: SnapshotBody): Uint8Array {
  let bytes = 40 + body.ends.length * (9 + BATCH_DIGEST_BYTES);
  for (const part of body.parts.values()) bytes += part.length + 16;
  const writer = new ByteWriter(bytes);
  writer.u32(MAGIC);
  writer.u8(VERSION);
  writer.u32(body.membershipVersion);
  writer.u16(body.foldVersion);
  writer.varint(body.parts.size);
  for (const [channel, part] of sorted(body.parts)) {
    writer.u8(CHANNEL_CODE[channel]);
    writer.prefixed(part);
  }
  writer.varint(body.ends.length);
  for (const { log, digest } of body.ends.toSorted((a, b) => compareLogIds(a.log, b.log))) {
    writeLogId(writer, log);
    writer.raw(digest);
  }
  return writer.view();
}

/** Decodes {@link encodeSnapshotBody}; the parts are views. @throws `CoreError` `DECODE_FAILED`. */
export function decodeSnapshotBody(bytes: Uint8Array): SnapshotBody {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== MAGIC) reader.fail("Cannot find the magic of a snapshot", 0);
  const version = reader.u8();
  if (version !== VERSION) reader.fail(`Cannot read snapshot version ${version}`, 4);
  const [membershipVersion, foldVersion] = [reader.u32(), reader.u16()];
  const parts = new Map<Channel, Uint8Array>();
  let before = 0;
  for (let count = reader.count(2); count > 0; count--) {
    const start = reader.offset;
    const code = reader.u8();
    const channel = channelOf(code);
    if (channel === undefined || code <= before) return reader.fail("Cannot accept this channel here", start);
    before = code;
    parts.set(channel, reader.prefixed());
  }
  const ends: LogEnd[] = [];
  for (let count = reader.count(9 + BATCH_DIGEST_BYTES); count > 0; count--) {
    const start = reader.offset;
    const log = readLogId(reader);
    const last = ends.at(-1)?.log;
    if (last !== undefined && compareLogIds(last, log) >= 0)
      reader.fail("Cannot accept unsorted logs", start);
    ends.push({ log, digest: reader.view(BATCH_DIGEST_BYTES).slice() });
  }
  reader.finish();
  return { membershipVersion, foldVersion, parts, ends };
}

/**
 * All states as of this moment, which is between two batches of every log: what happens while the promise is awaited is
 * not in it.
 */
export async function takeSnapshot(options: {
  readonly wal: Wal;
  readonly vector: Vector;
  readonly channels: ReadonlyMap<Channel, Replicated>;
  readonly membershipVersion: number;
}): Promise<Checkpoint> {
  const { wal, vector, channels, membershipVersion } = options;
  const foldVersion = Math.max(0, ...[...channels.values()].map((replicated) => replicated.foldVersion));
  const parts = new Map(
    [...channels].map(([channel, replicated]) => [channel, replicated.snapshot()] as const),
  );
  const ends: LogEnd[] = [];
  for (const { log: id, lsn, digest: start } of vector.entries()) {
    const log = wal.log(id);
    const digest =
      log?.durable.lsn === lsn ? log.durable.digest : await log?.digestAt(lsn).catch(() => undefined);
    // A base that nobody remembers, or a damaged place: then the 8 bytes of the vector have to do.
    if (digest?.length === BATCH_DIGEST_BYTES && start.every((byte, at) => byte === digest[at]))
      ends.push({ log: id, digest });
  }
  return { vector, body: encodeSnapshotBody({ membershipVersion, foldVersion, parts, ends }) };
}

/** Why a body cannot be restored here, if it cannot: looked at before anything is replaced. */
export function whyNotRestorable(
  channels: ReadonlyMap<Channel, Replicated>,
  body: SnapshotBody,
): string | undefined {
  for (const channel of channels.keys()) {
    if (!body.parts.has(channel)) return `it has no state of the channel ${channel}`;
  }
  return undefined;
}

/**
 * Replaces the state of every channel. What fails leaves every state as it was.
 *
 * @returns takes it back.
 * @throws `CoreError` `DECODE_FAILED`, and whatever else a `restore` throws.
 */
export function restoreSnapshotBody(
  channels: ReadonlyMap<Channel, Replicated>,
  bytes: Uint8Array,
): () => void {
  const body = decodeSnapshotBody(bytes);
  const why = whyNotRestorable(channels, body);
  if (why !== undefined) new ByteReader(bytes).fail(`Cannot restore a snapshot: ${why}`, 0);
  const done: [Replicated, Uint8Array][] = [];
  const undo = (): void => {
    for (const [replicated, before] of done) replicated.restore(before);
  };
  try {
    for (const [channel, replicated] of sorted(channels)) {
      done.push([replicated, replicated.snapshot()]);
      replicated.restore(body.parts.get(channel) as Uint8Array);
    }
  } catch (error) {
    undo();
    throw error;
  }
  return undo;
}

function sorted<Value>(channels: ReadonlyMap<Channel, Value>): [Channel, Value][] {
  return [...channels].toSorted(([a], [b]) => CHANNEL_CODE[a] - CHANNEL_CODE[b]);
}
