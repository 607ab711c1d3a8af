import type { Hasher } from "@tidemark/core";
import { ByteCursor, hexOf, sameBytes } from "./byte-cursor.ts";
import { readStoredOp, type StoredOp } from "./op-reader.ts";

/** The files of a region's directory, by their paths inside it. */
export type DirectoryFiles = Readonly<Record<string, Uint8Array>>;

/** A batch of a log. */
export interface StoredBatch {
  readonly firstLsn: number;
  readonly recordCount: number;
  /** 32 hexadecimal digits. */
  readonly digest: string;
  readonly previous: string;
  readonly bytes: Uint8Array;
  /** Session operations in it, with their LSN. */
  readonly ops: readonly { readonly lsn: number; readonly op: StoredOp }[];
}

/** One log of a directory, as far as it is whole. */
export interface StoredLog {
  /** As text, such as `sessions:r00001-s00000-e1790000000`. */
  readonly log: string;
  readonly region: number;
  readonly epoch: number;
  /** Where what is stored begins: 1 unless older segments are gone. */
  readonly firstLsn: number;
  /** Where it ends: one below `firstLsn` for a log without records. */
  readonly lastLsn: number;
  readonly batches: readonly StoredBatch[];
  /** What is wrong behind the last batch; absent for a log that is whole. */
  readonly problem?: string;
}

const SEGMENT = /^(signals|sessions)\/(r(\d{5})-s(\d{5})-e(\d{10}))-(\d{20})\.wal$/;
const HEADER_BYTES = 64;
const CHANNELS: Readonly<Record<string, number>> = { signals: 1, sessions: 2 };
const FIRST = "0".repeat(32);

/**
 * Reads logs from the bytes of a directory by docs/formats.md alone, as another program would: it shares no code with
 * the log. Batches that several directories hold are checked and read once.
 */
export class LogReader {
  readonly #hasher: Hasher;
  readonly #known: Map<string, StoredBatch> = new Map();

  constructor(hasher: Hasher) {
    this.#hasher = hasher;
  }

  /** Every log of a directory, sorted by its text. */
  read(files: DirectoryFiles): StoredLog[] {
    const segments = new Map<string, { path: string; firstLsn: number }[]>();
    for (const path of Object.keys(files).sort()) {
      const match = SEGMENT.exec(path);
      if (match === null) continue;
      const [, channel = "", log = "", , , , firstLsn] = match;
      // Until it is gone, all of the log is void.
      if (files[`${channel}/${log}.begin`] !== undefined) continue;
      const name = `${channel}:${log}`;
      segments.set(name, [...(segments.get(name) ?? []), { path, firstLsn: Number(firstLsn) }]);
    }
    return [...segments].map(([log, found]) => this.#log(log, found, files));
  }

  #log(
    log: string,
    segments: readonly { readonly path: string; readonly firstLsn: number }[],
    files: DirectoryFiles,
  ): StoredLog {
    const [, region = "", shard = "", epoch = ""] = /r(\d{5})-s(\d{5})-e(\d{10})$/.exec(log) ?? [];
    const id = { channel: log.slice(0, log.indexOf(":")), region, shard, epoch };
    const firstLsn = segments[0]?.firstLsn ?? 1;
    const batches: StoredBatch[] = [];
    let next = firstLsn;
    let problem: string | undefined;
    for (const { path, firstLsn: begins } of segments) {
      if (begins !== next) problem = `${path} begins at ${begins}, expected ${next}`;
      const bytes = files[path] ?? new Uint8Array(0);
      for (let at = 0; problem === undefined && at < bytes.length && !isEmpty(bytes, at);) {
        const batch = this.#batch(bytes, at, id);
        const previous = batches.at(-1)?.digest ?? (next === 1 ? FIRST : undefined);
        if (typeof batch === "string") problem = `${path} at ${at}: ${batch}`;
        else if (batch.firstLsn !== next)
          problem = `${path} at ${at}: LSN ${batch.firstLsn}, expected ${next}`;
        else if (previous !== undefined && batch.previous !== previous)
          problem = `${path} at ${at}: does not continue the batch before it`;
        else {
          batches.push(batch);
          next += batch.recordCount;
          at += batch.bytes.length;
        }
      }
      if (problem !== undefined) break;
    }
    return {
      log,
      region: Number(region),
      epoch: Number(epoch),
      firstLsn,
      lastLsn: next - 1,
      batches,
      ...(problem === undefined ? {} : { problem }),
    };
  }

  /** The batch at an offset, or what is wrong there. */
  #batch(bytes: Uint8Array, at: number, id: LogParts): StoredBatch | string {
    if (bytes.length - at < HEADER_BYTES) return "a header is cut short";
    const cursor = new ByteCursor(bytes, at);
    if (hexOf(cursor.raw(4)) !== "544d574c") return "no batch";
    const version = cursor.u8();
    const channel = cursor.u8();
    const flags = cursor.u16();
    const firstLsn = cursor.u64();
    const recordCount = cursor.u32();
    const payloadBytes = cursor.u32();
    const [shard, region, epoch] = [cursor.u16(), cursor.u16(), cursor.u32()];
    const previous = hexOf(cursor.raw(16));
    const digest = hexOf(cursor.raw(16));
    if (version !== 2 || flags !== 0 || channel !== CHANNELS[id.channel])
      return "a header that cannot be read";
    if (region !== Number(id.region) || shard !== Number(id.shard) || epoch !== Number(id.epoch))
      return "a batch of another log";
    if (recordCount === 0 || payloadBytes > cursor.left) return "a payload is cut short";
    const whole = bytes.subarray(at, at + HEADER_BYTES + payloadBytes);
    const known = this.#known.get(digest);
    if (known !== undefined && sameBytes(known.bytes, whole)) return known;
    const body = new Uint8Array(whole.length - 16);
    body.set(whole.subarray(0, 48));
    body.set(whole.subarray(HEADER_BYTES), 48);
    if (hexOf(this.#hasher.digest("tidemark 2026 wal-batch v2", body, 16)) !== digest)
      return "a digest does not fit";
    const ops: { lsn: number; op: StoredOp }[] = [];
    for (let lsn = firstLsn; lsn < firstLsn + recordCount; lsn++) {
      const record = new ByteCursor(cursor.bytes());
      if (record.u8() === 2) ops.push({ lsn, op: readStoredOp(record.rest(), this.#hasher) });
    }
    if (cursor.at !== at + whole.length) return "records that do not fill the payload";
    const batch: StoredBatch = { firstLsn, recordCount, digest, previous, bytes: whole.slice(), ops };
    this.#known.set(digest, batch);
    return batch;
  }
}

interface LogParts {
  readonly channel: string;
  readonly region: string;
  readonly shard: string;
  readonly epoch: string;
}

/** Whether only zeros follow: space that was laid ahead. */
function isEmpty(bytes: Uint8Array, at: number): boolean {
  for (let index = at; index < bytes.length; index++) if (bytes[index] !== 0) return false;
  return true;
}
